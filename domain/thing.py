"""Stations, what they observe, and the hazard sites that they watch (OGC SensorThings words)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.clock import aware

#: Sites are spread over this many partitions; one warning process holds each, in order.
PARTITIONS = 4


class Mode(StrEnum):
    """Whether a site is real; it labels everything that follows from its data."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One result as a station tells it: by names, before the registry knows it.

    `phenomenon_time` is None where the payload carries no time; text results are states, not observations.
    """

    thing: str
    datastream: str
    phenomenon_time: datetime | None
    result: float | str
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.phenomenon_time is not None:
            aware(self.phenomenon_time, "phenomenon_time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One result of one Datastream (its number in the registry), in the Datastream's unit."""

    datastream: int
    phenomenon_time: datetime
    result: float

    def __post_init__(self) -> None:
        aware(self.phenomenon_time, "phenomenon_time")


def partition_of(site: int) -> int:
    """Return the partition that the work of this hazard site belongs to."""
    return site % PARTITIONS
