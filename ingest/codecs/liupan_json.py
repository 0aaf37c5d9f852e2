"""Observations in the platform's own format: one, or a list of them under `observations`.

{"datastream", "phenomenon_time"?, "result", "unit"?}; the thing is the device of the topic. A number is an
observation, a text is a state of the thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite

from domain.thing import Reading
from domain.wire import UP
from ingest import fields
from ingest.codecs import _own
from ingest.decoded import Decoded

TOPIC = f"{UP}/+/observation"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON object."""
    return _own.read(topic, payload, _observations)


def _observations(device: str, name: str | None, message: Mapping[str, object]) -> Decoded:
    if "observations" not in message:
        return Decoded(device=device, id=name, readings=(_reading(device, message),), unit_told=True)
    readings: list[Reading] = []
    problems: list[str] = []
    for place, item in enumerate(fields.entries(message, "observations")):
        try:
            readings.append(_reading(device, fields.mapping(item)))
        except ValueError as error:
            problems.append(f"observations[{place}]: {error}")
    return Decoded(device=device, id=name, readings=tuple(readings), unit_told=True, problems=tuple(problems))


def _reading(device: str, item: Mapping[str, object]) -> Reading:
    result, name, unit = item.get("result"), item.get("datastream"), item.get("unit")
    if type(result) is not float or not isfinite(result):
        result = _result(result)
    if type(name) is not str:
        name = fields.text(item, "datastream")
    if unit is not None and type(unit) is not str:
        unit = fields.text(item, "unit")
    at = fields.time(item, "phenomenon_time") if item.get("phenomenon_time") is not None else None
    return Reading(device, name, at, result, unit)


def _result(value: object) -> float | str:
    if not isinstance(value, str):
        return fields.number(value, "result")
    if fields.NUMBER.fullmatch(value.strip()):
        raise ValueError(f"result: {fields.quoted(value)} is a text: write the number without quotes")
    return value
