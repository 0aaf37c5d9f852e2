"""National frames: every form in which stations have been seen to write."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

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
              "pa_state": "idle", "battery_volt": None}  # fmt: skip
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
        "S1_ZT_1/location": ("35.99,106.25", None),
        "S1_ZT_1/sensor_state/L1_LF_1": (-2.0, None),
        "S1_ZT_1/pa_state": ("idle", None),
    }


def test_no_fix_is_no_place() -> None:
    assert one("S1_ZT_1", {"lon": "0.000000", "lat": "0.000000", "temp": 0}) == {"S1_ZT_1/temp": 0.0}
    assert one("S1_ZT_1", {"lon": "0.000000", "lat": "51.47"}) == {"S1_ZT_1/lon": 0.0, "S1_ZT_1/lat": 51.47}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "begins with nothing"),
        (b"\x02", "neither a frame nor JSON"),
        (b"hello", "neither a frame nor JSON"),
        (b"\x02\x00\x20" + b'{"7":{}}', "head says 32 bytes of JSON, 8 follow"),
        (frame({"7": {"L1_LF_1": 1}}, tail=b"\0"), "broken frame of type 2"),
        (frame({"7": {"L1_LF_1": 1}}, kind=0xC3, tail=b"\0\x05abc"), "broken frame of type 3"),
        (frame(b'{"7":'), "not JSON"),
        (frame(b"{\xff}"), "not JSON"),
        (frame(b"{}"), "no device around the sensors"),
        (frame({"L1_LF_1": 1, "at": AT}), "no device around the sensors"),
        (frame({"header": {"appId": "62000009"}, "bodies": {"body": "eA=="}}),
         "no decryptor for appId 62000009"),
        (frame({"did": "c-1", "ds_id": "photo", "file_type": "jpg"}, 3, b"\0\x04\1\2\3\4"),
         "'photo': a file of 4 bytes: files are not read yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        decode(payload)


def test_good_parts_stay_beside_bad_ones() -> None:
    body = {
        "70000001": {"L1_LF_1": {AT: 1, "2026-13-01T00:00:00.000Z": 2},
                     "L1_GP_1": {"gpsInitial": "RTCM", "gpsTotalX": 3}},
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
    for part in ("a file of 2 bytes", "'2026-13-01T00:00:00.000Z' is no time", "gpsInitial: raw GNSS",
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


def test_published_wrapped_and_file_frames(data: Path) -> None:
    lines = (data / "stations/dp_wrapped_bare.jsonl").read_text().splitlines()
    wrapped, prefixed = (json.loads(line) for line in lines if line.strip())
    with pytest.raises(ValueError, match="no decryptor for appId 62000001"):
        decode(frame(wrapped["json"].encode()))
    assert results(bytes.fromhex(prefixed["raw_hex"])) == {
        "L1_QJ_1/X": 3.15, "L1_QJ_1/Y": -5.14, "L1_QJ_1/Z": 83.97}  # fmt: skip
    file = json.loads((data / "stations/dp_file_frames.jsonl").read_text().splitlines()[0])
    with pytest.raises(ValueError, match="a file of 4 bytes: files are not read yet"):
        decode(bytes.fromhex(file["frame_new_hex"]))


def test_the_table_has_every_published_type_with_its_fields_in_order(data: Path) -> None:
    with (data / "stations/types.csv").open() as table:
        for row in csv.DictReader(table):
            fields = row["fields_in_order"].split(",")
            if (
                row["level"] in ("L1", "L2", "L3", "L4")
                and fields != ["-"]
                and row["code"] not in ("SP", "LB")
            ):
                known = list(TYPES[f"{row['level']}_{row['code']}"])
                assert known == [field for field in fields if field != "gpsInitial"]
