"""SZY206: the published frames, rain and levels by the known layout, and all that is refused in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import szy206
from ingest.codecs._sl651_text import BEIJING
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
#: from the tests of hm1212/szy206-protocol; their checks are right
MISSING = bytes.fromhex("681568B34406070001C0AAAAAAAAAA004040000000000101E516")
FLOW = bytes.fromhex("681A68B35303810D00C00059000000826110000001106000004508090A3516")
STATION = "4406070001"
#: no alarm, no state, 10:05:30 on day 12, delay 0
TAIL = "0000 0000 30 05 10 12 00"


def framed(body: bytes) -> bytes:
    return bytes([0x68, len(body), 0x68]) + body + bytes([szy206.crc8(body), 0x16])


def report(values: str, kind: int = 1, tail: str = TAIL) -> bytes:
    return framed(bytes.fromhex(f"b{kind:x}{STATION}c0{values}{tail}"))


def picture(size: int = 1024) -> bytes:
    """Return a piece of a picture: a long frame, number 42 of a split text."""
    body = bytes.fromhex(f"f02a{STATION}61") + size.to_bytes(2, "little") + bytes(range(256)) * (size // 256)
    return b"\x68\x01\x68" + body + bytes([szy206.crc8(body), 0x16])


def decode(payload: bytes, at: datetime = NOW) -> Decoded:
    return szy206.decode("tcp/szy206/x", payload, at)


def values(decoded: Decoded) -> dict[str, float | str]:
    return {r.datastream: r.result for r in decoded.readings}


def test_the_published_frame(data: Path) -> None:
    known = json.loads((data / "stations" / "szy206_frames.jsonl").read_text())
    payload = bytes.fromhex(known["hex"])
    assert payload == MISSING
    assert (known["crc8_ok"], szy206.is_sound(payload)) == (True, True)
    assert szy206.station_of(payload) == known["A"]
    decoded = decode(payload)
    assert (decoded.device, decoded.problems) == (known["A"], ())
    assert values(decoded) == {"alarms": "0040", "states": "4000"}, "AA...: no value"
    assert {r.phenomenon_time for r in decoded.readings} == {datetime(2026, 8, 1, tzinfo=BEIJING)}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (1, "250100", {"rain": 12.5}),  # 00 01 25, one decimal
        (1, "250100 300000", {"rain": 12.5, "rain_2": 3.0}),
        (2, "56341200", {"level": 123.456}),
        (2, "563412F0", {"level": -123.456}),
        (2, "AAAAAAAA 01000000", {"level_2": 0.001}),
        (3, "AAAAAAAAAA", {}),
    ],
)
def test_rain_and_levels(kind: int, data: str, expected: dict[str, float]) -> None:
    decoded = decode(report(data, kind))
    assert decoded.problems == ()
    assert values(decoded) == {"alarms": "0000", "states": "0000", **expected}
    assert {r.phenomenon_time for r in decoded.readings} == {datetime(2026, 8, 12, 10, 5, 30, tzinfo=BEIJING)}
    assert {r.unit for r in decoded.readings} <= {None, "mm", "m"}


@pytest.mark.parametrize(
    ("received", "tail", "expected"),
    [
        ("2026-08-12T03:00:00Z", "00 30 12 12 00", "2026-08-12T12:30:00+08:00"),  # 90 minutes ahead
        ("2026-08-12T03:00:00Z", "00 00 23 13 00", "2026-07-13T23:00:00+08:00"),  # 36 hours would be too far
        ("2026-01-01T00:00:00Z", "59 59 23 31 00", "2025-12-31T23:59:59+08:00"),
        ("2026-03-01T00:00:00Z", "00 00 00 31 00", "2026-01-31T00:00:00+08:00"),  # February has none
    ],
)
def test_a_time_without_a_month(received: str, tail: str, expected: str) -> None:
    decoded = decode(report("250100", tail="0000 0000" + tail), datetime.fromisoformat(received))
    assert {r.phenomenon_time for r in decoded.readings} == {datetime.fromisoformat(expected)}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (report("25010A"), "rain: 25010A is no BCD number"),
        (report("56341230", 2), None),
        (report("563412A0", 2), "level: 563412A0 is no BCD number"),
        (report("2501"), "data of kind 1, 2 bytes, are not read yet: 2501"),
        (FLOW, "data of kind 3, 10 bytes, are not read yet: 00590000008261100000"),
        (report("", tail="0000 0000 30 05 10 12"), "a report of 8 bytes holds no alarms, states and time"),
        (report("250100", tail="0000 0000 30 05 10 00 00"), "Tp: 3005100000 is no time"),
        (report("250100", tail="0000 0000 30 05 1F 12 00"), "Tp: 30051F1200 is no time"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, reason: str | None) -> None:
    decoded = decode(payload)
    assert [problem[: len(reason or "")] for problem in decoded.problems] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "broken SZY206 frame of 0 bytes"),
        (MISSING[:-1], "broken SZY206 frame of 25 bytes"),
        (MISSING[:-2] + b"\0\x16", "bad CRC: 00, the frame gives E5"),
        (framed(bytes.fromhex(f"33{STATION}c0")), f"a frame from the centre to {STATION}"),
        (framed(bytes.fromhex(f"b0{STATION}81 0001")), r"function 81 \(alarm\) is not read yet"),
        (framed(bytes.fromhex(f"b0{STATION}77")), r"function 77 \(unknown\) is not read yet"),
        (picture(), r"function 61 \(picture\) is not read yet"),
    ],
)
def test_what_is_refused_whole(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(payload)


def test_a_station_that_keeps_its_link() -> None:
    link = framed(bytes.fromhex(f"b0{STATION}02f2"))
    assert decode(link) == Decoded(device=STATION)
    # C without its direction, address, AFN, 00: as the public decoder answers
    assert szy206.answer(link) == framed(bytes.fromhex(f"30{STATION}0200"))


def test_what_a_station_hears() -> None:
    assert szy206.answer(MISSING) == framed(bytes.fromhex(f"33{STATION}c000"))
    assert szy206.answer(picture()) == framed(bytes.fromhex(f"702a{STATION}6100"))
    for nothing in (MISSING[:-2] + b"\0\x16", MISSING[:20], szy206.answer(MISSING)):
        assert szy206.answer(nothing) == b""


def test_a_stream_cut_at_every_byte() -> None:
    stream = b"\x68garbage\x68\x68" + MISSING + FLOW + b"\r\n" + picture(256) + MISSING
    for cut in range(len(stream) + 1):
        first, rest = szy206.split(stream[:cut])
        second, rest = szy206.split(rest + stream[cut:])
        assert (first + second, rest) == ([MISSING, FLOW, picture(256), MISSING], b"")


@given(data=st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    frames, rest = szy206.split(data)
    assert len(rest) <= szy206.LONGEST
    for payload in (data, *frames, framed(data[:250])):
        szy206.answer(payload)
        try:
            decode(payload)
        except ValueError:
            continue
