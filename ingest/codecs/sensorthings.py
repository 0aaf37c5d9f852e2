"""Observations of OGC SensorThings API 1.1: one, a list of them, or data arrays, by MQTT and HTTP.

{"result", "phenomenonTime"?, "Datastream"?: {"@iot.id": 7}}, or {"Datastream", "components", "dataArray"}.
The number is that of the datastream in our registry; a topic Datastreams(7)/Observations may name it instead.
Read over, for want of a place: resultTime, resultQuality, validTime, parameters, and FeatureOfInterest,
which here is the hazard site of the thing. Source: OGC 18-088 (Observation; MQTT and data array extensions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from domain import wire
from ingest import fields
from ingest.decoded import Decoded, Numbered

TOPIC = ("v1.1/Observations", "v1.1/+/Observations", "http/sta/Observations", "http/sta/+/Observations",
         "http/sta/CreateObservations")  # fmt: skip

#: an entity's path, as at the end of a topic or link
DATASTREAM = re.compile(r"Datastreams\((\d{1,18})\)", re.ASCII)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON or a single Observation that cannot be read."""
    content = wire.parse(payload)
    if not is_many(content):
        return Decoded(numbered=(_observation(fields.mapping(content), number_in(topic)),))
    found = list(results(topic, content))
    return Decoded(
        numbered=tuple(each for each in found if isinstance(each, Numbered)),
        problems=tuple(each for each in found if isinstance(each, str)),
    )


def is_many(content: object) -> bool:
    """Tell whether the payload is a list or data array, of which a part may be stored."""
    return isinstance(content, list) or (isinstance(content, dict) and "dataArray" in content)


def results(topic: str, content: object) -> Iterator[Numbered | str]:
    """Yield every Observation of a list or data array in its order, or why that one cannot be read."""
    number = number_in(topic)
    for place, item in enumerate(content if isinstance(content, list) else [content]):
        name = f"[{place}]" if isinstance(content, list) else ""
        try:
            message = fields.mapping(item)
            if "dataArray" in message:
                yield from _data_array(message, number, name)
            else:
                yield _observation(message, number)
        except ValueError as error:
            yield f"{name}: {error}" if name else str(error)


def _data_array(message: Mapping[str, object], number: int | None, name: str) -> Iterator[Numbered | str]:
    components = fields.entries(message, "components")
    if "result" not in components or not all(isinstance(each, str) for each in components):
        raise ValueError(
            f"components: {fields.quoted(components)} is no list of names with result among them"
        )
    datastream = _datastream(message, number)
    for place, row in enumerate(fields.entries(message, "dataArray")):
        try:
            if not isinstance(row, list) or len(row) != len(components):
                raise ValueError(f"{fields.quoted(row)} is no list of {len(components)} values")
            yield _numbered(dict(zip(map(str, components), row, strict=True)), datastream)
        except ValueError as error:
            yield f"{name}dataArray[{place}]: {error}"


def _observation(message: Mapping[str, object], number: int | None) -> Numbered:
    return _numbered(message, _datastream(message, number))


def _numbered(message: Mapping[str, object], datastream: int) -> Numbered:
    result = message.get("result")
    if not isinstance(result, str):
        result = fields.number(result, "result")
    elif fields.NUMBER.fullmatch(result.strip()):
        raise ValueError(f"result: {fields.quoted(result)} is a text: write the number without quotes")
    return Numbered(datastream=datastream, phenomenon_time=_time(message), result=result)


def _time(message: Mapping[str, object]) -> datetime | None:
    """Return the instant, or the end of the interval; None: the time of receipt stands for it.

    A sum or mean over an interval is known at its end, and rules take rain as that of the time before.
    """
    if message.get("phenomenonTime") is None:
        return None
    begin, slash, end = fields.text(message, "phenomenonTime").partition("/")
    at = fields.time_of(begin, "phenomenonTime")
    if not slash:
        return at
    until = fields.time_of(end, "phenomenonTime")
    if until < at:
        raise ValueError(f"phenomenonTime: the interval {begin}/{fields.quoted(end)} ends before it begins")
    return until


def _datastream(message: Mapping[str, object], number: int | None) -> int:
    """Return the number of the datastream, said by the body, the topic, or both alike."""
    if "MultiDatastream" in message:
        raise ValueError("MultiDatastream: there are none here: send each result to its own Datastream")
    if message.get("Datastream") is None:
        if number is None:
            raise ValueError('Datastream is missing: write "Datastream": {"@iot.id": <its number>}')
        return number
    named = _named(fields.mapping(message["Datastream"]))
    if number not in (None, named):
        raise ValueError(f"Datastream: the body says {named}, the topic Datastreams({number})")
    return named


def _named(datastream: Mapping[str, object]) -> int:
    """Return the number in an entity's `@iot.id` or, where that is missing, in its `@iot.selfLink`."""
    value = datastream.get("@iot.id")
    if value is None and isinstance(link := datastream.get("@iot.selfLink"), str):
        value = number_in(link.rpartition("/")[2])
    if isinstance(value, bool) or not isinstance(value, int):
        said = fields.quoted(datastream)
        raise ValueError(f"Datastream: {said} names no registered one: write its number as @iot.id")
    return value


def number_in(path: str) -> int | None:
    """Return the number in the Datastreams(<number>) of a topic or link; None: it names none."""
    found = DATASTREAM.search(path)
    return int(found[1]) if found else None
