"""Water-resource stations that speak SZY 206 over TCP; the thing is the address as it stands in the frame.

Frame: 68 L 68 | C A AFN data | CRC 16. C: 80 comes from the station, 40 is a part of a longer text (its
number follows), the low four bits are the kind of data. A: division code (3 bytes of BCD) and address (2
bytes). A long frame (L is 01) has its length behind AFN, low byte first. A report (C0) ends in alarms, states
and Tp: ss mm hh dd in BCD, Beijing time, and the delay that is allowed.
Source: public decoders; the standard itself is not public. Alarms and states, long frames and the answer rest
on one of them (hm1212/szy206-protocol), whose frames have a right check.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial

from domain.thing import Reading
from ingest.codecs import _stream
from ingest.decoded import Decoded

TOPIC = "tcp/szy206/+"

HEAD, LONG, END = 0x68, 0x01, 0x16
UP, PART = 0x80, 0x40
LINK, REPORT = 0x02, 0xC0
#: what other functions are, for people
FUNCTIONS = {0x61: "picture", 0x81: "alarm", 0x82: "typed in by hand", 0xB0: "answer to a query"}
#: kind of data in C -> datastream, bytes of a value, decimals, unit; a second value of the kind is <name>_2
KINDS = {1: ("rain", 3, 1, "mm"), 2: ("level", 4, 3, "m")}
#: bytes of alarms, states and Tp behind the data of a report
ALARMS, STATES, TP = 2, 2, 5
#: no frame is longer (bytes): a piece of a picture has 1,024
LONGEST = 4096
BEIJING = timezone(timedelta(hours=8))
#: a clock may be this much ahead
AHEAD = timedelta(hours=24)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one frame; ValueError: it is broken, or of a kind that is not read yet."""
    if not _is_whole(payload):
        raise ValueError(f"broken SZY206 frame of {len(payload)} bytes")
    if not is_sound(payload):
        raise ValueError(f"bad CRC: {payload[-2]:02X}, the frame gives {crc8(payload[3:-2]):02X}")
    control, station, function = payload[3], station_of(payload), payload[_function_at(payload, 0)]
    if not control & UP:
        raise ValueError(f"a frame from the centre to {station}: stations send none")
    if function == LINK:
        return Decoded(device=station)
    if function != REPORT or control & PART:
        told = FUNCTIONS.get(function, "part of a longer text" if control & PART else "unknown")
        raise ValueError(f"function {function:02X} ({told}) is not read yet")
    data = payload[_function_at(payload, 0) + 1 : -2]
    readings: list[Reading] = []
    problems = tuple(_report(control & 0x0F, station, data, received_at, readings))
    return Decoded(device=station, readings=tuple(readings), problems=problems)


def station_of(frame: bytes) -> str:
    """Return the address that a frame names, broken or not."""
    at = _address_at(frame, 0)
    return frame[at : at + 5].hex().upper()


def answer(payload: bytes) -> bytes:
    """Return what the station hears once the payload is kept, in quarantine too; empty: nothing.

    It is the frame's own head with the direction turned round, and one byte 00. Nothing is known of an answer
    that asks for a frame again, so one with a wrong check is left to the station's own patience.
    """
    if not (_is_whole(payload) and is_sound(payload) and payload[3] & UP):
        return b""
    body = bytes([payload[3] & ~UP & 0xFF]) + payload[4 : _function_at(payload, 0) + 1] + b"\0"
    return bytes([HEAD, len(body), HEAD]) + body + bytes([crc8(body), END])


def crc8(data: bytes) -> int:
    """Return the check of SZY 206: CRC-8, polynomial E5, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0xE5 if crc & 0x80 else 0)) & 0xFF
    return crc


def is_sound(frame: bytes) -> bool:
    """Tell whether the check before the last byte is that of control, address and data."""
    return crc8(frame[3:-2]) == frame[-2]


def _report(
    kind: int, station: str, data: bytes, received_at: datetime, readings: list[Reading]
) -> Iterator[str]:
    """Read a report into `readings`; yield what cannot be read."""
    behind = ALARMS + STATES + TP
    values, tail = data[:-behind], data[-behind:]
    if len(data) < behind:
        yield f"a report of {len(data)} bytes holds no alarms, states and time"
        return
    try:
        at = _time(tail[ALARMS + STATES :], received_at)
    except ValueError as error:
        yield str(error)
        return

    def say(name: str, result: float | str, unit: str | None = None) -> None:
        readings.append(Reading(thing=station, datastream=name, phenomenon_time=at, result=result, unit=unit))

    say("alarms", tail[:ALARMS].hex().upper())
    say("states", tail[ALARMS : ALARMS + STATES].hex().upper())
    if not values.strip(b"\xaa"):
        return  # all AA: no value
    if kind not in KINDS or len(values) % KINDS[kind][1]:
        yield f"data of kind {kind:X}, {len(values)} bytes, are not read yet: {values.hex().upper()}"
        return
    name, size, decimals, unit = KINDS[kind]
    for count in range(len(values) // size):
        try:
            value = _number(values[count * size : (count + 1) * size], decimals, signed=kind == 2)
        except ValueError as error:
            yield f"{name}: {error}"
            continue
        if value is not None:
            say(name if count == 0 else f"{name}_{count + 1}", value, unit)


def _number(data: bytes, decimals: int, *, signed: bool) -> float | None:
    """Return a number in BCD, low byte first; None where all is AA. F in the highest place is a minus."""
    if not data.strip(b"\xaa"):
        return None
    digits = data[::-1].hex()
    sign, digits = (-1.0, digits[1:]) if signed and digits[0] == "f" else (1.0, digits)
    if not digits.isdecimal():
        raise ValueError(f"{data.hex().upper()} is no BCD number")
    return sign * (int(digits) / float(10**decimals))


def _time(tp: bytes, received_at: datetime) -> datetime:
    """Return the time in Tp, which has no month: the last one with this day that is not far ahead."""
    latest = (received_at + AHEAD).astimezone(BEIJING)
    digits = tp[:4].hex()
    for back in range(4 if digits.isdecimal() else 0):  # two months in a row may lack a day
        month = latest.year * 12 + latest.month - 1 - back
        second, minute, hour, day = (int(digits[n : n + 2]) for n in (0, 2, 4, 6))
        with suppress(ValueError):
            at = datetime(month // 12, month % 12 + 1, day, hour, minute, second, tzinfo=BEIJING)
            if at <= latest:
                return at
    raise ValueError(f"Tp: {tp.hex().upper()} is no time (second, minute, hour, day)")


def _address_at(frame: bytes, at: int) -> int:
    """Return where the address stands: behind C, and behind the number of a part."""
    return at + (5 if frame[at + 3] & PART else 4)


def _function_at(frame: bytes, at: int) -> int:
    return _address_at(frame, at) + 5


def _is_whole(payload: bytes) -> bool:
    size = _size(payload, 0)
    return bool(size) and size == len(payload)


def _size(buffer: bytes, at: int) -> int | None:
    """Return the size (bytes) of the frame that begins there; 0: none does, None: too little is there."""
    head = buffer[at : at + 3]
    if head[:1] != bytes([HEAD]) or head[2:] not in (b"", bytes([HEAD])):
        return 0
    if len(buffer) < at + 4:
        return None
    behind = _function_at(buffer, at) + 1
    if buffer[at + 1] != LONG:
        size = 3 + buffer[at + 1] + 2
    elif len(buffer) < behind + 2:
        return None
    else:
        size = behind - at + 2 + int.from_bytes(buffer[behind : behind + 2], "little") + 2
    if not behind - at + 2 <= size <= LONGEST:
        return 0
    return 0 if at + size <= len(buffer) and buffer[at + size - 1] != END else size


#: buffer -> frames in this piece of a stream, rest that may be the beginning of the next one
split = partial(
    _stream.split, _stream.Framing(first=bytes([HEAD]), size=_size, is_sound=is_sound, shortest=12)
)
