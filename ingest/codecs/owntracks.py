"""OwnTracks phones: JSON on `owntracks/<user>/<device>`, of which locations are stored.

The thing is <user>/<device>. Source: OwnTracks booklet, JSON chapter; and what phones write against it: `tst`
as a text or in milliseconds, -1 for what is not known, arrays of messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain import wire
from domain.clock import from_epoch
from domain.geo import Position
from domain.patrol import TrackPoint
from ingest import fields
from ingest.decoded import Decoded

TOPIC = "owntracks/+/+"

#: a later `tst` is in milliseconds: in seconds it would be the year 5138
MILLISECONDS_FROM = 1e11


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload, a message or an array of them; an empty one holds nothing. ValueError: no JSON."""
    device = topic.partition("/")[2]
    if not payload:
        return Decoded(device=device)
    content = wire.parse(payload)
    fixes: list[TrackPoint] = []
    problems: list[str] = []
    many = isinstance(content, list)
    for place, item in enumerate(content if isinstance(content, list) else [content]):
        try:
            fixes.append(_location(device, fields.mapping(item)))
        except ValueError as error:
            problems.append(f"[{place}]: {error}" if many else str(error))
    return Decoded(device=device, fixes=tuple(fixes), problems=tuple(problems))


def _location(device: str, message: Mapping[str, object]) -> TrackPoint:
    kind = message.get("_type")
    if not isinstance(kind, str) or not kind.isidentifier():
        raise ValueError(f"_type: {fields.quoted(kind)} is no type of an OwnTracks message")
    if kind != "location":
        raise ValueError(f"owntracks {kind[: fields.QUOTED]} is not stored yet")
    lon, lat = fields.number(message.get("lon"), "lon"), fields.number(message.get("lat"), "lat")
    speed_km_h = _known(message, "vel")
    return TrackPoint(
        device=device,
        at=_time(message.get("tst")),
        position=Position(lon=lon, lat=lat, altitude_m=fields.optional_number(message, "alt")),
        accuracy_m=_known(message, "acc"),
        speed_m_s=None if speed_km_h is None else speed_km_h / 3.6,
        course_deg=_known(message, "cog"),
    )


def _time(tst: object) -> datetime:
    if isinstance(tst, str) and fields.NUMBER.fullmatch(tst.strip()):
        tst = float(tst)
    seconds = fields.number(tst, "tst")
    return from_epoch(seconds / 1000 if abs(seconds) >= MILLISECONDS_FROM else seconds)


def _known(message: Mapping[str, object], name: str) -> float | None:
    """Return the number of that name; None when it is missing or negative, which means not known."""
    value = fields.optional_number(message, name)
    return None if value is None or value < 0 else value
