"""What an entity of SensorThings is here, and its ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, LiteralString

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

#: PostgreSQL's type of a column of a key
KeyType = Literal["int", "text", "timestamptz"]
#: what a property can be compared with
Kind = Literal["number", "text", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way to other entities: the value of `key` here is that of `on` there."""

    to: str
    many: bool
    key: LiteralString
    on: LiteralString
    type: KeyType = "int"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A set of entities: columns of its key with their types, what is shown, what can be filtered by."""

    name: str
    source: LiteralString
    key: Mapping[LiteralString, KeyType]
    shown: Mapping[str, LiteralString]
    asked: Mapping[str, tuple[Kind, LiteralString]]
    links: Mapping[str, Link]
    #: the condition under which a caller of %(region)s sees it
    seen: LiteralString = "starts_with(t.region, %(region)s)"
    #: name and SELECT of the rows of a large table that belong to each row of `source`; '' = there is none
    each: tuple[LiteralString, LiteralString] | None = None


def read_id(entity: Entity, text: str) -> tuple[object, ...] | None:
    """Return the values of the key in an id as it stands in a path, quoted or not; None: it is none."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        text = text[1:-1].replace("''", "'")
    parts = text.split(",") if len(entity.key) > 1 else [text]
    try:
        return tuple(READ[kind](part) for kind, part in zip(entity.key.values(), parts, strict=True))
    except (ValueError, OverflowError):
        return None


def make_id(values: tuple[object, ...]) -> int | str:
    """Return the id with these values of the key: of an Observation <datastream>,<µs since 1970>."""
    told = [(each - EPOCH) // MICROSECOND if isinstance(each, datetime) else each for each in values]
    return told[0] if len(told) == 1 and isinstance(told[0], int) else ",".join(map(str, told))


def _whole(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise ValueError(f"{text!r} is no whole number from 0 to {most}")
    return int(text)


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("PostgreSQL has no text with NUL")
    return text


READ: Mapping[KeyType, Callable[[str], object]] = {
    "int": lambda text: _whole(text, 2**31 - 1),
    "text": _text,
    "timestamptz": lambda text: EPOCH + _whole(text, 10**18) * MICROSECOND,
}
