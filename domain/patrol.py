"""An inspector's round and its fixes, as the phone says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.clock import aware
from domain.geo import Position

#: no device measures more (m, m/s, degrees): such a number is a mistake of its sender
LARGEST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPoint:
    """One fix of a device: where and when; accuracy in m, speed in m/s, course in degrees from north.

    `extra` is what else was said with it, a JSON object in the sender's words; of these `battery` (%), `mock`
    (true where the device says that the place is pretended) and `untimed` (true where the time was made up)
    mean the same whoever says them. ValueError: a time without offset, a number beyond LARGEST.
    """

    device: str
    at: datetime
    position: Position
    accuracy_m: float | None = None
    speed_m_s: float | None = None
    course_deg: float | None = None
    extra: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        aware(self.at, "fix time")
        for name in ("accuracy_m", "speed_m_s", "course_deg"):
            _measured(getattr(self, name), name)
        _measured(self.position.altitude_m, "altitude_m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patrol:
    """One round of an inspector; `ended_at` is None while it goes on."""

    id: UUID
    device: str
    inspector: str
    started_at: datetime
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        aware(self.started_at, "patrol start")
        if self.ended_at is not None and aware(self.ended_at, "patrol end") < self.started_at:
            raise ValueError("the patrol ends before it starts")


def _measured(value: float | None, name: str) -> None:
    if value is not None and not abs(value) <= LARGEST:
        raise ValueError(f"{name} {value} is nothing that a device can measure")
