"""Stations, what they observe, and the hazard sites that they watch (OGC SensorThings words)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.clock import aware

#: Sites are spread over this many partitions; one warning process holds each, in order.
PARTITIONS = 4


class Mode(StrEnum):
    """Whether a site is real; it labels everything that follows from its data."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    TEST = "test"


class Reading(NamedTuple):
    """One result as a station tells it: by names, before the registry knows it.

    `phenomenon_time` carries its offset; it is None where the payload has no time. A text result is a state,
    no observation.
    """

    thing: str
    datastream: str
    phenomenon_time: datetime | None
    result: float | str
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One result of one Datastream (its number in the registry), in the Datastream's unit, with its marks."""

    datastream: int
    phenomenon_time: datetime
    result: float
    flags: int = 0

    def __post_init__(self) -> None:
        aware(self.phenomenon_time, "phenomenon_time")


def partition_of(site: int) -> int:
    """Return the partition that the work of this hazard site belongs to."""
    return site % PARTITIONS
