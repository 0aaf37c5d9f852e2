"""MQTT 3.1.1 as a subscriber needs it: packets to bytes and back (OASIS standard, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
#: of a CONNECT: the session lasts (no clean session), user name, password
USER, PASSWORD = 0x80, 0x40
#: what a broker answers to a subscription that it refuses
REFUSED = 0x80
#: what the codes of a CONNACK mean (3.2.2.3)
REASONS = ("accepted", "unacceptable protocol version", "client id rejected", "server unavailable",
           "bad user name or password", "not authorized")  # fmt: skip


class Message(NamedTuple):
    """A PUBLISH; `mid` is 0 where it wants no acknowledgement."""

    topic: str
    payload: bytes
    mid: int
    retain: bool


def connect(client_id: str, user: str, password: str, keepalive_s: int) -> bytes:
    """Return the packet that opens a lasting session."""
    flags = (USER if user else 0) | (PASSWORD if password else 0)
    names = [client_id, *filter(None, (user, password))]
    body = _text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + b"".join(map(_text, names))
    return b"\x10" + _length(len(body)) + body


def subscribe(topics: Sequence[str], mid: int = 1) -> bytes:
    """Return the packet that subscribes to the topic filters at QoS 1."""
    body = mid.to_bytes(2, "big") + b"".join(_text(topic) + b"\1" for topic in topics)
    return b"\x82" + _length(len(body)) + body


def publish(topic: str, payload: bytes, mid: int, *, again: bool = False) -> bytes:
    """Return the packet that publishes at QoS 1; `again` marks it as sent before."""
    name = _text(topic)
    head = b"\x3a" if again else b"\x32"
    return b"".join((head, _length(len(name) + 2 + len(payload)), name, mid.to_bytes(2, "big"), payload))


def puback(mids: Sequence[int]) -> bytes:
    """Return the acknowledgements of these messages."""
    return b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])


def split(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the first byte, the begin of the body and the end of each whole packet.

    ValueError: the length of one has more than four bytes.
    """
    end, size_of_all = 0, len(data)
    while end + 2 <= size_of_all:
        size, place = data[end + 1], end + 2
        if size & 0x80:
            size &= 0x7F
            for shift in (7, 14, 21, 28):
                if shift == 28:
                    raise ValueError("a packet whose length has more than four bytes")
                if place >= size_of_all:
                    return
                byte = data[place]
                place += 1
                size |= (byte & 0x7F) << shift
                if not byte & 0x80:
                    break
        if place + size > size_of_all:
            return
        kind, end = data[end], place + size
        yield kind, place, end


def message(data: bytes, kind: int, begin: int, end: int) -> Message:
    """Return the PUBLISH in these bytes; ValueError when it is none."""
    name_end = begin + 2 + int.from_bytes(data[begin : begin + 2], "big")
    topic = data[begin + 2 : name_end].decode()
    if not kind & 0x06:
        return Message(topic, data[name_end:end], 0, bool(kind & 1))
    body = name_end + 2
    return Message(topic, data[body:end], int.from_bytes(data[name_end:body], "big"), bool(kind & 1))


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    digits = bytearray()
    while size > 0x7F:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*digits, size))
