"""The protocols that stations speak over TCP, each on a port of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest.codecs import _sl651_frame, _sl651_packets, sl651, szy206
from ingest.codecs._sl651_packets import Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How the stations on one port speak: what their codec's module says of a stream of its frames."""

    name: str
    split: Callable[[bytes], tuple[list[bytes], bytes]]
    is_sound: Callable[[bytes], bool]
    station_of: Callable[[bytes], str]
    answer: Callable[[bytes], bytes]
    #: packets that wait, frame, clock (s) -> payloads to store now, what the station hears at once
    join: Callable[[Waiting, bytes, float], tuple[list[bytes], bytes]]


SL651 = Protocol(
    name="sl651",
    split=sl651.split,
    is_sound=_sl651_frame.is_sound,
    station_of=sl651.station_of,
    answer=sl651.answer,
    join=_sl651_packets.take,
)
SZY206 = Protocol(
    name="szy206",
    split=szy206.split,
    is_sound=szy206.is_sound,
    station_of=szy206.station_of,
    answer=szy206.answer,
    join=lambda _, frame, __: ([frame], b""),
)
