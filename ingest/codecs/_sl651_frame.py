"""Frames of SL 651-2014 in HEX/BCD: head, text, end and check, in both directions.

Source: SL 651-2014 水文监测数据通信规约, tables 10 (control characters), 20 to 23 (frames) and 26.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ingest.codecs import _stream

HEAD = b"\x7e\x7e"
#: what stands before the text: it is whole, or a packet of a longer one
STX, SYN = 0x02, 0x16
#: what stands behind it: up, ETX the last, ETB more follow; down, ACK go on, NAK send again, ESC done, stay
ETX, ETB, ACK, NAK, ESC = 0x03, 0x17, 0x06, 0x15, 0x1B
#: bytes before the text (with the sign before it) and behind it; the length of a text has 12 bits
BEFORE, BEHIND = 14, 3
#: serial number (2 bytes) and time of sending (6 bytes) open every text
STAMP = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame; `packet` is total and number (from 1) where the text is a packet of a longer one."""

    up: bool
    centre: int
    station: str
    password: bytes
    function: int
    packet: tuple[int, int] | None
    text: bytes
    end: int

    @property
    def kin(self) -> tuple[object, ...]:
        """What all packets of one text have in common."""
        return self.up, self.centre, self.station, self.function, self.packet and self.packet[0]

    @property
    def stamp(self) -> bytes:
        """Serial number and time of sending; zeros where the text is a later packet, which has none."""
        first = self.packet is None or self.packet[1] == 1
        return self.text[:STAMP].ljust(STAMP, b"\0") if first else bytes(STAMP)


def crc16(data: bytes) -> int:
    """Return the check of SL 651: CRC-16/MODBUS, polynomial A001 reflected, from FFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def is_sound(frame: bytes) -> bool:
    """Tell whether the last two bytes are the check of all before them, high byte first."""
    return crc16(frame[:-2]) == int.from_bytes(frame[-2:], "big")


def parse(frame: bytes) -> Frame:
    """Return the parts of one frame; ValueError: it is none, is cut off, or its check is wrong."""
    size = _size(frame, 0)
    if size is None or size != len(frame):
        told = f"its head says {size} bytes, {len(frame)} are there" if size else "it has no head"
        raise ValueError(f"broken SL651 frame: {told}")
    if not is_sound(frame):
        raise ValueError(f"bad CRC: {frame[-2:].hex().upper()}, the frame gives {crc16(frame[:-2]):04X}")
    return _parts(frame)


def build(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    station, centre = bytes.fromhex(frame.station), bytes([frame.centre])
    packet = b"" if frame.packet is None else (frame.packet[0] << 12 | frame.packet[1]).to_bytes(3, "big")
    text = packet + frame.text
    data = b"".join(
        [HEAD, centre + station if frame.up else station + centre, frame.password, bytes([frame.function]),
         (len(text) | (0 if frame.up else 0x8000)).to_bytes(2, "big"),
         bytes([SYN if packet else STX]), text, bytes([frame.end])]
    )  # fmt: skip
    return data + crc16(data).to_bytes(2, "big")


def ack(frame: bytes) -> bytes:
    """Return the confirmation of a frame: its own serial number and time, as published examples have them.

    It ends in ACK when more frames follow, else in ESC: the station stays on the line. The packets of one
    text, one behind the other, are confirmed together (number = total).
    """
    first = parse(frame[: _size(frame, 0)])
    packet = None if first.packet is None else (first.packet[0], first.packet[0])
    end = ACK if first.end == ETB and packet is None else ESC
    return build(replace(first, up=False, packet=packet, text=first.stamp, end=end))


def nak(frame: bytes, number: int | None = None) -> bytes:
    """Return what asks for a frame again, or for that packet of its text; its check may be wrong.

    ValueError: it is too short to tell who sent it.
    """
    if len(frame) < BEFORE:
        raise ValueError(f"{len(frame)} bytes are no SL651 frame")
    first = _parts(frame)
    packet = first.packet and (first.packet[0], number or first.packet[1])
    return build(replace(first, up=False, packet=packet, text=first.stamp, end=NAK))


def packets(payload: bytes) -> list[Frame]:
    """Return the frames that stand one behind the other; ValueError: one of them cannot be read."""
    frames: list[Frame] = []
    at = 0
    while at < len(payload) or not frames:
        size = _size(payload, at) or len(payload)
        frames.append(parse(payload[at : at + size]))
        at += size
    return frames


def _parts(frame: bytes) -> Frame:
    """Read a frame whose length may be wrong, at least BEFORE bytes long."""
    up = frame[11] >> 4 == 0
    text, packet = frame[BEFORE:-BEHIND], None
    if frame[13] == SYN:
        number = int.from_bytes(text[:3], "big")
        text, packet = text[3:], (number >> 12, number & 0xFFF)
    return Frame(
        up=up,
        centre=frame[2] if up else frame[7],
        station=(frame[3:8] if up else frame[2:7]).hex().upper(),
        password=frame[8:10],
        function=frame[10],
        packet=packet,
        text=text,
        end=frame[-3],
    )


def _size(buffer: bytes, at: int) -> int | None:
    """Return the size (bytes) of the frame that begins there; 0: none does, None: too little is there."""
    if buffer[at : at + 2] != HEAD[: len(buffer) - at]:
        return 0
    if len(buffer) < at + BEFORE:
        return None
    length = int.from_bytes(buffer[at + 11 : at + 13], "big")
    # a text has its stamp at least, a packet its number
    good = buffer[at + 13] in (STX, SYN) and length >> 12 in (0, 8) and length & 0xFFF > 3
    return BEFORE + (length & 0xFFF) + BEHIND if good else 0


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)  # noqa: PLW2901 - a shift register
        table.append(value)
    return table


_CRC = _table()
#: buffer -> frames in this piece of a stream, rest (under 4,112 bytes) that may begin the next one
split = partial(
    _stream.split, _stream.Framing(first=HEAD[:1], size=_size, is_sound=is_sound, shortest=BEFORE)
)
