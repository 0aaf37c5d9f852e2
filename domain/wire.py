"""Topics and payloads between phones, stations and the platform; the only place that knows their spelling.

Own payloads are UTF-8 JSON objects. A reader ignores keys that it does not know (phones update late);
a writer never changes what a key means.
"""

from __future__ import annotations

import json
import os
import struct
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache

from domain.thing import Observation

UP = "liupan/v1/up"
DOWN = "liupan/v1/down"
ALERT = "liupan/v1/alert"

#: what a phone says
UP_KINDS = ("observation", "patrol", "track", "lead", "evidence", "chunk", "status", "health")
#: what the platform says to a phone
DOWN_KINDS = ("stored", "task", "alert", "dispatch")

#: a message is no larger than this (bytes), and holds no more values than this
LARGEST, MOST_VALUES = 500_000, 25_000
_OPENS_A_VALUE = (b",", b"[", b"{")
_NESTED = (dict, list)

_PACKED = struct.Struct("<iqdh")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def up_topic(device: str, kind: str) -> str:
    """Return the topic on which this device says this kind of thing; ValueError for unknown kinds."""
    return f"{UP}/{_name(device)}/{_one_of(kind, UP_KINDS)}"


def down_topic(device: str, kind: str) -> str:
    """Return the topic on which this device is told this kind of thing; ValueError for unknown kinds."""
    return f"{DOWN}/{_name(device)}/{_one_of(kind, DOWN_KINDS)}"


def alert_topic(region: str) -> str:
    """Return the public, retained topic of the alerts of a region (GB/T 2260 code)."""
    return f"{ALERT}/{_name(region)}"


@lru_cache(maxsize=100_000)
def device_of(topic: str) -> str:
    """Return the device that an up topic belongs to; ValueError when it is no such topic."""
    parts = topic.split("/")
    if len(parts) != 5 or not topic.startswith(UP + "/") or not parts[3]:
        raise ValueError(f"topic {topic!r} is not {UP}/<device>/<kind>")
    return parts[3]


def new_id() -> uuid.UUID:
    """Return a new UUIDv7: unique everywhere, ordered by the time it was made (RFC 9562, 5.7)."""
    return make_id(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def make_id(milliseconds: int, random: int) -> uuid.UUID:
    """Return the UUIDv7 of that many milliseconds since 1970 and 80 random bits (six of them give way)."""
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def encode(message: object) -> bytes:
    """Return the JSON of a dataclass or a mapping, compact, in UTF-8; times carry their offset."""
    return json.dumps(message, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def decode(payload: bytes) -> dict[str, object]:
    """Return the JSON object in the payload; ValueError says why there is none, as `parse` does."""
    message = parse(payload)
    if not isinstance(message, dict):
        raise ValueError(f"expected a JSON object, got {type(message).__name__}")
    return message


def parse(payload: bytes) -> object:
    """Return the JSON value in the payload; ValueError says why there is none.

    A key that stands twice in one object is refused (I-JSON, RFC 7493, 2.3), as nobody knows which counts; so
    is what would need much time and room: LARGEST and MOST_VALUES.
    """
    check_size(payload)
    if len(payload) > MOST_VALUES and sum(map(payload.count, _OPENS_A_VALUE)) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values in one message: send less at a time")
    try:
        text = payload.decode()
        value = json.loads(text)
        if _keys(value) != payload.count(b'":'):  # blanks before a colon, one within a text, or a key twice
            json.loads(text, object_pairs_hook=_object)
        return value
    except UnicodeDecodeError as error:
        wrong = payload[error.start]
        raise ValueError(f"not JSON: byte 0x{wrong:02x} at {error.start} is no UTF-8; is it GBK?") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def check_size(payload: bytes) -> None:
    """Raise ValueError when the payload is larger than any message."""
    if len(payload) > LARGEST:
        raise ValueError(f"{len(payload)} bytes, and a message has {LARGEST} at most: send less at a time")


def pack(observations: Iterable[Observation]) -> bytes:
    """Return observations as little-endian records: int32 datastream, int64 microseconds, float64 result,
    int16 flags.
    """
    return b"".join(
        _PACKED.pack(o.datastream, (o.phenomenon_time - _EPOCH) // _MICROSECOND, o.result, o.flags)
        for o in observations
    )


def unpack(packed: bytes) -> Iterator[Observation]:
    """Yield the observations that `pack` wrote."""
    for datastream, microseconds, result, flags in _PACKED.iter_unpack(packed):
        at = _EPOCH + timedelta(microseconds=microseconds)
        yield Observation(datastream=datastream, phenomenon_time=at, result=result, flags=flags)


def unpack_places(packed: bytes) -> Iterator[tuple[int, int]]:
    """Yield datastream and microseconds since 1970 of the observations that `pack` wrote."""
    for datastream, microseconds, _, _ in _PACKED.iter_unpack(packed):
        yield datastream, microseconds


def _keys(value: object) -> int:
    """Return how many keys the objects in a JSON value have."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(each) for each in value.values() if type(each) in _NESTED)
    if isinstance(value, list):
        return sum(_keys(each) for each in value if type(each) in _NESTED)
    return 0


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object: nobody knows which counts")
    return found


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"time {value.isoformat()} has no UTC offset")
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        # None means "not known": it is left out, as readers treat a missing key
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {name: item for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def _name(text: str) -> str:
    if not text or any(c in "/+#\0" for c in text):
        raise ValueError(f"{text!r} cannot be a level of a topic: empty, or with one of / + #")
    return text


def _one_of(kind: str, kinds: tuple[str, ...]) -> str:
    if kind not in kinds:
        raise ValueError(f"kind {kind!r} is none of {', '.join(kinds)}")
    return kind
