"""What one payload holds, by the names that its sender uses: what every codec returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.clock import aware
from domain.geo import Position
from domain.incident import ANSWERS
from domain.lead import Lead
from domain.patrol import Patrol, TrackPoint
from domain.reply import Reply
from domain.thing import Reading


class Numbered(NamedTuple):
    """One result of a datastream that its sender knows by its number in the registry (OGC SensorThings).

    `phenomenon_time` is None where the payload carries no time; text results are states.
    """

    datastream: int
    phenomenon_time: datetime | None
    result: float | str


#: what a phone may say of an alert that reached it
RECEIPTS = frozenset({"received", "acting"})
#: longest name and longest description of a file
TEXT_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a phone answered to an order (a state of its dispatch) or to a delivery (received, acting)."""

    id: UUID
    device: str
    subject: UUID
    state: str
    at: datetime

    def __post_init__(self) -> None:
        aware(self.at, "time of the answer")
        if self.state not in ANSWERS | RECEIPTS:
            states = ", ".join([*sorted(ANSWERS), *sorted(RECEIPTS)])
            raise ValueError(f"state {self.state!r} is none of {states}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a device says besides values and fixes: a zone entered, an alarm, its state, its owner's card.

    `kind` is its name in the sender's protocol, `about` tells two of one kind and time apart, in a few words
    for people. `at` is None where the sender gives no time; `body` is the JSON object as it came.
    """

    device: str
    kind: str
    at: datetime | None
    about: str = ""
    position: Position | None = None
    body: Mapping[str, object]

    def __post_init__(self) -> None:
        if self.at is not None:
            aware(self.at, "time of the report")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationFile:
    """A file that a station sent: a picture, a part of one, raw GNSS observations, a reply in bytes.

    `name` is what the station calls its source, `at` is None where it tells no time. ValueError: no bytes, or
    texts that no table and no list can hold.
    """

    thing: str
    name: str
    media_type: str
    at: datetime | None
    description: str = ""
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.at is not None:
            aware(self.at, "time of the file")
        if not self.data:
            raise ValueError("a file without bytes")
        for what, text in (("name", self.name), ("description", self.description)):
            if len(text) > TEXT_LENGTH or not text.isprintable():
                raise ValueError(f"the {what} of a file has at most {TEXT_LENGTH} printable characters")
        if not self.name:
            raise ValueError("a file without a name")


class Decoded(NamedTuple):
    """The contents of one payload; `problems` says which parts could not be read, and why.

    `device` is who seems to have sent it; `id` is the sender's name for the message, to be told its fate.
    `unit_told` is true where the sender itself wrote the units, false where the format implies them.
    `key_sha256` is that of the apikey that came with it, '' without one; None: the door asks for none.
    """

    device: str = ""
    id: str | None = None
    readings: tuple[Reading, ...] = ()
    numbered: tuple[Numbered, ...] = ()
    unit_told: bool = False
    fixes: tuple[TrackPoint, ...] = ()
    patrols: tuple[Patrol, ...] = ()
    leads: tuple[Lead, ...] = ()
    files: tuple[StationFile, ...] = ()
    answers: tuple[Answer, ...] = ()
    replies: tuple[Reply, ...] = ()
    reports: tuple[Report, ...] = ()
    key_sha256: str | None = None
    problems: tuple[str, ...] = ()


#: topic, payload, time of receipt -> contents; ValueError says why nothing of the payload can be read
Decode = Callable[[str, bytes, datetime], Decoded]
