"""OwnTracks phones, by MQTT (`owntracks/<user>/<device>` and below) and by HTTP: fixes and reports.

The thing is <user>/<device>. Source: OwnTracks booklet (JSON, HTTP, encryption), the project's JSON schema;
and what phones write against them: `tst` as a text or in milliseconds, -1 for what is not known, arrays.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from domain import wire
from domain.clock import from_epoch
from domain.geo import Position
from domain.patrol import TrackPoint
from domain.settings import Settings
from ingest import fields
from ingest.codecs import _owntracks
from ingest.decoded import Decoded, Report

#: `cmd` is left out: there the platform speaks to the phone. By HTTP a level may be empty: see `_sender`
TOPIC = (
    "owntracks/+/+",
    *(f"owntracks/+/+/{kind}" for kind in ("event", "waypoint", "waypoints", "info", "status", "step",
                                           "beacon", "dump")),
    "http/owntracks/+/+",
)  # fmt: skip

#: a later `tst` is in milliseconds: in seconds it would be the year 5138
MILLISECONDS_FROM = 1e11
#: what of a location has a column or a report of its own, or belongs to the sending
TOLD = frozenset(
    ("_type", "_id", "topic", "tst", "lat", "lon", "alt", "acc", "vel", "cog", "batt", "image", "imagename")
)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload, a message or an array of them; an empty one holds nothing.

    ValueError: no JSON, or nobody is named as the sender.
    """
    if not payload:
        return Decoded(device=_sender(topic, []))
    content = wire.parse(payload)
    many = isinstance(content, list)
    items = content if isinstance(content, list) else [content]
    device = _sender(topic, items)
    fixes: list[TrackPoint] = []
    reports: list[Report] = []
    problems: list[str] = []
    for place, item in enumerate(items):
        try:
            message = _plain(fields.mapping(item))
            if message.get("_type") == "location":
                fixes.append(_location(device, message))
                reports += _interest(fixes[-1], message)
            else:
                reports.append(_report(device, message))
        except ValueError as error:
            problems.append(f"[{place}]: {error}" if many else str(error))
    return Decoded(device=device, fixes=tuple(fixes), reports=tuple(reports), problems=tuple(problems))


def _sender(topic: str, items: list[object]) -> str:
    """Return user and device as the topic names them; by HTTP the first message may name them instead."""
    user, device = topic.removeprefix("http/").split("/")[1:3]
    if not (user and device) and items and isinstance(items[0], dict):
        named = str(items[0].get("topic") or "").split("/")
        user, device = named[1:3] if len(named) >= 3 and named[0] == "owntracks" else (user, device)
    if items and not (user and device):
        raise ValueError(
            "nobody is named as the sender: set user and device in the app, or write ?u=user&d=device"
        )
    return f"{user}/{device}"


def _plain(message: Mapping[str, object]) -> Mapping[str, object]:
    """Return the message itself, or what is in it when it is encrypted."""
    if message.get("_type") != "encrypted":
        return message
    data = fields.text(message, "data")
    try:
        sealed = base64.b64decode(data, validate=True)
    except ValueError:
        raise ValueError(f"data: {fields.quoted(data)} is no base64") from None
    key = Settings.from_env().owntracks_key.encode()
    if not 0 < len(key) <= SecretBox.KEY_SIZE:
        raise ValueError(
            "the message is encrypted: set LIUPAN_OWNTRACKS_KEY to the phones' key (1 to 32 bytes), restart,"
            " then store it with `liupan rejected replay --all`"
        )
    try:
        text = SecretBox(key.ljust(SecretBox.KEY_SIZE, b"\0")).decrypt(sealed)
    except CryptoError:
        raise ValueError(
            "the message is encrypted with another key than LIUPAN_OWNTRACKS_KEY, or damaged"
        ) from None
    inside = fields.mapping(wire.parse(text))
    if inside.get("_type") == "encrypted":
        raise ValueError("the message is encrypted twice")
    return inside


def _location(device: str, message: Mapping[str, object]) -> TrackPoint:
    lon, lat = fields.number(message.get("lon"), "lon"), fields.number(message.get("lat"), "lat")
    speed_km_h, battery = _known(message, "vel"), _known(message, "batt")
    extra = {name: value for name, value in message.items() if name not in TOLD}
    extra |= {} if battery is None else {"battery": battery}
    return TrackPoint(
        device=device,
        at=_time(message.get("tst")),
        position=Position(lon=lon, lat=lat, altitude_m=fields.optional_number(message, "alt")),
        accuracy_m=_known(message, "acc"),
        speed_m_s=None if speed_km_h is None else speed_km_h / 3.6,
        course_deg=_known(message, "cog"),
        extra=fields.document(extra) or None,
    )


def _interest(fix: TrackPoint, message: Mapping[str, object]) -> list[Report]:
    """Return the point of interest that a person has marked at this fix, with its picture."""
    marked = {name: message[name] for name in ("poi", "image", "imagename", "tag") if message.get(name)}
    if not marked.keys() & {"poi", "image"}:
        return []
    about = str(marked.get("poi") or marked.get("imagename") or "")[: _owntracks.ABOUT_LENGTH]
    return [Report(device=fix.device, kind="poi", at=fix.at, about=about, position=fix.position,
                   body=fields.document(marked))]  # fmt: skip


def _report(device: str, message: Mapping[str, object]) -> Report:
    kind = _owntracks.checked(message)
    tst = message.get("tst")
    lon, lat = (fields.optional_number(message, name) for name in ("lon", "lat"))
    return Report(
        device=device,
        kind=kind,
        at=None if tst is None else _time(tst),
        about=_owntracks.about(kind, message),
        position=None if lon is None or lat is None else Position(lon=lon, lat=lat),
        body=fields.document(_owntracks.body(kind, message)),
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
