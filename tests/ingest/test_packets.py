"""MQTT 3.1.1 packets: known bytes of the standard, pieces of any size, what is no packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import packets
from ingest.packets import Message


def test_a_connect_is_that_of_the_standard() -> None:
    """Figures 3.2 to 3.6: protocol name and level; flags of user name and password, no clean session."""
    made = packets.connect("id", "user", "secret", 10)
    assert made == b"\x10\x1c\0\x04MQTT\x04\xc0\0\x0a\0\x02id\0\x04user\0\x06secret"
    assert packets.connect("id", "", "", 30) == b"\x10\x0e\0\x04MQTT\x04\0\0\x1e\0\x02id"


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (321, b"\xc1\x02"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_152, b"\x80\x80\x80\x01"),
    ],
)
def test_lengths_are_written_and_read_as_table_2_4_says(size: int, length: bytes) -> None:
    packet = packets.publish("t", b"x" * (size - 5), 1)
    assert packet[1 : 1 + len(length)] == length
    assert len(packet) == 1 + len(length) + size
    [(kind, begin, end)] = packets.split(packet)
    assert (kind, begin, end) == (0x32, 1 + len(length), len(packet))


def test_subscribe_and_acknowledge() -> None:
    assert packets.subscribe(["a/b", "c/d"], 10) == b"\x82\x0e\0\x0a\0\x03a/b\x01\0\x03c/d\x01"
    assert packets.puback([10, 513]) == b"\x40\x02\0\x0a\x40\x02\x02\x01"
    assert packets.puback([]) == b""


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (b"\x32\x07\0\x01t\0\x05hi", Message("t", b"hi", 5, False)),
        (b"\x3b\x05\0\x01t\0\x05", Message("t", b"", 5, True)),
        (b"\x30\x05\0\x01thi", Message("t", b"hi", 0, False)),
        (b"\x32\x09\0\x03\xe6\xb0\xb4\0\x05hi", Message("水", b"hi", 5, False)),
    ],
)
def test_a_publish_is_read(packet: bytes, message: Message) -> None:
    [(kind, begin, end)] = packets.split(packet)
    assert packets.message(packet, kind, begin, end) == message


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=300))), st.data())
def test_pieces_of_any_size_give_the_same_messages(
    said: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    said = [(topic, payload) for topic, payload in said if topic.isprintable()]
    stream = b"".join(packets.publish(topic, payload, 1 + n) for n, (topic, payload) in enumerate(said))
    heard, rest, place = [], b"", 0
    while place < len(stream):
        step = data.draw(st.integers(1, len(stream) - place))
        rest += stream[place : place + step]
        place += step
        read = 0
        for kind, begin, end in packets.split(rest):
            heard.append(packets.message(rest, kind, begin, end)[:2])
            read = end
        rest = rest[read:]
    assert heard == said
    assert rest == b""


def test_a_length_of_five_bytes_is_none() -> None:
    with pytest.raises(ValueError, match="more than four bytes"):
        list(packets.split(b"\x30\xff\xff\xff\xff\x01"))


def test_a_topic_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        packets.message(b"\x30\x03\0\x01\xff", 0x30, 2, 5)
