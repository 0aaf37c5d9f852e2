"""The simulated station: what it obeys, what it ignores, and at what rate it reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.command import build
from domain.command_words import COMMANDS
from domain.reply import parse
from ingest.codecs import dp
from ingest.device import DOES, Device, new, obey, report

NOW = datetime(2026, 8, 12, tzinfo=UTC)
KEY = "exercise-key"
RATE = {"sensor": "L1_LF_1", "sample": 10, "upload": 30, "plus": 5}


@pytest.fixture
def device() -> Device:
    return new("70000001", KEY, NOW)


def told(device: Device, name: str, params: dict[str, object], msgid: str = "m1") -> str:
    reply = obey(device, build(name, params, KEY, msgid), NOW)
    assert reply is not None
    assert reply.endswith(f"&apikey={KEY}&msgid={msgid}".encode())
    return parse(reply).text


def reports(device: Device, seconds: int, sensor: str = "L1_LF_1") -> dict[int, list[float]]:
    """Return when the sensor reports within that time, and what it measured when; s from NOW."""
    times: dict[int, list[float]] = {}
    for second in range(seconds + 1):
        if payload := report(device, NOW + timedelta(seconds=second)):
            decoded = dp.decode("$dp", payload, NOW)
            assert decoded.problems == ()
            for reading in decoded.readings:
                if reading.datastream.startswith(sensor) and reading.phenomenon_time:
                    times.setdefault(second, []).append((reading.phenomenon_time - NOW).total_seconds())
    return times


def test_it_reports_at_once_and_then_at_its_interval_all_that_it_measured(device: Device) -> None:
    assert reports(device, 14_399) == {0: [0], 7200: list(range(300, 7201, 300))}


def test_a_new_rate_holds_for_the_sensor_that_it_names(device: Device) -> None:
    report(device, NOW)
    assert told(device, "sampling", RATE) == "$cmd=setsensortime&result=succ&msgid=m1"
    assert reports(device, 65) == {0: [0], 30: [10, 20, 30], 60: [40, 50, 60]}
    assert reports(device, 65, "L3_YL_1") == {}
    assert parse(told(device, "reqsensortime", {"sensor_id": "L1_LF_1"}, "m2").encode()).values == {
        "sensor_id": "L1_LF_1", "sample_intv": "10", "upload_intv": "30", "plus_intv": "5"}  # fmt: skip


def test_in_an_emergency_it_reports_at_once_and_densely(device: Device) -> None:
    told(device, "sampling", {**RATE, "sample": 5})
    report(device, NOW)
    told(device, "emergency", {}, "m2")
    assert reports(device, 17) == {second: [second] for second in (0, 5, 10, 15)}
    told(device, "setworkmode", {"mode": 1}, "m3")
    assert reports(device, 3600) == {}
    assert told(device, "getworkmode", {}, "m4") == "$cmd=getworkmode&mode=1&msgid=m4"


def test_another_key_and_a_repeat_are_met_with_silence(device: Device) -> None:
    assert obey(device, build("emergency", {}, "another", "m1"), NOW) is None
    assert device.mode == "0"
    told(device, "emergency", {}, "m1")
    told(device, "normal", {}, "m2")
    assert obey(device, build("emergency", {}, KEY, "m1"), NOW) is None
    assert device.mode == "0"


@pytest.mark.parametrize("payload", [b"", b"hello", b"\xff\xff", b"$cmd=reboot"])
def test_what_is_no_command_is_ignored(device: Device, payload: bytes) -> None:
    assert obey(device, payload, NOW) is None


@pytest.mark.parametrize(
    "text", ["setworkmode&mode=9", "setsensortime&sensor_id=L9_XX_1&sample_intv=1&upload_intv=1&plus_intv=1",
             "reboot", "fly"]
)  # fmt: skip
def test_what_it_cannot_do_fails(device: Device, text: str) -> None:
    reply = obey(device, f"$cmd={text}&apikey={KEY}&msgid=m1".encode(), NOW)
    assert reply is not None
    assert b"&result=fail&" in reply
    assert (device.mode, set(device.rates)) == ("0", {"L1_LF_1", "L3_YL_1"})


def test_it_speaks(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    told(device, "speak", {"text": "请立即撤离", "times": 3})
    assert capsys.readouterr().out == "70000001 播报 speaks 3x: 请立即撤离\n"


def test_its_replies_are_those_of_the_vocabulary(device: Device) -> None:
    params: dict[str, dict[str, object]] = {
        "settime": {"server": "ntp.ntsc.ac.cn"}, "setsensortime": {**RATE}, "setworkmode": {"mode": 0},
        "reqsensortime": {"sensor_id": "L3_YL_1"}, "broadcast": {"b_num": 1, "b_content": "a"},
    }  # fmt: skip
    for number, name in enumerate(DOES):
        wanted = "sampling" if name == "setsensortime" else name
        text = told(device, wanted, params.get(name, {}), f"m{number}")
        assert COMMANDS[name].reply == parse(text.encode()).name
        assert "fail" not in text
