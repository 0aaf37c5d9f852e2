"""National frames: every form in which stations have been seen to write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain import wire
from ingest.codecs import dp
from ingest.codecs._dp_types import TYPES
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
AT = "2026-08-11T22:10:00.000Z"


def frame(body: object, kind: int = 2, tail: bytes = b"") -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return bytes([kind]) + len(text).to_bytes(2, "big") + text + tail


def decode(payload: bytes) -> Decoded:
    return dp.decode("$dp", payload, NOW)


def results(payload: bytes) -> dict[str, float | str]:
    decoded = decode(payload)
    assert decoded.problems == ()
    return {reading.datastream: reading.result for reading in decoded.readings}


def one(sensor: str, value: object) -> dict[str, float | str]:
    return results(frame({"70000001": {sensor: {AT: value}}}))


def test_a_frame_written_by_hand() -> None:
    # 02 | 003f | {"70000001":{"L1_GP_1":{"2026-08-11T22:10:00.000Z":"1.5,,-3"}}}
    payload = bytes.fromhex(
        "02003f7b223730303030303031223a7b224c315f47505f31223a7b22323032362d30382d31315432323a31303a3030"
        "2e3030305a223a22312e352c2c2d33227d7d7d"
    )
    decoded = decode(payload)
    assert [(r.thing, r.datastream, r.phenomenon_time, r.result, r.unit) for r in decoded.readings] == [
        ("70000001", "L1_GP_1/gpsTotalX", datetime(2026, 8, 11, 22, 10, tzinfo=UTC), 1.5, "mm"),
        ("70000001", "L1_GP_1/gpsTotalZ", datetime(2026, 8, 11, 22, 10, tzinfo=UTC), -3.0, "mm"),
    ]
    assert (decoded.device, decoded.id, decoded.problems) == ("70000001", None, ())


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 0x82, 0xC3])
@pytest.mark.parametrize("tail", [b"", b"\0\0"])
def test_the_structure_decides_not_the_number(kind: int, tail: bytes) -> None:
    assert results(frame({"70000001": {"L1_LF_1": 4.25}}, kind, tail)) == {"L1_LF_1/value": 4.25}


@pytest.mark.parametrize("before", [b"", b"\x10", b"\x02", b" \n"])
def test_bare_json_also_behind_one_control_character(before: bytes) -> None:
    assert results(before + b'{"70000001":{"L3_QW_1":-7.5}}') == {"L3_QW_1/value": -7.5}


def test_without_times_there_is_none() -> None:
    decoded = decode(frame({"70000001": {"L1_LF_1": 4.25, "L3_YL_1": {"value": 0.5, "totalValue": 81}}}, 1))
    assert {r.phenomenon_time for r in decoded.readings} == {None}
    assert [r.result for r in decoded.readings] == [4.25, 0.5, 81.0]


def test_all_times_of_a_packet_are_kept() -> None:
    hours = {f"2026-08-11T{hour:02}:00:00.000Z": hour / 4 for hour in range(24)}
    decoded = decode(frame({"70000001": {"L1_LF_1": hours, "L3_TW_1": {AT: 8}}}))
    assert [r.result for r in decoded.readings] == [*hours.values(), 8.0]
    first = datetime(2026, 8, 11, tzinfo=UTC)
    assert [r.phenomenon_time for r in decoded.readings][:24] == [
        first + timedelta(hours=h) for h in range(24)
    ]


def test_the_fullest_frame_is_kept_whole() -> None:
    minutes = (datetime(2026, 8, 11, tzinfo=UTC) + timedelta(minutes=n) for n in range(1149))
    tilts = {f"{at:%Y-%m-%dT%H:%M:%S}.000Z": "1.25,-0.50,88.75,1.35,120.5" for at in minutes}
    payload = frame(wire.encode({"70000001": {"L1_QJ_1": tilts}}))
    assert 65_000 < len(payload) < 65_539
    assert len(decode(payload).readings) == 5 * 1149


def test_the_offset_stays_as_it_was_written() -> None:
    written = {"2026-08-11T22:10:00+08:00": 1, "2026-08-11 22:10:00": 2, AT: 3}
    offsets = [r.phenomenon_time and r.phenomenon_time.utcoffset() for r in
               decode(frame({"70000001": {"L1_LF_1": written}})).readings]  # fmt: skip
    assert offsets == [timedelta(hours=8), timedelta(0), timedelta(0)]


@pytest.mark.parametrize(
    ("sensor", "value", "expected"),
    [
        ("L1_LF_1", "23.5", {"value": 23.5}),
        ("L1_LF_1", " -2e-1 ", {"value": -0.2}),
        ("L1_GP_1", "0.5,-1.25,3", {"gpsTotalX": 0.5, "gpsTotalY": -1.25, "gpsTotalZ": 3}),
        ("L1_ZD_1", "1,2,3,4,5,6,7,8", dict(zip(TYPES["L1_ZD"], map(float, range(1, 9)), strict=True))),
        ("L2_SF_1", ",2,,,,,,8,,,11", {"energy": 2, "RMS": 8, "wave": 11}),
        ("L4_LD_1", "1,2,3,0.5", {"X": 1, "Y": 2, "Z": 3, "speed": 0.5}),
        ("L3_LD_1", "1,2,3,0.5", {"X": 1, "Y": 2, "Z": 3, "speed": 0.5}),
        ("L1_SW_8", "0.5,-1.25", {"dispsX": 0.5, "dispsY": -1.25}),
        ("L1_QJ_1", "1,2,87,2.2,350", {"X": 1, "Y": 2, "Z": 87, "angle": 2.2, "AZI": 350}),
        ("L1_QJ_1", {"angle": 2.2, "trend": 350}, {"angle": 2.2, "AZI": 350}),
        ("L3_SY_1", "0,3.5", {"temp": 0, "value": 3.5}),
        ("L3_YL_1", {"value": 0.5, "totalValue": "81.5"}, {"value": 0.5, "totalValue": 81.5}),
        ("L3_NW_1", 1.75, {"value": 1.75}),
        # values that a type does not have are named by their place, not by a guess
        ("L1_LF_2", "1,2", {"1": 1, "2": 2}),
        ("L1_QJ_1", "1,2,87", {"1": 1, "2": 2, "3": 87}),
        ("X9_QQ_1", {"alpha": 1, "beta": "2"}, {"alpha": 1, "beta": 2}),
        ("X9_QQ_1", "1,2", {"1": 1, "2": 2}),
        ("L4_LB_1", "on,1", {"value": "on,1"}),
        ("L4_LB_1", {"pa_state": 1, "sound_state": "off"}, {"pa_state": 1, "sound_state": "off"}),
        ("QN_QB_ZT_1", {"text": "注意落石"}, {"text": "注意落石"}),
        # the numbers of 2019, where the names of the fields tell what was meant
        ("101_1", {"gpsTotalX": 1.5, "gpsTotalY": "2"}, {"gpsTotalX": 1.5, "gpsTotalY": 2}),
        ("HY_BSD_ZT_1", {"lamp": True, "no": "7"}, {"lamp": "true", "no": "7"}),
    ],
)
def test_scalars_objects_and_commas(sensor: str, value: object, expected: dict[str, object]) -> None:
    assert one(sensor, value) == {f"{sensor}/{field}": result for field, result in expected.items()}


@pytest.mark.parametrize("missing", [None, "", "  ", {}])
def test_what_is_missing_is_not_zero(missing: object) -> None:
    assert one("L1_LF_1", missing) == {}
    assert one("L3_YL_1", {"value": missing, "totalValue": 3}) == {"L3_YL_1/totalValue": 3.0}
    assert one("L3_SY_1", ",3") == {"L3_SY_1/value": 3.0}


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "-Infinity", "1e999", "9" * 400, "true", "[1]"),
        *('"nan"', '"inf"', '"1e999"', '"1_000"', '"１２"', '"abc"'),
    ],
)
def test_what_is_no_finite_number_is_refused_alone(text: str) -> None:
    body = f'{{"70000001":{{"L1_LF_1":{text},"L3_QW_1":5}}}}'.encode()
    decoded = decode(frame(body))
    assert [(r.datastream, r.result) for r in decoded.readings] == [("L3_QW_1/value", 5.0)]
    assert len(decoded.problems) == 1
    assert decoded.problems[0].startswith("L1_LF_1/value: ")


@pytest.mark.parametrize("value", ["1,2,3,4,5,6", 4.5, {"X": 1, "Y": 2}, {"gpsTotalX": 1, "dispsX": 2}, {}])
def test_a_number_of_2019_that_tells_nothing_is_refused_alone(value: object) -> None:
    decoded = decode(frame({"70000001": {"103_1": {AT: value}, "L3_QW_1": 5}}))
    assert [r.datastream for r in decoded.readings] == ["L3_QW_1/value"]
    assert len(decoded.problems) == 1
    assert decoded.problems[0].startswith("103_1: the type codes of 2019 are not public")


def test_units_and_their_absence() -> None:
    body = {
        "L1_JS_1": "1,2,3",
        "L3_DB_1": {"temp": 9, "value": 1},
        "L2_CS_1": {"OSP": 1},
        "X1_YY_1": {"q": 1},
    }
    decoded = decode(frame({"70000001": body}))
    assert [(r.datastream, r.unit) for r in decoded.readings] == [
        ("L1_JS_1/gX", "mg"), ("L1_JS_1/gY", "mg"), ("L1_JS_1/gZ", "mg"),
        ("L3_DB_1/temp", "degC"), ("L3_DB_1/value", "m"), ("L2_CS_1/OSP", None), ("X1_YY_1/q", None),
    ]  # fmt: skip


def test_device_status() -> None:
    status = {"ext_power_volt": 12.5, "solar_volt": "0", "singal_NB": -71, "singal_db": 3, "sw_version": "2",
              "lon": "106.25", "lat": "35.99", "location": "35.99,106.25", "sensor_state": {"L1_LF_1": -2},
              "on_4g": True, "4g_on": False, "pa_state": "idle", "battery_volt": None}  # fmt: skip
    decoded = decode(frame({"70000001": {"S1_ZT_1": {AT: status}}}))
    assert decoded.problems == ()
    assert {r.datastream: (r.result, r.unit) for r in decoded.readings} == {
        "S1_ZT_1/ext_power_volt": (12.5, "V"),
        "S1_ZT_1/solar_volt": (0.0, "V"),
        "S1_ZT_1/signal_NB": (-71.0, None),
        "S1_ZT_1/signal_db": (3.0, "dBm"),
        "S1_ZT_1/sw_version": ("2", None),
        "S1_ZT_1/lon": (106.25, "deg"),
        "S1_ZT_1/lat": (35.99, "deg"),
        "S1_ZT_1/sensor_state/L1_LF_1": (-2.0, None),
        "S1_ZT_1/on_4g": ("false", None),
        "S1_ZT_1/pa_state": ("idle", None),
    }
    doubled = [r.result for r in decoded.readings if r.datastream == "S1_ZT_1/on_4g"]
    assert doubled == ["true", "false"], (
        "two spellings of one field: the store decides, as for any second value"
    )


def test_device_status_as_another_maker_writes_it() -> None:
    status = {"inner_power_volt": "3.62", "4g_signal": "-77", "location": "35.991,106.25",
              "device_type": "ML101", "sn": "000123", "starNum": "11", "temp_out": -3}  # fmt: skip
    decoded = decode(frame({"70000001": {"S1_ZT_1": status}}))
    assert decoded.problems == ()
    assert {r.datastream: (r.result, r.unit) for r in decoded.readings} == {
        "S1_ZT_1/lat": (35.991, "deg"),
        "S1_ZT_1/lon": (106.25, "deg"),
        "S1_ZT_1/inner_power_volt": (3.62, "V"),
        "S1_ZT_1/signal_4g": (-77.0, None),
        "S1_ZT_1/device_type": ("ML101", None),
        "S1_ZT_1/sn": ("000123", None),
        "S1_ZT_1/starNum": (11.0, None),
        "S1_ZT_1/temp_out": (-3.0, "degC"),
    }


def test_no_fix_is_no_place() -> None:
    assert one("S1_ZT_1", {"lon": "0.000000", "lat": "0.000000", "temp": 0}) == {"S1_ZT_1/temp": 0.0}
    assert one("S1_ZT_1", {"location": "0.0,0"}) == {}
    assert one("S1_ZT_1", {"location": "no fix"}) == {"S1_ZT_1/location": "no fix"}
    assert one("S1_ZT_1", {"lon": "0.000000", "lat": "51.47"}) == {"S1_ZT_1/lon": 0.0, "S1_ZT_1/lat": 51.47}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "begins with nothing"),
        (b"\x02", "neither a frame nor JSON"),
        (b"hello", "neither a frame nor JSON"),
        (b"\x02\x00\x20" + b'{"7":{}}', "head says 32 bytes of JSON, 8 follow"),
        (frame({"7": {"L1_LF_1": 1}}, tail=b"\0"),
         "broken frame of type 2: behind the JSON stand 1 bytes, for a file of 0 bytes"),
        (frame({"7": {"L1_LF_1": 1}}, kind=0xC3, tail=b"\0\x05abc"),
         "broken frame of type 3: behind the JSON stand 5 bytes, for a file of 5 bytes"),
        (frame(b'{"7":'), "not JSON"),
        (frame(b"{\xff}"), "not JSON: byte 0xff at 1 is no UTF-8; is it GBK?"),
        (frame('{"7":{"L1_LF_1":"裂缝"}}'.encode("gbk")), "not JSON: byte 0xc1 at 17 is no UTF-8"),
        (frame(b'{"7":{"L1_LF_1":1,"L1_LF_1":2}}'), "the key 'L1_LF_1' stands twice in one object"),
        (b'{"7":' + b"[" * 5000, "not JSON: nested too deeply"),
        (b'{"7":"' + b"x" * 10_000_000 + b'"}', "10000008 bytes, and a message has 500000 at most"),
        (json.dumps({"7": {f"L1_LF_{n}": n for n in range(4000)}}).encode(),
         "more than 8000 results in one payload: let the station send less at a time"),
        (frame(b'{"L1_QJ_1":{"X":1.5},"at":"2026-08-11T22:10:00Z"}'), "the topic does not tell who sends"),
        (frame(b'{"103_1":"1,2,3"}'), "the topic does not tell who sends"),
        (frame(b"{}"), "no device around the sensors"),
        (frame({"L1_LF_1": 1, "at": AT}), "no device around the sensors"),
        (frame({"header": {"appId": "62000009"}, "bodies": {"body": "eA=="}}),
         "no decryptor for appId 62000009"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        decode(payload)


def test_good_parts_stay_beside_bad_ones() -> None:
    body = {
        "70000001": {"L1_LF_1": {AT: 1, "2026-13-01T00:00:00.000Z": 2},
                     "L1_GP_1": {"gpsTotalX": 3}},
        "70000002": 5,
        "70000003": {"bad\0name": 1, "L3_QW_1": 4},
    }  # fmt: skip
    decoded = decode(frame(body, tail=b"\0\x02ab"))
    assert [(r.thing, r.datastream, r.result) for r in decoded.readings] == [
        ("70000001", "L1_LF_1/value", 1.0),
        ("70000001", "L1_GP_1/gpsTotalX", 3.0),
        ("70000003", "L3_QW_1/value", 4.0),
    ]
    reasons = "\n".join(decoded.problems)
    for part in ("a file of 2 bytes behind 3 devices", "'2026-13-01T00:00:00.000Z' is no time",
                 "'70000002': expected a JSON object, got 5", "'bad\\x00name/value' is no name"):  # fmt: skip
        assert part in reasons


def numbers(value: Any, name: str = "") -> Iterator[float]:
    """Yield every number in a body, also those in texts, but for the place of a station without a fix."""
    if isinstance(value, dict):
        for key, item in value.items():
            if (key, item) not in (("lon", "0.000000"), ("lat", "0.000000"), ("sw_version", "1.0.1")):
                yield from numbers(item, key)
    elif isinstance(value, str):
        if name != "sw_version":
            yield from map(float, value.split(","))
    else:
        yield float(value)


def test_published_frames_in_both_numberings(data: Path) -> None:
    lines = (data / "stations/dp_frames.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines if line.strip()]
    assert len(samples) == 8
    for sample in samples:
        body = json.loads(sample["json"])
        [device] = body
        for form in ("frame_new_hex", "frame_old_hex"):
            decoded = decode(bytes.fromhex(sample[form]))
            assert decoded.problems == ()
            got = [r.result for r in decoded.readings if isinstance(r.result, float)]
            assert sorted(got) == sorted(numbers(body)), sample["name"]
            assert {r.thing for r in decoded.readings} == {device}
            assert {r.phenomenon_time is None for r in decoded.readings} == {'"20' not in sample["json"]}


def test_published_wrapped_and_bare_frames(data: Path) -> None:
    lines = (data / "stations/dp_wrapped_bare.jsonl").read_text().splitlines()
    wrapped, prefixed = (json.loads(line) for line in lines if line.strip())
    with pytest.raises(ValueError, match="no decryptor for appId 62000001"):
        decode(frame(wrapped["json"].encode()))
    assert results(bytes.fromhex(prefixed["raw_hex"])) == {
        "L1_QJ_1/X": 3.15, "L1_QJ_1/Y": -5.14, "L1_QJ_1/Z": 83.97}  # fmt: skip
