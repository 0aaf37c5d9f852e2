"""The commands that national stations know: their parameters, and what people call them.

From the access document as public platforms and firmware quote it (zods_baseplatform EquipCmdConstant.java,
INSENTEK cigemPacket.c); DZ/T 0450-2023, annex E, is not public. A range stands here only where one of them
gives it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: what a parameter's value looks like
KINDS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "whole": (re.compile(r"-?\d{1,10}", re.ASCII), "a whole number"),
    "number": (re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII), "a decimal number"),
    "numbers": (
        re.compile(r"-?\d{1,9}(\.\d{1,9})?(,-?\d{1,9}(\.\d{1,9})?)*", re.ASCII),
        "numbers with commas",
    ),
    "range": (re.compile(r"-?\d{1,3}(\.\d{1,9})?,-?\d{1,3}(\.\d{1,9})?", re.ASCII), "two numbers: low,high"),
    "sensor": (re.compile(r"[A-Z]{1,2}\d?_[A-Z_]+_\d+", re.ASCII), "a sensor as in L3_TW_2"),
    "method": (re.compile(r"[A-Z]{1,2}\d?_[A-Z_]+", re.ASCII), "a monitoring type as in L1_YL"),
    "md5": (re.compile(r"[0-9a-fA-F]{32}"), "an MD5 sum of 32 hexadecimal digits"),
    "ascii": (re.compile(r"[!-%'-~]{1,200}"), "1 to 200 printable ASCII characters without blank and &"),
    "spoken": (re.compile(r"[^&]{1,200}"), "1 to 200 characters without &"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its name on the wire, the kind of its value, its range in `unit` where it is known."""

    name: str
    kind: str = "ascii"
    least: float | None = None
    most: float | None = None
    unit: str = ""
    #: value -> what it means, where only these are legal
    choices: Mapping[str, str] = field(default_factory=dict)
    #: never shown to anybody
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its parameters in the order of the wire, and the name that stands in its reply."""

    name: str
    zh: str
    en: str
    parameters: tuple[Parameter, ...] = ()
    reply: str
    #: last level of the topic that it is sent on
    topic: str = "cmd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Friendly:
    """What people call a command: their words for its parameters, and the values that are settled by it."""

    command: str
    zh: str
    en: str
    words: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)


def _command(
    name: str, zh: str, en: str, *parameters: Parameter, reply: str = "", topic: str = "cmd"
) -> Command:
    return Command(name=name, zh=zh, en=en, parameters=parameters, reply=reply or name, topic=topic)


_P = Parameter
_SENSOR = _P(name="sensor_id", kind="sensor")
_MODES = {"0": "正常 normal", "1": "节能 power saving", "2": "应急 emergency"}
#: 3 and 4 are known by INSENTEK firmware only
_LEVELS = {"0": "红 red", "1": "橙 orange", "2": "黄 yellow", "3": "蓝 blue", "4": "正常 normal"}

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        _command("reqtime", "读取时间", "read the clock"),
        _command("settime", "校时", "set the clock from a time server", _P(name="server")),
        _command("reqsensortime", "读取采集频率", "read the intervals of a sensor", _SENSOR),
        _command(
            "setsensortime",
            "设置采集频率",
            "set the intervals of a sensor",
            _SENSOR,
            _P(name="sample_intv", kind="whole", least=1, most=86_400, unit="s"),
            _P(name="upload_intv", kind="whole", least=1, most=259_200, unit="s"),
            _P(name="plus_intv", kind="whole", least=1, most=86_400, unit="s"),
        ),
        _command(
            "setsensorattr",
            "设置阈值和上下限",
            "set threshold and limits of a sensor",
            _SENSOR,
            _P(name="threshold", kind="numbers"),
            _P(name="upper_limit", kind="numbers"),
            _P(name="lower_limit", kind="numbers"),
        ),
        _command("getsensorattr", "读取阈值和上下限", "read threshold and limits of a sensor", _SENSOR),
        _command("getsensorID", "读取传感器列表", "list the sensors"),
        _command("sample", "立即采集", "measure now"),
        _command("setworkmode", "设置工作模式", "set the work mode", _P(name="mode", choices=_MODES)),
        _command("getworkmode", "读取工作模式", "read the work mode"),
        _command("reboot", "重启设备", "restart the device"),
        _command(
            "update",
            "固件升级（HTTP）",
            "fetch firmware over HTTP",
            _P(name="url"),
            _P(name="md5", kind="md5"),
        ),
        _command(
            "upgrade",
            "固件升级（MQTT）",
            "announce firmware over MQTT",
            _P(name="md5", kind="md5"),
            _P(name="size", kind="whole", least=1, unit="bytes"),
            reply="supportsize",
            topic="upgrade",
        ),
        _command("getstatus", "读取设备状态", "read the status"),
        _command(
            "broadcast",
            "喇叭播报",
            "speak through the loudspeaker",
            _P(name="b_num", kind="whole", least=1, most=255, unit="times"),  # one byte in INSENTEK firmware
            _P(name="b_size", kind="whole", least=1, unit="bytes"),
            _P(name="b_content", kind="spoken"),
        ),
        _command(
            "meteorologicalearlywarning",
            "气象风险预警",
            "tell the weather warning of an area",
            _P(name="level", choices=_LEVELS),
            _P(name="effective_time", kind="whole", least=1, unit="h"),
            _P(name="lon_range", kind="range", least=-180, most=180, unit="deg"),
            _P(name="lat_range", kind="range", least=-90, most=90, unit="deg"),
        ),
        _command("getcmdversion", "读取指令集版本", "read the version of the command set"),
        _command(
            "setlink",
            "设置链路",
            "set a link to a platform",
            _P(name="address"),
            _P(name="port", kind="whole", least=1, most=65_535),
            _P(name="index", kind="whole", least=-1),  # -1 adds a link
            _P(name="valid", choices={"1": "启用 on", "2": "停用 off"}),
            _P(name="id"),
            _P(name="key", secret=True),
        ),
        _command("getlinks", "读取链路", "list the links"),
        _command(
            "setsensor",
            "设置传感器",
            "set up a sensor at the serial line",
            *(
                _P(name=name, kind="whole", least=0)
                for name in ("index", "hardware", "devidID", "baudrate", "funCode", "register", "regNum")
            ),
            _P(name="monitor", kind="method"),
        ),
        _command(
            "setInitial",
            "设置初始值",
            "set the initial value of a sensor",
            _P(name="monitor", kind="sensor"),
            _P(name="value", kind="number"),
        ),
        _command("getbasic", "读取基础属性", "read what the device is", reply="basic"),
        _command("setsleep", "休眠", "put the device to sleep", reply="sleep"),
    )
}

FRIENDLY: Mapping[str, Friendly] = {
    "sampling": Friendly(
        command="setsensortime",
        zh="修改采集频率",
        en="change how often a sensor measures and reports",
        words={"sensor": "sensor_id", "sample": "sample_intv", "upload": "upload_intv", "plus": "plus_intv"},
    ),
    "emergency": Friendly(
        command="setworkmode", zh="应急模式", en="report at once, and densely", fixed={"mode": "2"}
    ),
    "normal": Friendly(command="setworkmode", zh="正常模式", en="report as usual", fixed={"mode": "0"}),
    "speak": Friendly(
        command="broadcast",
        zh="喇叭播报",
        en="speak through the loudspeaker",
        words={"text": "b_content", "times": "b_num"},
    ),
    "status": Friendly(command="getstatus", zh="读取设备状态", en="read the status"),
}
