"""The elements of SL 651-2014: what stands behind which identifier, in which unit.

Source: SL 651-2014, table C.1 (mnemonics and units), table 58 (bits of ZT), annex A (classes of stations).
"""

from __future__ import annotations

from collections.abc import Mapping

#: of stations: 降水 rain, 河道 river, 水库 reservoir, 闸坝 sluice, 泵站 pump, 潮汐 tide, 墒情 soil moisture,
#: 地下水 ground water, 水质 water quality, 取水口 intake, 排水口 outlet
CLASSES = frozenset(b"PHKZDTMGQIO")


def _numbered(first: int, name: str, unit: str) -> dict[int, tuple[str, str | None]]:
    return {first + number: (f"{name}{number + 1}", unit) for number in range(8)}


#: identifier -> mnemonic, unit; the frame itself tells length and decimals
ELEMENTS: Mapping[int, tuple[str, str | None]] = {
    0x01: ("AC", "m2"),  # 断面面积 cross-section
    0x02: ("AI", "degC"),  # 瞬时气温 air
    0x03: ("C", "degC"),  # 瞬时水温 water
    0x05: ("DT", None),  # 时段长 duration, written hours.minutes
    0x06: ("ED", "mm"),  # 日蒸发量 evaporation of the day
    0x07: ("EJ", "mm"),  # 当前蒸发 evaporation now
    0x08: ("FL", "hPa"),  # 气压 air pressure
    0x09: ("GH", "m"),  # 闸门开启高度 opening of a gate
    0x0A: ("GN", None),  # 闸门编号 number of a gate
    0x0B: ("GS", None),  # 输水设备类别 kind of outlet
    0x0C: ("GT", None),  # 闸门开启孔数 gates that are open
    0x0D: ("GTP", "degC"),  # 地温 ground
    0x0E: ("H", "m"),  # 地下水瞬时埋深 depth to ground water
    0x0F: ("HW", "m"),  # 波浪高度 waves
    **{0x10 + n: (f"M{cm}", "%") for n, cm in enumerate((10, 20, 30, 40, 50, 60, 80, 100))},  # 土壤含水量
    0x18: ("MST", "%"),  # 湿度 humidity
    0x19: ("NS", None),  # 开机台数 pumps that run
    **{0x1A + n: (f"P{hours}", "mm") for n, hours in enumerate((1, 2, 3, 6, 12))},  # 时段降水量
    0x1F: ("PD", "mm"),  # 日降水量 rain of the day
    0x20: ("PJ", "mm"),  # 当前降水量 rain since the beginning of the day
    **{0x21 + n: (f"PN{minutes}", "mm") for n, minutes in enumerate(("01", "05", "10", "30"))},
    0x25: ("PR", "mm"),  # 暴雨量 rainstorm
    0x26: ("PT", "mm"),  # 降水量累计值 counter of rain
    0x27: ("Q", "m3/s"),  # 瞬时流量 discharge
    **_numbered(0x28, "Q", "m3/s"),
    0x30: ("QA", "m3/s"),  # 总出库流量 total outflow
    0x31: ("QZ", "m3/s"),  # 过闸流量 flow through a gate
    0x32: ("SW", "10kt"),  # 输沙量 sediment load
    0x33: ("UC", None),  # 风向 wind direction, a code
    0x34: ("UE", None),  # 风力 wind force
    0x35: ("US", "m/s"),  # 风速 wind
    0x36: ("VA", "m/s"),  # 断面平均流速 mean velocity
    0x37: ("VJ", "m/s"),  # 当前瞬时流速 velocity
    0x38: ("VT", "V"),  # 电源电压 supply
    0x39: ("Z", "m"),  # 瞬时河道水位、潮位 river or tide level
    0x3A: ("ZB", "m"),  # 库(闸、站)下水位 level below a dam
    0x3B: ("ZU", "m"),  # 库(闸、站)上水位 reservoir level
    **_numbered(0x3C, "Z", "m"),
    0x44: ("SQ", "kg/m3"),  # 含沙量 sediment
    0x46: ("pH", None),
    0x47: ("DO", "mg/L"),
    0x48: ("COND", "uS/cm"),
    0x49: ("TURB", None),  # 浊度, in 度
    0x4A: ("CODMN", "mg/L"),
    0x4B: ("REDOX", "mV"),
    **{0x4C + n: (name, "mg/L") for n, name in enumerate(("NH4N", "TP", "TN", "TOC", "CU", "ZN"))},
    **{0x52 + n: (name, "mg/L") for n, name in enumerate(("SE", "AS", "THG", "CD", "PB", "CHLA"))},
    **_numbered(0x58, "WP", "kPa"),  # 水压 water pressure
    **_numbered(0x60, "SYL", "m3"),  # 水表剩余水量 left on a water meter
    **_numbered(0x68, "SBL", "m3/h"),  # 水表每小时水量 through a water meter
    **{0x70 + n: (f"VT{phase}", "V") for n, phase in enumerate("ABC")},  # 交流电压
    **{0x73 + n: (f"VI{phase}", "A") for n, phase in enumerate("ABC")},  # 交流电流
}

#: twelve values, five minutes apart -> mnemonic, bytes and divisor of each, unit; binary, all FF is missing
SERIES: Mapping[int, tuple[str, int, int, str]] = {
    0xF4: ("DRP", 1, 10, "mm"),  # 每 5 分钟时段雨量
    **{0xF5 + n: (f"DRZ{n + 1}", 2, 100, "m") for n in range(8)},  # 5 分钟间隔相对水位
}

#: bits of the element 45 ZT from the lowest on; 1 is the bad state, but of door, ic_card and pump
STATES = (
    "mains_off",  # 交流电: 停电
    "battery_low",  # 蓄电池: 电压低
    "level_alarm",  # 水位超限
    "flow_alarm",  # 流量超限
    "quality_alarm",  # 水质超限
    "flow_meter_fault",  # 流量仪表故障
    "level_meter_fault",  # 水位仪表故障
    "door_closed",  # 终端箱门: 关闭
    "memory_fault",  # 存储器异常
    "ic_card_valid",  # IC 卡有效
    "pump_stopped",  # 水泵停机
    "water_left_alarm",  # 剩余水量超限
)
