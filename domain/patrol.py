"""An inspector's round and its fixes, as the phone says them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.clock import aware
from domain.geo import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPoint:
    """One fix of a device: where and when; accuracy in m, speed in m/s, course in degrees from north."""

    device: str
    at: datetime
    position: Position
    accuracy_m: float | None = None
    speed_m_s: float | None = None
    course_deg: float | None = None

    def __post_init__(self) -> None:
        aware(self.at, "fix time")


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
