"""`liupan simulate --device`: one national station that reports on `$dp` and obeys commands.

It behaves as INSENTEK firmware does: another apikey and a msgid that it has answered are met with silence,
and replies go out as text, at QoS 0, retained.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from queue import Empty
from random import Random
from urllib.parse import SplitResult

from domain.command import resolve
from domain.command_words import COMMANDS
from domain.reply import TOPIC, fields
from ingest.play import Message, connect
from ingest.stations import DP_TOPIC, frame

log = logging.getLogger("simulate")

#: s between two looks at the clock while nothing is heard
LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The intervals of one sensor, s, by their names on the wire."""

    sample_intv: int = 300
    upload_intv: int = 7200
    plus_intv: int = 60


@dataclass(slots=True, kw_only=True)
class Device:
    """The state of the station: what each sensor measured and has not reported, when it does so next."""

    code: str
    apikey: str = field(repr=False)
    rates: dict[str, Rate]
    samples: dict[str, dict[str, float]]
    sampling: dict[str, datetime]
    due: dict[str, datetime]
    mode: str = "0"
    answered: set[str] = field(default_factory=set)
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311


def new(code: str, apikey: str, now: datetime) -> Device:
    """Return a station with a crack meter and a rain gauge that report at once, then at their intervals."""
    sensors = ("L1_LF_1", "L3_YL_1")
    return Device(
        code=code,
        apikey=apikey,
        rates={sensor: Rate() for sensor in sensors},
        samples={sensor: {} for sensor in sensors},
        sampling=dict.fromkeys(sensors, now),
        due=dict.fromkeys(sensors, now),
    )


def run(broker: SplitResult, code: str, apikey: str) -> int:
    """Report and obey until the process ends; ConnectionError when no broker answers."""
    line = connect(broker, code, [f"$creq/{code}/+"])
    device = new(code, apikey, datetime.now(UTC))
    log.info("station %s reports on %s and obeys commands / 模拟监测站已上线", code, DP_TOPIC)
    while True:
        if said := report(device, now := datetime.now(UTC)):
            line.say(Message(at=now, topic=DP_TOPIC, payload=said))
        try:
            _, payload = line.heard.get(timeout=LOOK_S)
        except Empty:
            continue
        if (reply := obey(device, payload, now)) is not None:
            line.say(Message(at=now, topic=TOPIC, payload=reply), qos=0, retain=True)


def report(device: Device, now: datetime) -> bytes | None:
    """Measure what is due now; return what is to be reported as a `$dp` payload, None when nothing is.

    While it saves power it does neither.
    """
    if device.mode == "1":
        return None
    said: dict[str, dict[str, float]] = {}
    for sensor, rate in device.rates.items():
        if device.sampling[sensor] <= now:
            device.sampling[sensor] = now + timedelta(seconds=rate.sample_intv)
            device.samples[sensor][f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"] = _measure(
                device
            )
        if device.due[sensor] <= now:
            seconds = rate.plus_intv if device.mode == "2" else rate.upload_intv
            device.due[sensor] = now + timedelta(seconds=seconds)
            said[sensor], device.samples[sensor] = device.samples[sensor], {}
    said = {sensor: samples for sensor, samples in said.items() if samples}
    return frame({device.code: said}) if said else None


def obey(device: Device, payload: bytes, now: datetime) -> bytes | None:
    """Do what the command says; return the reply, None for the silence that meets a wrong key or a repeat."""
    try:
        said = fields(payload.decode("gb2312"))
    except ValueError as error:
        log.warning("not understood: %s", error)
        return None
    name, key, msgid = (str(said.pop(part, "")) for part in ("$cmd", "apikey", "msgid"))
    if key != device.apikey or not msgid or msgid in device.answered:
        log.warning("%s is ignored: %s", name, "another apikey" if key != device.apikey else "a repeat")
        return None
    device.answered.add(msgid)
    try:
        command, params = resolve(name, said)
        answer = DOES[command.name](device, params, now)
    except (ValueError, KeyError) as error:
        log.warning("%s fails: %s", name, error)
        answer = "result=fail"
    reply = COMMANDS[name].reply if name in COMMANDS else name
    log.info("%s: %s", name, answer)
    return f"$cmd={reply}&{answer}&apikey={device.apikey}&msgid={msgid}".encode()


def _measure(device: Device) -> float:
    return round(device.random.uniform(0, 5), 2)


def _set_rate(device: Device, params: Mapping[str, str], now: datetime) -> str:
    sensor, *intervals = params.values()
    names = ("sample_intv", "upload_intv", "plus_intv")
    device.rates[sensor] = replace(
        device.rates[sensor], **{name: int(text) for name, text in zip(names, intervals, strict=True)}
    )
    device.sampling[sensor] = device.due[sensor] = now
    return "result=succ"


def _tell_rate(device: Device, params: Mapping[str, str], now: datetime) -> str:
    rate = device.rates[params["sensor_id"]]
    told = {"sensor_id": params["sensor_id"], "sample_intv": rate.sample_intv,
            "upload_intv": rate.upload_intv, "plus_intv": rate.plus_intv}  # fmt: skip
    return "&".join(f"{name}={value}" for name, value in told.items())


def _set_mode(device: Device, params: Mapping[str, str], now: datetime) -> str:
    device.mode = params["mode"]
    device.sampling, device.due = dict.fromkeys(device.rates, now), dict.fromkeys(device.rates, now)
    return "result=succ"


def _speak(device: Device, params: Mapping[str, str], now: datetime) -> str:
    print(f"{device.code} 播报 speaks {params['b_num']}x: {params['b_content']}", flush=True)
    return "result=succ"


def _tell_state(device: Device, params: Mapping[str, str], now: datetime) -> str:
    state = {"ext_power_volt": 12.6, "battery_dump_energy": 95, "temp": 18.5, "signal_4g": 21,
             "sw_version": "exercise", "sensor_state": dict.fromkeys(device.rates, 0)}  # fmt: skip
    return f"state={json.dumps(state, separators=(',', ':'))}"


def _sample(device: Device, params: Mapping[str, str], now: datetime) -> str:
    measured = {sensor: str(_measure(device)) for sensor in device.rates}
    return f"datastreams={json.dumps(measured, separators=(',', ':'))}"


#: command -> what the station does, and answers; it fails all others
DOES: Mapping[str, Callable[[Device, Mapping[str, str], datetime], str]] = {
    "reqtime": lambda device, params, now: f"time={now:%Y-%m-%d %H:%M:%S}",
    "settime": lambda device, params, now: "result=succ",
    "setsensortime": _set_rate,
    "reqsensortime": _tell_rate,
    "getsensorID": lambda device, params, now: f"sensor_id={','.join(device.rates)}",
    "sample": _sample,
    "setworkmode": _set_mode,
    "getworkmode": lambda device, params, now: f"mode={device.mode}",
    "getstatus": _tell_state,
    "broadcast": _speak,
    "getcmdversion": lambda device, params, now: "version=1.1",
}
