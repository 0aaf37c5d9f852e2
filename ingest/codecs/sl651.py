"""Hydrological stations that speak SL 651-2014 in HEX/BCD, over TCP; the thing is the station's address.

A payload is one frame, or all packets of one text, one behind the other. Times are Beijing time. A report
for testing (30) belongs into a test database by 6.6.4.3: its elements are named `test/<mnemonic>`.
Source: SL 651-2014 水文监测数据通信规约, table B.1 (functions); the texts of reports are in `_sl651_text`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ingest.codecs._sl651_frame import STAMP, SYN, Frame, ack, is_sound, nak, packets, split
from ingest.codecs._sl651_text import Text, clock, read
from ingest.decoded import Decoded

__all__ = ["TOPIC", "ack", "answer", "decode", "nak", "split", "station_of"]

TOPIC = "tcp/sl651/+"

KEEP_ALIVE, TEST, VERSION = 0x2F, 0x30, 0x45
#: 均匀时段水文信息报 and the answer to a query of history: one element, many results
SERIES = frozenset({0x31, 0x38})
#: reports whose text holds elements; 31 to 39 also pictures (36) and what people typed in (35, 39)
REPORTS = frozenset({*range(0x30, 0x3B), 0x44, 0x46})
#: what a station says of itself when it is asked or set: configuration (40 to 43), version, log, ...
SETTINGS = frozenset({*range(0x40, 0x52)} - REPORTS)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError: a frame is broken, packets are missing, or it comes from no station."""
    frame = _joined(packets(payload))
    if not frame.up:
        raise ValueError(f"a frame from the centre to station {frame.station}: stations send none")
    if len(frame.text) < STAMP:
        raise ValueError(
            f"function {frame.function:02X}: {len(frame.text)} bytes hold no serial number and time"
        )
    text = Text(
        data=frame.text[STAMP:],
        station=frame.station,
        time=None,
        is_series=frame.function in SERIES,
        prefix="test/" if frame.function == TEST else "",
    )
    if frame.function in REPORTS | SETTINGS:
        try:
            text.time = clock(frame.text[2:STAMP], "time of sending")
        except ValueError as error:
            text.problems.append(str(error))
    elif frame.function != KEEP_ALIVE:
        raise ValueError(f"function {frame.function:02X} is not known")
    if frame.function in REPORTS:
        read(text)
    elif frame.function in SETTINGS:
        _settings(text, frame.function)
    return Decoded(
        device=frame.station,
        readings=tuple(text.readings),
        files=tuple(text.files),
        problems=tuple(text.problems),
    )


def station_of(frame: bytes) -> str:
    """Return the station that a frame going up names, broken or not."""
    return frame[3:8].hex().upper()


def answer(payload: bytes) -> bytes:
    """Return what the station hears once the payload is kept, in quarantine too; empty: nothing.

    A frame with a wrong check is asked for again; a packet is not, `_sl651_packets` asks for what is missing.
    """
    if not is_sound(payload) and not _is_packet(payload):
        return nak(payload)
    try:
        frames = packets(payload)
        _joined(frames)
    except ValueError:
        return b""
    return ack(payload) if frames[0].up and frames[0].function != KEEP_ALIVE else b""


def _is_packet(payload: bytes) -> bool:
    return payload[13] == SYN


def _joined(frames: list[Frame]) -> Frame:
    """Return one frame with the whole text; ValueError says which packets are missing."""
    first = frames[0]
    if first.packet is None:
        if len(frames) > 1:
            raise ValueError(f"{len(frames)} whole frames in one payload: send each alone")
        return first
    total, texts = first.packet[0], {frame.packet[1]: frame.text for frame in frames if frame.packet}
    if any(frame.kin != first.kin for frame in frames) or max(texts) > total:
        raise ValueError(f"the packets are not all of one text of {total} packets")
    missing = [str(number) for number in range(1, total + 1) if number not in texts]
    if missing:
        told = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise ValueError(f"{len(texts)} of {total} packets: {told} did not come")
    return replace(first, packet=None, text=b"".join(texts[number] for number in range(1, total + 1)))


def _settings(text: Text, function: int) -> None:
    """Keep what a station says of itself as a text, in HEX but for the version of its software."""
    told = text.data[7:] if text.data[:2] == b"\xf1\xf1" else text.data
    if told and function == VERSION and told[0] == len(told) - 1:
        text.say("version", told[1:].decode("gb2312", errors="backslashreplace"))
    elif told:
        text.say(f"F{function:02X}", told.hex().upper())
