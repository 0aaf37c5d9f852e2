"""What one payload holds, by the names that its sender uses: what every codec returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.clock import aware
from domain.incident import ANSWERS
from domain.lead import Lead
from domain.patrol import Patrol, TrackPoint
from domain.thing import Reading

#: what a phone may say of an alert that reached it
RECEIPTS = frozenset({"received", "acting"})


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


class Decoded(NamedTuple):
    """The contents of one payload; `problems` says which parts could not be read, and why.

    `device` is who seems to have sent it; `id` is the sender's name for the message, to be told its fate.
    `unit_told` is true where the sender itself wrote the units, false where the format implies them.
    """

    device: str = ""
    id: str | None = None
    readings: tuple[Reading, ...] = ()
    unit_told: bool = False
    fixes: tuple[TrackPoint, ...] = ()
    patrols: tuple[Patrol, ...] = ()
    leads: tuple[Lead, ...] = ()
    answers: tuple[Answer, ...] = ()
    problems: tuple[str, ...] = ()


#: topic, payload, time of receipt -> contents; ValueError says why nothing of the payload can be read
Decode = Callable[[str, bytes, datetime], Decoded]
