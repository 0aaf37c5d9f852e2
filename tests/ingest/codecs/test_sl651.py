"""SL651: published frames give their published values; whatever else comes is refused in words."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import sl651
from ingest.codecs._sl651_frame import ETB, build, crc16, parse, split
from ingest.codecs._sl651_packets import Waiting, take
from ingest.codecs._sl651_text import BEIJING
from ingest.decoded import Decoded
from tests.ingest.codecs.sl651_samples import (
    CONFIRMED,
    REPORT,
    STATION,
    TEST,
    TEST_CONFIRMED,
    frame,
    in_packets,
    picture,
    published,
    up,
)

NOW = datetime(2026, 8, 12, tzinfo=UTC)
AT = datetime(2026, 8, 11, 22, 5, tzinfo=BEIJING)
#: functions whose texts are no observations: the data name no elements of theirs
SETTINGS = {"40", "41", "42", "43", "45", "47", "48", "4A", "50", "44", "2F"}


def decode(payload: bytes) -> Decoded:
    return sl651.decode("tcp/sl651/x", payload, NOW)


def values(decoded: Decoded) -> list[tuple[str, float | str, str | None]]:
    return [(r.datastream, r.result, r.unit) for r in decoded.readings]


def beijing(digits: str) -> datetime:
    return datetime.strptime("20" + digits, "%Y%m%d%H%M").replace(tzinfo=BEIJING)


def test_the_check_is_crc16_modbus() -> None:
    assert crc16(b"123456789") == 0x4B37  # the check value in every catalogue of CRCs


def test_every_published_frame_has_its_published_parts(data: Path) -> None:
    known = published(data)
    assert len(known) == 26
    for each in known:
        if not each["crc_ok"]:
            with pytest.raises(ValueError, match=f"bad CRC: {each['crc_frame']}, .* {each['crc_calc']}"):
                parse(each["frame"])
            continue
        parts = parse(each["frame"])
        assert (f"{parts.centre:02X}", parts.station) == (each["center"].upper(), each["station"])
        assert (f"{parts.function:02X}", parts.up) == (each["func"], each["direction"] == "up")
        assert (parts.password.hex(), f"{parts.end:02x}") == (each["password"], each["end"])
        packet = (each["pkt_total"], each["pkt_seq"]) if "pkt_total" in each else None
        assert parts.packet == packet
        assert build(parts) == each["frame"]


def test_every_published_report_has_its_published_values(data: Path) -> None:
    reports = [each for each in published(data) if "elements" in each and each["direction"] == "up"]
    assert [each["func"] for each in reports] == ["32", "33", "34", "37", "38", "3A"]
    for each in reports:
        decoded = decode(each["frame"])
        assert (decoded.device, decoded.problems) == (each["station"], ())
        expected = []
        for element in each["elements"]:
            if "obs_time" in element:
                at = beijing(element["obs_time"])
                continue
            name = str(element["name"]).split()[0]
            many = element.get("values", [element.get("value")])
            for place, value in enumerate(many):
                if value is not None:
                    expected.append((name, at + place * timedelta(minutes=5), value))
        found = [(r.datastream, r.phenomenon_time, r.result) for r in decoded.readings]
        assert found == expected
        assert {r.thing for r in decoded.readings} == {each["station"]}


def test_other_published_frames_are_recognised(data: Path) -> None:
    others = [e for e in published(data) if e["func"] in SETTINGS and e["direction"] == "up"]
    assert {e["func"] for e in others} == SETTINGS
    for each in others:
        decoded = decode(each["frame"])
        assert (decoded.device, decoded.problems) == (each["station"], ())
    [version] = [decode(each["frame"]) for each in others if each["func"] == "45"]
    assert values(version) == [("version", "DATA86-SW-V1.2(H)", None)]  # 11 44 41 54 41 38 36 ... in ASCII


def test_incomplete_published_pictures_say_what_is_missing(data: Path) -> None:
    packets = [each["frame"] for each in published(data) if each["func"] == "36"]
    with pytest.raises(ValueError, match=r"6 of 13 packets: 4, 5, 6, 7, 11, 12, 13 did not come"):
        decode(b"".join(packets))


def test_frames_to_stations_are_read_and_refused(data: Path) -> None:
    down = [each["frame"] for each in published(data) if each["direction"] == "down"]
    assert down == [TEST_CONFIRMED, CONFIRMED]
    for each in down:
        with pytest.raises(ValueError, match="a frame from the centre to station"):
            decode(each)


def test_confirmations_are_the_published_ones_byte_for_byte() -> None:
    assert sl651.ack(REPORT) == sl651.answer(REPORT) == CONFIRMED
    assert sl651.ack(TEST) == sl651.answer(TEST) == TEST_CONFIRMED


def test_a_report_for_testing_is_kept_apart() -> None:
    assert [(name, value) for name, value, _ in values(decode(TEST))] == [
        ("test/PJ", 0.5), ("test/PT", 0.5), ("test/Z", 0.127), ("test/VT", 11.15),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        # 12 34.56 behind 23: four bytes, three decimals
        ("3923 00123456", [("Z", 123.456, "m")]),
        ("3923 FF123456", [("Z", -123.456, "m")]),
        ("0219 FF0123", [("AI", -12.3, "degC")]),
        ("0219 FFFFFF", []),
        ("1A19 000125", [("P1", 12.5, "mm")]),
        ("1F19 001000 2219 000004", [("PD", 100.0, "mm"), ("PN05", 0.4, "mm")]),
        ("3B23 01234567", [("ZU", 1234.567, "m")]),
        ("0E1A 000512", [("H", 5.12, "m")]),
        ("1011 0253 1711 0301", [("M10", 25.3, "%"), ("M100", 30.1, "%")]),
        ("1811 0985", [("MST", 98.5, "%")]),
        # unknown ones keep their number, also behind FF
        ("7610 0042", [("E76", 42.0, None)]),
        ("FF02 12 1234", [("EFF02", 12.34, None)]),
    ],
)
def test_elements_by_the_table_of_the_standard(
    elements: str, expected: list[tuple[str, float, str | None]]
) -> None:
    decoded = decode(up(elements))
    assert decoded.problems == ()
    assert values(decoded) == expected
    assert {r.phenomenon_time for r in decoded.readings} <= {AT}


def test_the_states_bit_by_bit() -> None:
    # table 58: bit 1 battery low, bit 7 door closed, bit 12 reserved
    found = {name: value for name, value, _ in values(decode(up("4520 00001082")))}
    assert found.pop("ZT") == 0x1082
    assert {name for name, value in found.items() if value} == {"ZT/battery_low", "ZT/door_closed"}
    assert len(found) == 12


def test_five_minute_levels_of_an_hour() -> None:
    decoded = decode(up("F7C0" + "000A" + "FFFF" * 10 + "FFFE"))
    assert [(r.datastream, r.result, r.phenomenon_time) for r in decoded.readings] == [
        ("DRZ3", 0.1, AT), ("DRZ3", 655.34, AT + timedelta(minutes=55)),
    ]  # fmt: skip


def test_a_series_has_one_element_and_many_results() -> None:
    # 31, step 10 minutes: 0.4, missing, 1.2
    decoded = decode(up("0418 000010 2319 000004 FFFFFF 000012", 0x31))
    assert [(r.datastream, r.result, r.phenomenon_time) for r in decoded.readings] == [
        ("DRxnn", 10.0, AT), ("PN10", 0.4, AT), ("PN10", 1.2, AT + timedelta(minutes=20)),
    ]  # fmt: skip
    hours = decode(up("0418 000000 F460" + "01" * 12 + "02" * 12, 0x31)).readings
    assert [(r.result, r.phenomenon_time) for r in hours[-12:]] == [
        (0.2, AT + timedelta(minutes=60 + 5 * n)) for n in range(12)
    ]


def test_a_report_of_several_stations() -> None:
    decoded = decode(up("3812 1109 F1F1 0011223355 50 F0F0 2608112200 2019 000004"))
    assert [(r.thing, r.datastream, r.phenomenon_time) for r in decoded.readings] == [
        (STATION, "VT", AT), ("0011223355", "PJ", AT - timedelta(minutes=5)),
    ]  # fmt: skip


def test_a_picture_is_a_file() -> None:
    decoded = decode(build(frame(picture(3000), 0x36)))
    assert decoded.problems == ()
    [file] = decoded.files
    assert (file.thing, file.name, file.media_type, file.at) == (STATION, "PIC", "image/jpeg", AT)
    assert file.data == picture(3000)[-3000:]


def test_what_people_typed_in() -> None:
    decoded = decode(build(frame(bytes.fromhex("0004260811220500F2F251312E32333420"), 0x35)))
    assert values(decoded) == [("RGZS", "Q1.234 ", None)]  # the published 35, but for its clock and check


@pytest.mark.parametrize(
    ("payload", "kept", "reason"),
    [
        (up("2019 00001A 3812 1109"), ["VT"], "PJ: 00001A is no BCD number"),
        (up("2019 0000"), [], "PJ: 3 bytes are announced, 2 follow"),
        (up("3812 1109 2000"), ["VT"], "PJ: 00 defines a value of no bytes"),
        (up("3812 1109 20"), ["VT"], "PJ: 1 bytes are announced, 0 follow"),
        (up("F5B8" + "00" * 23), [], "DRZ1: 23 bytes are no values of 2 bytes"),
        (up("FDF6 0102"), [], "DATA: 3 bytes of velocities"),
        (up("0410 0005"), [], "DRxnn: 0005 is no step"),
        (up("0418 000000 2019 000001 000002", 0x31), ["DRxnn", "PJ"], "PJ: several values with a step"),
        (up("2019 000004", time="0001010000"), [], "clock was never set"),
        (up("2019 000004", time="2613010000"), [], "F0F0 time of observation: 2613010000 is no time"),
        (build(frame(picture()[:-3000], 0x36)), [], "a file without bytes"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_is_kept(payload: bytes, kept: list[str], reason: str) -> None:
    decoded = decode(payload)
    assert [r.datastream for r in decoded.readings] == kept
    assert any(reason in problem for problem in decoded.problems), decoded.problems


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "it has no head"),
        (b"7E7E05", "it has no head"),
        (REPORT[:-1], "its head says 60 bytes, 59 are there"),
        (REPORT + b"\0", "it has no head"),
        (REPORT + REPORT, "2 whole frames in one payload"),
        (REPORT[:-1] + b"\0", "bad CRC: A400, the frame gives A421"),
        (build(frame(b"1234")), "4 bytes hold no serial number and time"),
        (build(frame(bytes(8), 0xE1)), "function E1 is not known"),
        (in_packets(picture(), 500)[0] + in_packets(picture(), 600)[1], "not all of one text"),
        (build(frame(b"12345", 0x36, (1, 2))), "not all of one text"),
    ],
)
def test_what_is_refused_whole(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(payload)


def test_packets_in_any_order_make_the_text() -> None:
    packets = in_packets(picture(), 500)[::-1]
    assert decode(b"".join(packets)) == decode(build(frame(picture(), 0x36)))
    report = in_packets(parse(up("2019 000004 3812 1109")).text, 10, 0x32)
    assert [name for name, _, _ in values(decode(b"".join(report)))] == ["PJ", "VT"]


def test_a_text_of_nonsense_is_given_up() -> None:
    assert len(decode(up("2000" * 1000)).problems) == 100


def test_what_a_station_hears() -> None:
    more = up("2019 000004", end=ETB)
    assert parse(sl651.answer(more)).end == 0x06, "ACK: go on"
    bad = REPORT[:-1] + b"\0"
    asked = parse(sl651.answer(bad))
    assert (asked.end, asked.up, asked.station, asked.text) == (0x15, False, STATION, REPORT[14:22])
    packets = in_packets(picture(), 500)
    whole = parse(sl651.answer(b"".join(packets)))
    assert (whole.end, whole.packet, whole.text) == (0x1B, (7, 7), picture()[:8])
    assert sl651.answer(b"".join(packets[:3])) == b"", "a text that is not whole is not confirmed"
    assert sl651.answer(packets[1][:-1] + b"\0") == b"", "packets are asked for together, at the end"
    # 2F has no confirmation (6.6.4.2); poison is confirmed, as it is kept
    assert sl651.answer(build(frame(bytes(8), 0x2F))) == b""
    assert parse(sl651.answer(build(frame(bytes(8), 0xE1)))).end == 0x1B
    with pytest.raises(ValueError, match="4 bytes are no SL651 frame"):
        sl651.nak(REPORT[:4])


GARBAGE = b"\r\n+CSQ: 20\r\n\x7e\x7e\x7e"


def test_a_stream_cut_at_every_byte() -> None:
    stream = GARBAGE + REPORT + TEST + GARBAGE + REPORT
    for cut in range(len(stream) + 1):
        first, rest = split(stream[:cut])
        second, rest = split(rest + stream[cut:])
        assert (first + second, rest) == ([REPORT, TEST, REPORT], b"")


def test_a_stream_byte_by_byte() -> None:
    frames, rest = [], b""
    for byte in GARBAGE + REPORT + GARBAGE + TEST:
        found, rest = split(rest + bytes([byte]))
        frames += found
    assert (frames, rest) == ([REPORT, TEST], b"")


def test_a_broken_frame_does_not_hide_the_next() -> None:
    bad = REPORT[:30] + bytes([REPORT[30] ^ 1]) + REPORT[31:]
    assert split(bad + REPORT) == ([bad, REPORT], b"")
    for cut in range(14, len(REPORT)):
        frames, rest = split(REPORT[:cut] + TEST)
        assert (frames, rest) == ([REPORT[:cut], TEST], b""), "cut off in the middle"
    endless = REPORT[:11] + b"\x0f\xff\x02"  # announces 4,095 bytes
    assert split(endless + b"x" * 100) == ([], endless + b"x" * 100)
    assert split(endless + b"x" * 100 + REPORT) == ([endless + b"x" * 100, REPORT], b"")


def pretender() -> bytes:
    """Return what ends in its own check, though its head says that more follows."""
    data = REPORT[:11] + b"\x0f\xff\x16" + bytes(20)
    return data + crc16(data).to_bytes(2, "big")


PRETENDER = pretender()


def test_a_check_that_fits_a_frame_cut_off_fools_nobody() -> None:
    assert split(PRETENDER + REPORT) == ([PRETENDER, REPORT], b"")
    assert take(Waiting(), PRETENDER, 0) == ([PRETENDER], b"")
    assert sl651.answer(PRETENDER) == b""
    with pytest.raises(ValueError, match="its head says 4112 bytes, 36 are there"):
        decode(PRETENDER)


@given(
    pieces=st.lists(
        st.sampled_from([REPORT, TEST, REPORT[:20], PRETENDER, b"\x7e\x7e", *in_packets(picture(90), 50)])
        | st.binary(max_size=40),
        max_size=12,
    ),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
)
def test_nothing_is_made_up_and_the_rest_is_bounded(pieces: list[bytes], cuts: list[int]) -> None:
    stream, found, rest, at, waiting = b"".join(pieces), b"", b"", 0, Waiting()
    for n in range(len(stream)):
        frames, rest = split(rest + stream[at : at + cuts[n % len(cuts)]])
        at += cuts[n % len(cuts)]
        found += b"".join(frames)
        assert len(rest) < 4112
        for each in frames:
            take(waiting, each, n)
            sl651.answer(each)
    position = 0
    for byte in found:  # in the order of the stream, and not more than it holds
        position = stream.index(bytes([byte]), position) + 1


@given(prefix=st.binary(max_size=60), text=st.binary(max_size=300), function=st.integers(0, 255))
def test_no_text_behind_a_right_check_breaks_the_codec(prefix: bytes, text: bytes, function: int) -> None:
    for payload in (build(frame(prefix + text, function)), up(text.hex(), 0x31), up(text.hex(), function)):
        if not split(payload)[0]:
            continue  # too short for a frame
        sl651.answer(payload)
        try:
            decoded = decode(payload)
        except ValueError:
            continue
        assert all(len(problem) < 1000 for problem in decoded.problems)


def test_heads_that_promise_more_than_comes_are_read_in_bounded_time() -> None:
    head = REPORT[:11] + b"\x0f\xff\x02"
    began, rest, found = time.monotonic(), b"", 0
    for n in range(0, 65_536, 4096):
        frames, rest = split(rest + (head * 5000)[n : n + 4096])
        found += len(frames)
    assert found > 1000
    assert time.monotonic() - began < 30
