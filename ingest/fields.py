"""Reading the fields of a JSON object from outside; each error names the field, in words for an operator."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from uuid import UUID

from domain.geo import Position

#: a decimal number as text; float() alone would also take 1_000, Infinity and digits of other scripts
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: what no PostgreSQL text can hold, as it stands in JSON
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
#: longest part of a foreign value that is quoted in a reason
QUOTED = 60


def text(message: Mapping[str, object], name: str, default: str | None = None) -> str:
    """Return the text of that name; ValueError when it is missing (and has no default) or something else."""
    value = message.get(name, default)
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    return value


def identifier(message: Mapping[str, object], name: str) -> UUID:
    """Return the UUID of that name; ValueError when it is missing or none."""
    value = text(message, name)
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(f"{name}: {quoted(value)} is no UUID") from None


def time(message: Mapping[str, object], name: str) -> datetime:
    """Return the time (ISO 8601) of that name, with the offset that the sender wrote."""
    return time_of(text(message, name), name)


def time_of(value: str, name: str, naive: tzinfo | None = None) -> datetime:
    """Return the time with the offset as written; one without any is in the zone `naive`, where given."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{name}: {quoted(value)} is no time as in 2026-08-01T08:00:00+08:00") from None
    if at.utcoffset() is not None:
        return at
    if naive is None:
        raise ValueError(f"{name}: {quoted(value)} has no UTC offset: write +08:00 or Z behind it")
    return at.replace(tzinfo=naive)


def number(value: object, name: str) -> float:
    """Return a JSON number as a float; ValueError for anything else, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, value, "number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name}: {quoted(value)} is not finite")
    return result


def optional_number(message: Mapping[str, object], name: str) -> float | None:
    """Return the number of that name, None when it is missing or null."""
    value = message.get(name)
    return None if value is None else number(value, name)


def position(message: Mapping[str, object], altitude: str = "altitude_m") -> Position:
    """Return the place in `lon`, `lat` (degrees, WGS-84) and, where given, the altitude (m)."""
    lon, lat = number(message.get("lon"), "lon"), number(message.get("lat"), "lat")
    return Position(lon=lon, lat=lat, altitude_m=optional_number(message, altitude))


def entries(
    message: Mapping[str, object], name: str, default: Sequence[object] | None = None
) -> Sequence[object]:
    """Return the list of that name; ValueError when it is missing (and has no default) or something else."""
    value = message.get(name, default)
    if not isinstance(value, list | tuple):
        raise _wrong(name, value, "list")
    return value


def mapping(value: object) -> Mapping[str, object]:
    """Return the JSON object; ValueError for anything else."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {quoted(value)}")
    return value


def document(message: Mapping[str, object]) -> Mapping[str, object]:
    """Return the JSON object itself; ValueError when it holds something that no table can, as NaN or NUL."""
    try:
        written = json.dumps(message, allow_nan=False, ensure_ascii=False)
        written.encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it holds what cannot be stored: {error}") from None
    if NUL.search(written):
        raise ValueError("it holds what cannot be stored: the character NUL")
    return message


def quoted(value: object) -> str:
    """Return a foreign value as it may stand in a reason: short and on one line, whatever is in it."""
    try:
        shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list in thousands of lists
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= QUOTED else f"{shown[:QUOTED]}…"


def _wrong(name: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{name} is missing" if value is None else f"{name}: {quoted(value)} is no {wanted}")
