"""National geohazard stations on `$dp`: a frame around {device: {sensor: value}}, with or without times.

Frame: type (1 byte), length of the JSON (2 bytes, big-endian), JSON, and a file sometimes (2 bytes length).
The numbers of the types changed between editions of the protocol, and 3 stands in both, so what a frame
holds is told by its structure; only the lower six bits are the number. Bare JSON occurs, also behind one
control character. Source: what public firmware and platforms agree on; DZ/T 0450-2023 itself is not public.

The topic does not tell who sends: a device is who it says it is, unless the broker's own rules know better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from domain import wire
from domain.thing import Reading
from ingest import fields
from ingest.codecs._dp_types import ALIASES, STATES, TYPES
from ingest.decoded import Decoded

TOPIC = "$dp"

SENSOR = re.compile(r"(L[1-4]|S1|QN|HY)_[A-Z_]+_\d+", re.ASCII)
TIME = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}", re.ASCII)
NOT_FINITE = frozenset({"nan", "inf", "infinity"})
#: longest name of a sensor with its field
NAME_LENGTH = 100


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; a time without offset, or with the Z that all of them write, is left to the registry.

    ValueError: it is no frame and no JSON, or it is encrypted, a file, or without a device.
    """
    body, file_size = _frame(payload)
    message = wire.decode(body)
    _refuse_others(message, file_size)
    problems = [f"a file of {file_size} bytes: files are not read yet"] if file_size else []
    readings: list[Reading] = []
    for device, sensors in message.items():
        try:
            for sensor, value in fields.mapping(sensors).items():
                _sensor(device, sensor, value, readings, problems)
        except ValueError as error:
            problems.append(f"{fields.quoted(device)}: {error}")
    return Decoded(device=next(iter(message)), readings=tuple(readings), problems=tuple(problems))


def _frame(payload: bytes) -> tuple[bytes, int]:
    """Return the JSON in the payload and the size of the file behind it."""
    if payload.lstrip()[:1] == b"{":
        return payload, 0
    size = int.from_bytes(payload[1:3], "big")
    body, rest = payload[3 : 3 + size], payload[3 + size :]
    file_size = int.from_bytes(rest[:2], "big")
    whole = len(body) == size and len(rest) in (0, file_size + 2)
    if whole and body.lstrip()[:1] == b"{":
        return body, file_size
    if payload[:1] < b" " and payload[1:].lstrip()[:1] == b"{":
        return payload[1:], 0
    if payload[3:4] != b"{":
        raise ValueError(f"neither a frame nor JSON: it begins with {payload[:4].hex(' ') or 'nothing'}")
    kind, follow = payload[0] & 0x3F, len(payload) - 3
    raise ValueError(f"broken frame of type {kind}: its head says {size} bytes of JSON, {follow} follow")


def _refuse_others(message: Mapping[str, object], file_size: int) -> None:
    """Raise ValueError when the JSON is something else than devices with their sensors."""
    header = message.get("header")
    if isinstance(header, dict) and "bodies" in message:
        name = fields.quoted(header.get("appId")).strip("'")
        raise ValueError(f"no decryptor for appId {name}")
    if "ds_id" in message and "file_type" in message:
        name = fields.quoted(message["ds_id"])
        raise ValueError(f"{name}: a file of {file_size} bytes: files are not read yet")
    if not message or any(SENSOR.fullmatch(name) for name in message):
        raise ValueError('no device around the sensors: expected {"<device>": {"<sensor>": ...}}')


def _sensor(device: str, sensor: str, value: object, readings: list[Reading], problems: list[str]) -> None:
    """Read all values of one sensor, for one time or for many."""
    kind = sensor.rpartition("_")[0]
    for written, item in _times(value):
        try:
            at = None if written is None else fields.time_of(written, sensor, UTC)
        except ValueError as error:
            problems.append(str(error))
            continue
        for field, part in _parts(kind, item):
            try:
                name = _name(sensor, field)
                result = _result(kind, field, part, name)
            except ValueError as error:
                problems.append(str(error))
                continue
            if result is not None:
                unit = TYPES.get(kind, {}).get(field)
                readings.append(
                    Reading(thing=device, datastream=name, phenomenon_time=at, result=result, unit=unit)
                )


def _times(value: object) -> Iterator[tuple[str | None, object]]:
    """Yield each time that is written with what was measured then; None for what stands without a time."""
    if not isinstance(value, dict) or not any(map(TIME.match, value)):
        yield None, value
        return
    timeless = {key: item for key, item in value.items() if not TIME.match(key)}
    yield from ((key, item) for key, item in value.items() if key not in timeless)
    if timeless:
        yield None, timeless


def _parts(kind: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of what a sensor of this kind says at one time, under their usual names."""
    if isinstance(value, str) and "," in value and kind not in STATES:
        parts, names = value.split(","), list(TYPES.get(kind, ()))
        if len(parts) != len(names):  # nobody knows which is which
            names = [str(number) for number in range(1, len(parts) + 1)]
        value = dict(zip(names, parts, strict=True))
    elif not isinstance(value, dict):
        value = {"value": value}
    if all(_is_zero(value.get(name)) for name in ("lon", "lat")):
        value = {name: item for name, item in value.items() if name not in ("lon", "lat")}  # no fix
    aliases = ALIASES.get(kind, {})
    for name, item in value.items():
        field = aliases.get(name, name)
        if isinstance(item, dict):
            yield from ((f"{field}/{inner}", part) for inner, part in item.items())
        else:
            yield field, item


def _result(kind: str, field: str, value: object, name: str) -> float | str | None:
    """Return a number, a text that tells a state, or None for a value that is missing."""
    if value is None:
        return None
    known = field in TYPES.get(kind, ()) or field.startswith("sensor_state/")
    if isinstance(value, bool) and not known:
        return str(value).lower()
    if not isinstance(value, str):
        return fields.number(value, name)
    written = value.strip()
    if not written:
        return None
    if fields.NUMBER.fullmatch(written) and (known or kind not in STATES):
        return fields.number(float(written), name)
    if field == "gpsInitial":
        raise ValueError(f"{name}: raw GNSS observations are not read yet")
    if known or written.lstrip("+-").lower() in NOT_FINITE:
        raise ValueError(f"{name}: {fields.quoted(value)} is no finite number")
    return value


def _name(sensor: str, field: str) -> str:
    name = f"{sensor}/{field}"
    if not name.isprintable() or len(name) > NAME_LENGTH:
        raise ValueError(f"{fields.quoted(name)} is no name of a sensor and its field")
    return name


def _is_zero(value: object) -> bool:
    return isinstance(value, str | float | int) and not str(value).strip("0.")
