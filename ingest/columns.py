"""The observations of a batch as columns, from the numbers of `resolve` to the bytes of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.int16]

#: PostgreSQL counts microseconds from 2000
EPOCH_2000_US = 946_684_800_000_000

#: a row of COPY ... (FORMAT BINARY): the number of fields, then for each its size and its bytes
ROW = np.dtype(
    [("fields", ">i2"), ("size1", ">i4"), ("stream", ">i4"), ("size2", ">i4"), ("at", ">i8"),
     ("size3", ">i4"), ("result", ">f8"), ("size4", ">i4"), ("received", ">i8"), ("size5", ">i4"),
     ("flags", ">i2")]
)  # fmt: skip
SIZES = {"fields": 5, "size1": 4, "size2": 8, "size3": 8, "size4": 8, "size5": 2}
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"

#: an observation as its event carries it: little-endian, see domain.wire.unpack
PACKED = np.dtype([("stream", "<i4"), ("at", "<i8"), ("result", "<f8"), ("flags", "<i2")])


@dataclass(slots=True)
class Columns:
    """What may be stored, in the order of arrival: lists of the same length.

    Times are microseconds since 1970; `owner` is the arrival's place in the batch.
    """

    stream: list[int] = field(default_factory=list)
    at_us: list[int] = field(default_factory=list)
    result: list[float] = field(default_factory=list)
    received_us: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)

    def between(self, begin: int, end: int) -> Columns:
        """Return those of the arrivals begin..end-1, as if these were the batch."""
        rows = [row for row in zip(*self.lists, strict=True) if begin <= row[4] < end]
        stream, at_us, result, received_us, owner = map(list, zip(*rows, strict=True)) if rows else [[]] * 5
        return Columns(stream, at_us, result, received_us, [each - begin for each in owner])

    @property
    def lists(self) -> tuple[list[Any], ...]:
        """The columns."""
        return self.stream, self.at_us, self.result, self.received_us, self.owner


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations as arrays of the same length."""

    stream: Ints
    at_us: Ints
    result: Floats
    received_us: Ints
    flags: Flags

    @classmethod
    def of(cls, columns: Columns) -> Rows:
        """Return the columns as arrays, nothing marked yet."""
        return cls(
            np.array(columns.stream, np.int64),
            np.array(columns.at_us, np.int64),
            np.array(columns.result, np.float64),
            np.array(columns.received_us, np.int64),
            np.zeros(len(columns.stream), np.int16),
        )

    @classmethod
    def told(cls, rows: Sequence[tuple[int, int, float, int, int]]) -> Rows:
        """Return what a query found: datastream, time (us), result, time of receipt (us), flags."""
        columns = tuple(zip(*rows, strict=True)) or ((),) * 5
        stream, at_us, result, received_us, flags = columns
        return cls(np.array(stream, np.int64), np.array(at_us, np.int64), np.array(result, np.float64),
                   np.array(received_us, np.int64), np.array(flags, np.int16))  # fmt: skip

    def __len__(self) -> int:
        return len(self.stream)

    def and_also(self, more: Rows) -> Rows:
        """Return these and behind them the others."""
        return Rows(*(np.concatenate((getattr(self, name), getattr(more, name))) for name in self.__slots__))

    def only(self, chosen: NDArray[Any]) -> Rows:
        """Return the chosen ones (a mask, or places)."""
        return Rows(self.stream[chosen], self.at_us[chosen], self.result[chosen], self.received_us[chosen],
                    self.flags[chosen])  # fmt: skip

    def copied(self) -> bytes:
        """Return them as COPY observation (...) FROM STDIN (FORMAT BINARY) takes them."""
        rows = np.empty(len(self), ROW)
        for name, size in SIZES.items():
            rows[name] = size
        rows["stream"], rows["at"] = self.stream, self.at_us - EPOCH_2000_US
        rows["result"], rows["received"] = self.result, self.received_us - EPOCH_2000_US
        rows["flags"] = self.flags
        return HEADER + rows.tobytes() + TRAILER

    def packed(self) -> bytes:
        """Return them as an `observed` event carries them."""
        rows = np.empty(len(self), PACKED)
        rows["stream"], rows["at"], rows["result"], rows["flags"] = (
            self.stream, self.at_us, self.result, self.flags)  # fmt: skip
        return rows.tobytes()
