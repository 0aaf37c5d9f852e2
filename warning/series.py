"""The hourly series of one datastream, kept at hand and added to in place.

Results are put into hours by the end of their interval: what is observed at 10:00:00 sharp belongs to the
hour that began at 09:00, what is observed at 10:00:01 to the next. Rain is summed within the hour,
displacement averaged. Both rest on whole micrometres, so the order in which results arrive does not change
the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from warning.windows import Floats, Ints

HOUR_US = 3_600_000_000

#: a sparse series keeps so many rows, however old they are
LEAST_ROWS = 128

#: observed property -> whether the results within an hour are summed; others are averaged
SUMMED = frozenset({"rainfall"})

#: length unit -> micrometres in it
MICROMETRES = {"um": 1, "mm": 1_000, "cm": 10_000, "m": 1_000_000, "in": 25_400, "": 1_000}


def hour_of(at_us: int) -> int:
    """Return the number of the hour (since 1970, UTC) whose interval holds that time in microseconds."""
    return (at_us - 1) // HOUR_US


def mean_mm(sums: Ints, counts: Ints) -> Floats:
    """Return the means of sums in micrometres, in mm to a nanometre."""
    return np.rint(sums * 1e3 / counts) / 1e6


@dataclass(slots=True, kw_only=True)
class Series:
    """Rows in the order of hours: hour number, sum in micrometres, how many results, and the time of the
    newest.

    The arrays are longer than the series; `size` rows are in use.
    """

    summed: bool
    size: int = 0
    hours: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    sums: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    newest_us: Ints = field(default_factory=lambda: np.zeros(64, np.int64))
    #: what models have learnt from the days before, by model key and day
    learnt: dict[tuple[str, int], Floats] = field(default_factory=dict)

    @property
    def time_h(self) -> Ints:
        """The hour numbers."""
        return self.hours[: self.size]

    def values(self) -> Floats:
        """Return the values in mm: sums, or means to a nanometre."""
        sums = self.sums[: self.size]
        return sums / 1e3 if self.summed else mean_mm(sums, self.counts[: self.size])

    def row_at(self, hour: int) -> int:
        """Return the last row at this hour or before it; -1 when there is none."""
        last = self.size - 1
        if last > 0:  # it is nearly always one of the last two
            if self.hours[last] <= hour:
                return last
            if self.hours[last - 1] <= hour:
                return last - 1
        return int(self.hours[: self.size].searchsorted(hour, side="right")) - 1

    def hours_from(self, hour: int) -> list[int]:
        """Return the hour numbers of the rows at this hour and after it."""
        row = self.row_at(hour - 1) + 1
        return [] if row == self.size else self.hours[row : self.size].tolist()

    def add(self, hour: int, total: int, count: int, newest_us: int) -> bool:
        """Add results of one hour, summed in micrometres; tell whether the hour's value is another one
        now.
        """
        row = self.row_at(hour)
        if row < 0 or self.hours[row] != hour:
            self._open(row + 1, hour, total, count, newest_us)
            changed = True
        else:
            old = self.sums[row] / self.counts[row]
            self.sums[row] += total
            self.counts[row] += count
            self.newest_us[row] = max(newest_us, int(self.newest_us[row]))
            changed = total != 0 if self.summed else self.sums[row] / self.counts[row] != old
        if changed and self.learnt and hour < self.hours[self.size - 1]:
            self.learnt.clear()  # the past is not what it was
        return bool(changed)

    def forget(self, before: int) -> None:
        """Drop the rows of hours before this one, but keep the last ones of a sparse series."""
        first = min(self.row_at(before - 1) + 1, self.size - LEAST_ROWS)
        if first <= 0:
            return
        for column in (self.hours, self.sums, self.counts, self.newest_us):
            column[: self.size - first] = column[first : self.size]
        self.size -= first

    def _open(self, row: int, *values: int) -> None:
        """Make room for a new row and fill it."""
        size = self.size
        if size == len(self.hours):
            self.hours, self.sums, self.counts, self.newest_us = (
                np.concatenate((column, np.zeros_like(column)))
                for column in (self.hours, self.sums, self.counts, self.newest_us)
            )
        for column, value in zip((self.hours, self.sums, self.counts, self.newest_us), values, strict=True):
            column[row + 1 : size + 1] = column[row:size]
            column[row] = value
        self.size += 1
