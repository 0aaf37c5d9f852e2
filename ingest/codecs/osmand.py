"""OsmAnd and Traccar Client, by HTTP: a query string, or JSON as Traccar Client 9 writes it.

The thing is the id that the device writes. Source: Traccar's OsmAnd protocol (OsmAndProtocolDecoder and its
test): speed is in knots in a query and in m/s in JSON; a time without offset is UTC, no time at all is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from domain import wire
from domain.clock import from_epoch
from domain.geo import Position
from domain.patrol import TrackPoint
from ingest import fields
from ingest.decoded import Decoded, Report

TOPIC = "http/osmand/+"

KNOT_M_S = 1852 / 3600
#: from here on a time is in milliseconds: the end of 32-bit seconds
MILLISECONDS_FROM = 2**31 - 1
#: words of the query that become fields of the fix
TOLD = frozenset(
    ("id", "deviceid", "lat", "lon", "location", "timestamp", "altitude", "accuracy", "speed", "bearing",
     "heading", "batt", "charge", "mock")
)  # fmt: skip
COORDS = frozenset(("latitude", "longitude", "altitude", "accuracy", "speed", "heading"))
ABOUT_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What one message says, whichever form it has; numbers are plain, unknown ones None."""

    at: datetime
    place: tuple[float, float] | None  # lat, lon
    altitude_m: float | None
    accuracy_m: float | None
    speed_m_s: float | None
    course_deg: float | None
    alarm: str
    extra: Mapping[str, object]
    body: Mapping[str, object]


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError: it names no device, or is neither JSON nor a query."""
    device, message = _message(payload)
    if not device:
        raise ValueError("nobody is named as the sender: the device writes no id")
    try:
        said = (_json if payload.lstrip().startswith(b"{") else _query)(message, received_at)
        return _decoded(device, said)
    except ValueError as error:
        return Decoded(device=device, reports=_call_for_help(device, message), problems=(str(error),))


def device_of(payload: bytes) -> str:
    """Return the id that the device writes, '' when there is none to be read."""
    try:
        return _message(payload)[0]
    except ValueError:
        return ""


def _message(payload: bytes) -> tuple[str, Mapping[str, object]]:
    """Return the device and what it says: a JSON object, or the words of a query, lists where repeated."""
    wire.check_size(payload)
    if payload.lstrip().startswith(b"{"):
        message = wire.decode(payload)
        return str(message.get("device_id") or ""), message
    words: dict[str, object] = {}
    for name, value in parse_qsl(payload.decode().lstrip("/?").strip(), keep_blank_values=True):
        known = words.get(name)
        words[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    return str(words.get("id") or words.get("deviceid") or ""), words


def _decoded(device: str, said: _Said) -> Decoded:
    """Return the fix; an alarm, and a message without a valid place, become reports."""
    position = None
    if said.place is not None:
        lat, lon = said.place
        position = Position(lon=lon, lat=lat, altitude_m=said.altitude_m)
    valid = position is not None and str(said.body.get("valid", "true")).lower() not in ("false", "0")
    kinds = [*(["alarm"] if said.alarm else []), *([] if valid else ["status"])]
    reports = tuple(
        Report(device=device, kind=kind, at=said.at, position=position, body=fields.document(said.body),
               about=said.alarm[:ABOUT_LENGTH] if kind == "alarm" else "")
        for kind in kinds
    )  # fmt: skip
    if position is None or not valid:
        return Decoded(device=device, reports=reports)
    fix = TrackPoint(
        device=device, at=said.at, position=position, accuracy_m=said.accuracy_m, speed_m_s=said.speed_m_s,
        course_deg=said.course_deg, extra=fields.document(said.extra) or None,
    )  # fmt: skip
    return Decoded(device=device, fixes=(fix,), reports=reports)


def _call_for_help(device: str, message: Mapping[str, object]) -> tuple[Report, ...]:
    """Return the alarm of a message of which the rest cannot be read: it must be heard all the same."""
    location = message.get("location")
    alarm = message.get("alarm") or (location.get("alarm") if isinstance(location, dict) else None)
    if not alarm:
        return ()
    about = str(alarm)[:ABOUT_LENGTH] if str(alarm).isprintable() else ""
    return (Report(device=device, kind="alarm", at=None, about=about, body={"alarm": about}),)


def _query(words: Mapping[str, object], received_at: datetime) -> _Said:
    place = None
    if words.get("location"):
        lat, _, lon = fields.text(words, "location").partition(",")
        place = _number({"location": lat}, "location"), _number({"location": lon}, "location")
    elif "lat" in words or "lon" in words:
        place = _number(words, "lat"), _number(words, "lon")
    knots, course = _measured(words, "speed"), "bearing" if "bearing" in words else "heading"
    extra = {name: value for name, value in words.items() if name not in TOLD}
    battery = _measured(words, "batt")
    extra |= {} if battery is None else {"battery": battery}
    flags = {"charge": "charging", "mock": "mock"}
    extra |= {told: _true(words[name]) for name, told in flags.items() if name in words}
    return _Said(
        at=_time(words.get("timestamp"), received_at),
        place=place,
        altitude_m=_number(words, "altitude") if words.get("altitude") else None,
        accuracy_m=_measured(words, "accuracy"),
        speed_m_s=None if knots is None else knots * KNOT_M_S,
        course_deg=_measured(words, course),
        alarm=str(words.get("alarm") or ""),
        extra=extra,
        body=words,
    )


def _json(message: Mapping[str, object], received_at: datetime) -> _Said:
    location = dict(fields.mapping(message.get("location")))
    coords = fields.mapping(location.get("coords") or {})
    battery = fields.mapping(location.get("battery") or {})
    level = _measured(battery, "level")
    extra = {name: value for name, value in location.items() if name not in ("coords", "timestamp", "_")}
    extra |= {name: value for name, value in coords.items() if name not in COORDS}
    extra.pop("battery", None)
    extra |= {} if level is None else {"battery": round(level * 100, 1)}
    extra |= {"charging": battery["is_charging"]} if "is_charging" in battery else {}
    return _Said(
        at=_time(location.get("timestamp"), received_at),
        place=(_number(coords, "latitude"), _number(coords, "longitude")) if coords else None,
        altitude_m=fields.optional_number(coords, "altitude"),
        accuracy_m=_measured(coords, "accuracy"),
        speed_m_s=_measured(coords, "speed"),
        course_deg=_measured(coords, "heading"),
        alarm=str(message.get("alarm") or location.get("alarm") or ""),
        extra=extra,
        body=location | ({"alarm": message["alarm"]} if "alarm" in message else {}),
    )


def _time(written: object, received_at: datetime) -> datetime:
    """Return the time: s or ms since 1970, ISO 8601, `yyyy-MM-dd HH:mm:ss`; nothing is that of receipt."""
    if written is None or written == "":
        return received_at
    if isinstance(written, str) and not fields.NUMBER.fullmatch(written):
        return fields.time_of(written, "timestamp", naive=UTC)
    number = fields.number(float(written) if isinstance(written, str) else written, "timestamp")
    return from_epoch(number if number < MILLISECONDS_FROM else number / 1000)


def _number(words: Mapping[str, object], name: str) -> float:
    """Return a number, also one that is written as a text, as in a query."""
    value = words.get(name)
    return fields.number(float(value) if isinstance(value, str) and fields.NUMBER.fullmatch(value.strip())
                         else value, name)  # fmt: skip


def _measured(words: Mapping[str, object], name: str) -> float | None:
    """Return the number of that name; None when it is missing or negative, which means not known."""
    value = _number(words, name) if words.get(name) not in (None, "") else None
    return None if value is None or value < 0 else value


def _true(word: object) -> bool:
    return str(word).lower() in ("true", "1")
