"""The monitoring types of the national stations: the fields of each, in their order, and their units.

From public documents of the national access protocol (监测类型, annex B): GHIOT 物联网平台接入文档, and
firmware and platforms that speak it. None: the unit is not known, or differs between makers. A unit here is
what a datastream begins with; the registry may give each one another, and then that one holds.
"""

from __future__ import annotations

from collections.abc import Mapping

#: <level>_<method> -> field -> unit; a text with commas holds the values of all fields, in this order
TYPES: Mapping[str, Mapping[str, str | None]] = {
    "L1_LF": {"value": "mm"},  # 裂缝 crack opening
    # 地表位移 GNSS displacement, behind the raw observations that it was solved from
    "L1_GP": {"gpsInitial": None, "gpsTotalX": "mm", "gpsTotalY": "mm", "gpsTotalZ": "mm"},
    "L1_SW": {"dispsX": "mm", "dispsY": "mm"},  # 深部位移 deep displacement: along and across the slide
    "L1_JS": {"gX": "mg", "gY": "mg", "gZ": "mg"},  # 加速度 acceleration
    "L1_QJ": {"X": "deg", "Y": "deg", "Z": "deg", "angle": "deg", "AZI": "deg"},  # 倾角 tilt
    "L1_ZD": {  # 振动 vibration: frequencies, amplitude, instantaneous values
        "PLX": "Hz",
        "PLY": "Hz",
        "PLZ": "Hz",
        "value": "mm",
        "SJX": "mm",
        "SJY": "mm",
        "SJZ": "mm",
        "SJValue": "mm",
    },
    "L2_YL": {"value": "kN"},  # 应力 anchor force
    "L2_TY": {"value": "kPa"},  # 土压力 soil pressure
    "L2_CS": {"OSP": None, "VSP": None, "freq": "Hz"},  # 次声 infrasound
    "L2_DS": {"OSP": None, "VSP": None, "freq": "Hz"},  # 地声 ground sound
    "L2_SF": {  # 声发射 acoustic emission
        "amplitude": None,
        "energy": None,
        "ringing": None,
        "risetime": None,
        "risecount": None,
        "duration": None,
        "arrivaltime": None,
        "RMS": None,
        "ASL": None,
        "freq": None,
        "wave": None,
    },
    "L3_YL": {"value": "mm", "totalValue": "mm"},  # 雨量 rain in the interval, and the counter
    "L3_QW": {"value": "degC"},  # 气温 air temperature
    "L3_TW": {"value": "degC"},  # 土壤温度 soil temperature
    "L3_HS": {"value": "%"},  # 土壤含水率 soil water content
    "L3_DB": {"temp": "degC", "value": "m"},  # 地表水 surface water
    "L3_DX": {"temp": "degC", "value": "m"},  # 地下水 ground water
    "L3_SY": {"temp": "degC", "value": "kPa"},  # 孔隙水压力 pore water pressure
    "L3_ST": {"value": "kPa"},  # 渗透压力 seepage pressure
    "L3_LS": {"value": "m/s"},  # 流速 flow velocity
    "L3_CJ": {"value": "mm"},  # 沉降 settlement
    "L3_QY": {"value": "kPa"},  # 气压 air pressure
    "L3_NW": {"value": "m"},  # as some firmware spells L4_NW
    "L3_LD": {"X": "m", "Y": "m", "Z": "m", "speed": "m/s"},  # as some firmware spells L4_LD
    "L4_NW": {"value": "m"},  # 泥水位 mud or water level
    "L4_LD": {"X": "m", "Y": "m", "Z": "m", "speed": "m/s"},  # 雷达 radar
    "L4_SP": {},  # 视频图像 video or picture: a file, described in the frame
    "L4_LB": {},  # 预警喇叭 warning loudspeaker: states, such as pa_state and sound_state
    "L4_BMLS": {"value": "m/s"},  # 表面流速 surface flow velocity
    "S1_ZT": {  # 设备状态 device status
        "ext_power_volt": "V",
        "solar_volt": "V",
        "battery_dump_energy": "%",
        "battery_volt": "V",
        "inner_power_volt": "V",
        "supply_power": None,
        "consume_power": None,
        "temp": "degC",
        "humidity": "%",
        "temp_out": "degC",
        "humidity_out": "%",
        "lon": "deg",
        "lat": "deg",
        "signal_4g": None,
        "signal_NB": None,
        "signal_bd": "dBm",
        "signal_db": "dBm",
        "starNum": None,
    },
    "QN_QB_ZT": {},  # 情报板状态 variable message sign: states
    "HY_BSD_ZT": {},  # 爆闪灯 strobe lamp: states
    "HY_BSD_ACK": {},
}

#: fields that hold raw observations (RTCM 3, as text), which are kept as files; solved records leave them out
RAW = frozenset({"gpsInitial"})

#: types as some firmware spells others: the spelling stays, and tells nothing that the other does not
SPELLINGS = frozenset({"L3_NW", "L3_LD"})

#: pseudo-sensors that tell how a device is: what they write as a text is one, unless TYPES has it as a number
STATES = frozenset({"S1_ZT", "L4_LB", "QN_QB_ZT", "HY_BSD_ZT", "HY_BSD_ACK"})

#: other spellings of a field, as they are met in the field
ALIASES: Mapping[str, Mapping[str, str]] = {
    "L1_QJ": {"trend": "AZI"},
    "S1_ZT": {
        "singal_4g": "signal_4g",
        "singal_NB": "signal_NB",
        "singal_bd": "signal_bd",
        "singal_db": "signal_db",
        "4g_signal": "signal_4g",
        "4g_on": "on_4g",
    },
}
