"""LoRaWAN devices behind ChirpStack v4: its MQTT integration, JSON (`application/+/device/+/event/+`).

The thing is the DevEUI; each number of the decoded `object` is a datastream by its path in it, as `accel/x`.
Source: ChirpStack v4, Integrations, Event types, and api/proto/integration/integration.proto. Protobuf's JSON
leaves out what is zero, and both copies of an uplink that came over two gateways have one time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from domain.geo import Position
from domain.patrol import TrackPoint
from domain.thing import Reading
from domain.wire import decode as json_object
from ingest import fields
from ingest.decoded import Decoded, Report

TOPIC = "application/+/device/+/event/+"

#: events that are kept as reports: what a device did in its network, and what went wrong
REPORTS = ("join", "ack", "txack", "log", "integration")
ABOUT_LENGTH = 200

Values = Iterator[tuple[str, float | str, str | None]]


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one event, whose kind the topic says; ValueError: no JSON object, no such event, no device."""
    event = topic.rpartition("/")[2]
    message = json_object(payload)
    thing = fields.text(fields.mapping(message.get("deviceInfo")), "devEui")
    if not thing:
        raise ValueError("deviceInfo.devEui is empty")
    at = fields.time(message, "time") if message.get("time") else None
    if event == "location":
        return Decoded(device=thing, fixes=(_fix(thing, message, at or received_at),))
    if event in REPORTS:
        about = str(message.get("code") or message.get("eventType") or "")[:ABOUT_LENGTH]
        said = Report(device=thing, kind=event, at=at, about=about, body=fields.document(message))
        return Decoded(device=thing, reports=(said,))
    if event not in ("up", "status"):
        kinds = ", ".join(("up", "status", "location", *REPORTS))
        raise ValueError(
            f"the topic ends in {fields.quoted(event)}, which is no event of ChirpStack v4: {kinds}"
        )
    values, problems = _values(event, message)
    readings = tuple(
        Reading(thing=thing, datastream=name, phenomenon_time=at, result=result, unit=unit)
        for name, (result, unit) in values.items()
    )
    return Decoded(device=thing, readings=readings, problems=tuple(problems))


def _values(
    event: str, message: Mapping[str, object]
) -> tuple[dict[str, tuple[float | str, str | None]], list[str]]:
    """Return datastream -> (result, unit), and what of the message cannot be used."""
    values: dict[str, tuple[float | str, str | None]] = {}
    problems: list[str] = []
    found = [_radio(message), _object(message, problems)] if event == "up" else [_status(message)]
    for source in found:
        try:
            for name, result, unit in source:
                if name in values:
                    problems.append(
                        f"object.{name}: the datastream {name!r} is the radio's own; name it otherwise"
                    )
                values.setdefault(name, (result, unit))
        except ValueError as error:
            problems.append(str(error))
    return values, problems


def _radio(message: Mapping[str, object]) -> Values:
    """Yield the frame counter, and level and signal-to-noise ratio at the gateway that heard it best."""
    yield "fCnt", fields.number(message.get("fCnt", 0), "fCnt"), None
    gateways = [fields.mapping(gateway) for gateway in fields.entries(message, "rxInfo", ())]
    heard = [(fields.number(g["rssi"], "rssi"), g) for g in gateways if g.get("rssi") is not None]
    if heard:
        rssi, best = max(heard, key=lambda pair: pair[0])
        yield "rssi", rssi, "dBm"
        yield "snr", fields.number(best.get("snr", 0), "snr"), "dB"


def _object(message: Mapping[str, object], problems: list[str]) -> Values:
    """Yield the decoded payload; one that ChirpStack did not decode is a problem that says what to do."""
    if message.get("object"):
        yield from _leaves("", message["object"], problems)
    elif message.get("data"):
        problems.append(
            f"fPort {message.get('fPort', 0)}: ChirpStack did not decode the payload: give the device profile"
            " a codec (JavaScript), or decode `data` of this message by one"
        )


def _leaves(path: str, value: object, problems: list[str]) -> Values:
    """Yield what is in an object or a list, by its path; a number may be written as a text."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in pairs:
            yield from _leaves(f"{path}/{name}" if path else str(name), inner, problems)
    elif isinstance(value, bool):
        yield path, str(value).lower(), None
    elif isinstance(value, str) and not fields.NUMBER.fullmatch(value.strip()):
        yield path, value, None
    elif value is not None:
        try:
            number = fields.number(float(value) if isinstance(value, str) else value, path[-fields.QUOTED :])
            yield path, number, None
        except ValueError as error:
            problems.append(f"object.{error}")


def _status(message: Mapping[str, object]) -> Values:
    """Yield the battery's level, unless it is not known or there is none, and the link margin."""
    yield "margin", fields.number(message.get("margin", 0), "margin"), "dB"
    if message.get("externalPowerSource"):
        yield "power", "external", None
    elif not message.get("batteryLevelUnavailable"):
        yield "battery", fields.number(message.get("batteryLevel", 0), "batteryLevel"), "%"


def _fix(thing: str, message: Mapping[str, object], at: datetime) -> TrackPoint:
    location = fields.mapping(message.get("location"))
    lat, lon = (fields.number(location.get(name, 0), name) for name in ("latitude", "longitude"))
    return TrackPoint(
        device=thing, at=at.astimezone(UTC), accuracy_m=fields.optional_number(location, "accuracy"),
        position=Position(lon=lon, lat=lat, altitude_m=fields.optional_number(location, "altitude")),
    )  # fmt: skip
