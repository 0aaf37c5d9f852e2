"""Fixes of a phone in the platform's own format, any number in one message, in any order.

{"id", "points": [{"at", "lon", "lat", "altitude_m"?, "accuracy_m"?, "speed_m_s"?, "course_deg"?}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain.patrol import TrackPoint
from domain.wire import UP
from ingest import fields
from ingest.codecs import _own
from ingest.decoded import Decoded

TOPIC = f"{UP}/+/track"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON object."""
    return _own.read(topic, payload, _track)


def _track(device: str, name: str | None, message: Mapping[str, object]) -> Decoded:
    fixes: list[TrackPoint] = []
    problems: list[str] = []
    for place, item in enumerate(fields.entries(message, "points")):
        try:
            fixes.append(_fix(device, fields.mapping(item)))
        except ValueError as error:
            problems.append(f"points[{place}]: {error}")
    return Decoded(device=device, id=name, fixes=tuple(fixes), problems=tuple(problems))


def _fix(device: str, item: Mapping[str, object]) -> TrackPoint:
    return TrackPoint(
        device=device,
        at=fields.time(item, "at"),
        position=fields.position(item),
        accuracy_m=fields.optional_number(item, "accuracy_m"),
        speed_m_s=fields.optional_number(item, "speed_m_s"),
        course_deg=fields.optional_number(item, "course_deg"),
    )
