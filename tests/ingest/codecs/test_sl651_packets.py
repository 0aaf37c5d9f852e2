"""Long texts in packets: joined when whole, asked for when not, handed over when nothing more comes."""

from __future__ import annotations

import pytest

from ingest.codecs import _sl651_packets
from ingest.codecs._sl651_frame import ETX, build, parse
from ingest.codecs._sl651_packets import PATIENCE_S, Waiting, late, take
from tests.ingest.codecs.sl651_samples import REPORT, frame, in_packets, picture

PACKETS = in_packets(picture(), 500)


def again(number: int) -> bytes:
    """Return a packet as it is sent again: it ends in ETX."""
    parts = parse(PACKETS[number - 1])
    return build(frame(parts.text, parts.function, parts.packet, ETX))


def test_what_is_no_packet_passes() -> None:
    waiting = Waiting()
    bad = PACKETS[0][:-1] + b"\0"
    assert take(waiting, REPORT, 0) == ([REPORT], b"")
    assert take(waiting, bad, 0) == ([bad], b""), "to quarantine, and it is missing"
    assert waiting == Waiting()


def test_the_last_packet_makes_it_whole() -> None:
    waiting = Waiting()
    for packet in PACKETS[:-1]:
        assert take(waiting, packet, 0) == ([], b"")
    assert take(waiting, PACKETS[2], 0) == ([], b""), "a packet that comes twice"
    assert take(waiting, PACKETS[-1], 0) == ([b"".join(PACKETS)], b"")
    assert (waiting.frames, waiting.size) == ({}, 0)


def test_what_is_missing_is_asked_for_one_by_one() -> None:
    waiting = Waiting()
    for packet in (PACKETS[0], *PACKETS[2:4], *PACKETS[5:-1]):
        take(waiting, packet, 0)
    [], asked = take(waiting, PACKETS[-1], 0)
    assert (parse(asked).packet, parse(asked).end, parse(asked).text) == ((7, 2), 0x15, picture()[:8])
    [], asked = take(waiting, again(2), 0)
    assert parse(asked).packet == (7, 5)
    [payload], asked = take(waiting, again(5), 0)
    assert asked == b""
    assert payload[: len(PACKETS[0])] == PACKETS[0]
    assert len(payload) == sum(map(len, PACKETS))


def test_a_station_that_sends_the_same_packet_for_ever_is_not_asked_for_ever() -> None:
    waiting = Waiting()
    asked = [take(waiting, PACKETS[-1], 0)[1] for _ in range(20)]
    assert sum(bool(each) for each in asked) == 7


def test_another_text_ends_the_one_before() -> None:
    waiting = Waiting()
    take(waiting, PACKETS[0], 0)
    take(waiting, PACKETS[1], 0)
    assert take(waiting, PACKETS[0], 0) == ([], b""), "the same one, sent again"
    other = in_packets(b"\0\x0a" + picture()[2:], 500)  # another serial number
    assert take(waiting, other[0], 0) == ([PACKETS[0] + PACKETS[1]], b"")
    assert take(waiting, in_packets(picture(), 400)[0], 0) == ([other[0]], b""), "another number of packets"


def test_what_waits_in_vain_is_handed_over() -> None:
    waiting = Waiting()
    take(waiting, PACKETS[1], 10)
    take(waiting, PACKETS[0], 20)
    assert late(waiting, 20 + PATIENCE_S - 0.1) == []
    assert late(waiting, 20 + PATIENCE_S) == [PACKETS[0] + PACKETS[1]]
    assert late(waiting, 9e9) == []


def test_a_text_without_end_is_handed_over_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sl651_packets, "LONGEST", 20_000)
    waiting, payloads, size = Waiting(), [], 0
    for number in range(1, 101):
        packet = build(frame(b"x" * 4000, 0x36, (4095, number)))
        size += len(packet)
        payloads += take(waiting, packet, 0)[0]
        assert waiting.size <= _sl651_packets.LONGEST + 4200
    assert sum(map(len, payloads)) + waiting.size == size, "and nothing of it is lost"
