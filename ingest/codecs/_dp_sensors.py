"""What national stations measured: {device: {sensor: value}}, each value for one time or by time.

A sensor is <level>_<method>_<number>. A value is a number, a text with one, an object of fields, or a text
with commas that holds the fields in the order of `_dp_types.TYPES`. Source: the same as of the frame.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from domain.thing import Reading
from ingest import fields
from ingest.codecs._dp_status import status
from ingest.codecs._dp_types import ALIASES, RAW, SPELLINGS, STATES, TYPES
from ingest.decoded import StationFile

SENSOR = re.compile(r"((L[1-4]|S1|QN|HY)_[A-Z_]+|\d{1,4})_\d+", re.ASCII)
TIME = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}", re.ASCII)
#: type codes of the edition of 2019, as in 103_1
CODE = re.compile(r"\d{1,4}", re.ASCII)
NOT_FINITE = frozenset({"nan", "inf", "infinity"})
#: longest name of a sensor with its field
NAME_LENGTH = 100
#: a payload has no more devices, sensors, times and results: a full frame of a tilt meter has about 7,000
MOST = 8_000


@dataclass(slots=True)
class Found:
    """What was read so far: readings, raw observations as files, and what cannot be read."""

    readings: list[Reading] = field(default_factory=list)
    files: list[StationFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    size: int = 0

    def count(self, more: int) -> None:
        """Count what is to be read; ValueError when it is more than any station says at a time."""
        self.size += more
        if self.size > MOST:
            raise ValueError(f"more than {MOST} results in one payload: let the station send less at a time")


class Moment(NamedTuple):
    """One sensor of a device, its type, and a time at which it measured; None where none is written."""

    device: str
    sensor: str
    kind: str
    at: datetime | None


def read(message: Mapping[str, object]) -> Found:
    """Return what all devices in the message say.

    A time without offset, or with the Z that all of them write, is left to the registry. ValueError: there is
    no device in it, or more than any station says at a time.
    """
    if not message or any(SENSOR.fullmatch(name) for name in message):
        raise ValueError(
            'no device around the sensors: expected {"<device>": {"<sensor>": ...}}, as the topic does not'
            " tell who sends: set the station to write its device id"
        )
    found = Found()
    found.count(len(message))
    for device, sensors in message.items():
        try:
            items = fields.mapping(sensors).items()
        except ValueError as error:
            found.problems.append(f"{fields.quoted(device)}: {error}")
            continue
        found.count(len(items))
        for sensor, value in items:
            _sensor(device, sensor, value, found)
    return found


def _sensor(device: str, sensor: str, value: object, found: Found) -> None:
    """Read all values of one sensor, for one time or for many."""
    written_kind = sensor.rpartition("_")[0]
    times = list(_times(value))
    found.count(len(times))
    for written, item in times:
        try:
            at = None if written is None else fields.time_of(written, sensor, UTC)
            kind = _kind_of_fields(sensor, item) if CODE.fullmatch(written_kind) else written_kind
        except ValueError as error:
            found.problems.append(str(error))
            continue
        moment = Moment(device, sensor, kind, at)
        parts = list(_parts(kind, item))
        found.count(len(parts))
        for name, part in parts:
            try:
                _field(moment, name, part, found)
            except ValueError as error:
                found.problems.append(str(error))


def _field(moment: Moment, name: str, value: object, found: Found) -> None:
    """Read what one field says at one time; ValueError when it cannot be read."""
    device, sensor, kind, at = moment
    stream, unit, known = _stream(sensor, kind, name)
    if name in RAW and isinstance(value, str) and value.strip():
        raw = value.encode()
        found.files.append(StationFile(thing=device, name=stream, media_type="text/plain", at=at, data=raw))
        return
    result = value if type(value) is float and math.isfinite(value) else _result(kind, known, value, stream)
    if result is not None:
        found.readings.append(
            Reading(thing=device, datastream=stream, phenomenon_time=at, result=result, unit=unit)
        )


def _times(value: object) -> Iterator[tuple[str | None, object]]:
    """Yield each time that is written with what was measured then; None for what stands without a time."""
    if not isinstance(value, dict):
        yield None, value
        return
    timeless = {key: item for key, item in value.items() if not TIME.match(key)}
    yield from ((key, item) for key, item in value.items() if key not in timeless)
    if timeless or not value:
        yield None, timeless


def _kind_of_fields(sensor: str, value: object) -> str:
    """Return the one type that has all of these fields; ValueError when there is none, or several."""
    names = value.keys() if isinstance(value, dict) else set()
    kinds = [kind for kind, known in TYPES.items() if names <= known.keys() and kind not in SPELLINGS]
    if not names or len(kinds) != 1:
        raise ValueError(
            f"{sensor}: the type codes of 2019 are not public, and its fields do not tell what it measures:"
            " set the station to the sensor names of today, such as L1_GP_1"
        )
    return kinds[0]


def _parts(kind: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of what a sensor of this kind says at one time, under their usual names."""
    if isinstance(value, str) and "," in value and kind not in STATES:
        yield from _in_order(kind, value.split(","))
        return
    if not isinstance(value, dict):
        yield "value", value
        return
    if kind == "S1_ZT":
        value = status(value)
    aliases = ALIASES.get(kind, {})
    for name, item in value.items():
        usual = aliases.get(name, name)
        if isinstance(item, dict):
            yield from ((f"{usual}/{inner}", part) for inner, part in item.items())
        else:
            yield usual, item


def _in_order(kind: str, parts: list[str]) -> Iterator[tuple[str, object]]:
    """Name the values of a text by the order of the type's fields, raw ones or not; else by their places."""
    names = list(TYPES.get(kind, ()))
    if len(parts) != len(names):
        names = [name for name in names if name not in RAW]
    if len(parts) != len(names):  # nobody knows which is which
        names = [str(number) for number in range(1, len(parts) + 1)]
    return zip(names, parts, strict=True)


@lru_cache(maxsize=10_000)
def _stream(sensor: str, kind: str, name: str) -> tuple[str, str | None, bool]:
    """Return the datastream's name, its unit, and whether it holds numbers for sure; ValueError: no name."""
    stream = f"{sensor}/{name}"
    if not stream.isprintable() or len(stream) > NAME_LENGTH:
        raise ValueError(f"{fields.quoted(stream)} is no name of a sensor and its field")
    known = TYPES.get(kind, {})
    return stream, known.get(name), name in known or name.startswith("sensor_state/")


def _result(kind: str, known: bool, value: object, name: str) -> float | str | None:
    """Return a number, a text that tells a state, or None for a value that is missing."""
    if value is None or value == {}:
        return None
    if isinstance(value, bool) and not known:
        return str(value).lower()
    if not isinstance(value, str):
        return fields.number(value, name)
    written = value.strip()
    if not written:
        return None
    if (known or kind not in STATES) and fields.NUMBER.fullmatch(written):
        return fields.number(float(written), name)
    if known or written.lstrip("+-").lower() in NOT_FINITE:
        raise ValueError(f"{name}: {fields.quoted(value)} is no finite number")
    return value
