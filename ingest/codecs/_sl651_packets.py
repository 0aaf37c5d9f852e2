"""The packets of long SL 651-2014 texts, collected until a text is whole (mode M3: many packets, one answer).

Source: SL 651-2014, 6.3.2.2 c and tables 22 and 23: the last packet ends in ETX, and so does each one that is
sent again; what is missing is asked for one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.codecs._sl651_frame import BEFORE, BEHIND, ETX, nak, parse

#: packets that wait so long (s) for another one are handed over as they are
PATIENCE_S = 60.0
#: a text of more bytes is handed over in pieces
LONGEST = 1_000_000


@dataclass(slots=True)
class Waiting:
    """The packets of one text by their numbers; `since` is when the last one came (s)."""

    frames: dict[int, bytes] = field(default_factory=dict)
    kin: tuple[object, ...] = ()
    size: int = 0
    asked: int = 0
    since: float = 0.0


def take(waiting: Waiting, frame: bytes, now_s: float) -> tuple[list[bytes], bytes]:
    """Return the payloads that are to be stored now, and what the station is to hear at once."""
    try:
        parts = parse(frame)
    except ValueError:
        return [frame], b""
    if parts.packet is None:
        return [frame], b""
    total, number = parts.packet
    known = waiting.frames.get(number, b"")
    is_other = bool(known) and known[BEFORE:-BEHIND] != frame[BEFORE:-BEHIND]
    payloads = late(waiting, now_s, 0) if is_other or waiting.kin != parts.kin else []
    waiting.size += len(frame) - len(waiting.frames.get(number, b""))
    waiting.frames[number], waiting.kin, waiting.since = frame, parts.kin, now_s
    missing = next((n for n in range(1, total + 1) if n not in waiting.frames), None)
    if missing is None or waiting.size > LONGEST:
        return payloads + late(waiting, now_s, 0), b""
    if parts.end != ETX or waiting.asked >= total:
        return payloads, b""
    waiting.asked += 1
    return payloads, nak(waiting.frames.get(1, frame), missing)


def late(waiting: Waiting, now_s: float, patience_s: float = PATIENCE_S) -> list[bytes]:
    """Return what waits for no more packets, in the order of their numbers, and forget it."""
    if not waiting.frames or now_s - waiting.since < patience_s:
        return []
    payload = b"".join(waiting.frames[number] for number in sorted(waiting.frames))
    waiting.frames, waiting.size, waiting.asked = {}, 0, 0
    return [payload]
