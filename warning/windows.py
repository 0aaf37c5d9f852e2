"""What rain models share: exact sums over trailing windows, of hours or of rows, and where storms begin.

Times are hour numbers: the hour k reaches from k:00 to (k+1):00 UTC since 1970. Depths are summed as whole
micrometres, so that a sum does not depend on where the summing began: history and live agree to the last bit.
A window of HOURS counts the hours that have a row, so a missing hour is missing, not dry. A window of ROWS
counts rows and takes what is missing for nothing, as USGS Thresh does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: what a model answers: the exceedance ratio under "ratio", and what it is made of
Answer = dict[str, Floats]

#: the two ways to count a window
WINDOWS = ("hours", "rows")

#: so many times between rows must be alike to tell a station's interval; none is longer than this
REGULAR_GAPS, LONGEST_GAP_H = 24, 2400

#: rows before a window of hours that are needed to tell the interval of those in it
SLACK_ROWS = REGULAR_GAPS + 2

#: a gap of so many hours ends a storm: nobody knows whether it went on
LOST_H = 24


def micrometres(depth_mm: Floats) -> Ints:
    """Return depths in whole micrometres."""
    return np.rint(depth_mm * 1000).astype(np.int64)


def running(total_um: Ints) -> Ints:
    """Return the running total with a zero in front: the sum of rows i..j-1 is running[j] - running[i]."""
    total = np.zeros(len(total_um) + 1, np.int64)
    np.cumsum(total_um, out=total[1:])
    return total


def medians(value: Floats, owner: Ints, owners: int) -> Floats:
    """Return the median of each owner's values (NaN left out; NaN for an owner without any).

    `owner` says for each value whose it is: 0 ... owners - 1.
    """
    known = ~np.isnan(value)
    value, owner = value[known], owner[known]
    ordered = value[np.lexsort((value, owner))]
    count = np.bincount(owner, minlength=owners)
    first = np.cumsum(count) - count
    found, some = np.full(owners, np.nan), count > 0
    low, high = (first + (count - 1) // 2)[some], (first + count // 2)[some]
    found[some] = (ordered[low] + ordered[high]) / 2
    return found


def ratio_of(value: Floats, line: float) -> Floats:
    """Return value / line, rounded to 9 places so that a value on the line is exactly 1."""
    return np.round(value / line, 9)


def first_row(time_h: Ints, length: int, windows: str) -> Ints:
    """Return for each row the first row of the window of `length` hours (or rows) that ends with it.

    Where a window of rows reaches back before the first row, it is -1.
    """
    if windows == "rows":
        return np.maximum(np.arange(len(time_h)) + 1 - length, -1)
    return np.searchsorted(time_h, time_h - length, side="right")


def unless_unknown(ratio: Floats, coverage: Floats, least: float) -> Floats:
    """Return the ratio, but NaN where too little was measured to say that the line is not reached.

    Rain that is missing can only add: a ratio of 1 or more stands whatever the coverage.
    """
    return np.where((coverage >= least) | (ratio >= 1), ratio, np.nan)


def measured_only(
    exceedance: Callable[[Ints, Floats], Answer], time_h: Ints, value: Floats, windows: str = "rows"
) -> Answer:
    """Return the model's answer over the rows that have a value; NaN for all answers of the others.

    For windows of hours, values of longer intervals are told to the model as hours (see `hourly`).
    """
    known = np.flatnonzero(~np.isnan(value))
    hours = interval_h(time_h[known]) if windows == "hours" else np.ones(len(known), np.int64)
    last = np.cumsum(hours) - 1
    answer = exceedance(*hourly(time_h[known], value[known], hours))
    if len(known) == len(time_h):
        return {name: column[last] for name, column in answer.items()} if (hours > 1).any() else answer
    whole = {name: np.full(len(time_h), np.nan) for name in answer}
    for name, column in answer.items():
        whole[name][known] = column[last]
    return whole


def interval_h(time_h: Ints) -> Ints:
    """Return for each row the hours that its value covers: 1, unless its station reports every so many hours.

    That is so when the last 24 times between rows are all multiples of a number of hours: their greatest
    common divisor. A station that speaks only when it rains has no such number.
    """
    hours = np.ones(len(time_h), np.int64)
    gaps = np.diff(time_h)
    gaps = np.where(gaps > LONGEST_GAP_H, 1, gaps)
    rows = np.arange(1, len(time_h))
    since_one = rows - np.maximum.accumulate(np.where(gaps == 1, rows, 0))
    for row in rows[since_one >= REGULAR_GAPS]:
        hours[row] = np.gcd.reduce(gaps[row - REGULAR_GAPS : row])
    return hours


def hourly(time_h: Ints, value: Floats, hours: Ints) -> tuple[Ints, Floats]:
    """Return hours and values in which each row is spread evenly over the `hours` that it covers."""
    if (hours == 1).all():
        return time_h, value
    back = np.repeat(np.cumsum(hours), hours) - np.arange(hours.sum()) - 1
    return np.repeat(time_h, hours) - back, np.repeat(value / hours, hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storms:
    """For each row: is it inside a storm, since how many hours, how much fell, and how much of it was
    measured.
    """

    inside: Flags
    duration_h: Floats
    depth_mm: Floats
    coverage: Floats


def storms(time_h: Ints, depth_um: Ints, *, dry_h: int, longest_h: int, windows: str) -> Storms:
    """Return the storms of an hourly record (Godt 2006: a storm ends after `dry_h` dry hours or more).

    A dry pause belongs to the storm when the rain goes on after it; until then it is outside. Of storms
    longer than `longest_h` only the last `longest_h` hours count (windows of hours). In windows of rows a
    storm begins at the row before its first rain and lasts by the clock, as in Thresh.
    """
    rows = np.arange(len(time_h))
    wet = depth_um > 0
    last_wet = np.maximum.accumulate(np.where(wet, rows, -1))
    wet_before = np.concatenate(([-1], last_wet[:-1]))[: len(rows)]
    begins = wet & ((rows - wet_before > dry_h) | (wet_before < 0))
    if windows == "hours":
        gaps = np.cumsum(np.diff(time_h, prepend=time_h[:1]) > LOST_H)
        begins |= wet & (gaps != gaps[wet_before])
    first = np.maximum.accumulate(np.where(begins, rows, -1))
    next_wet = np.minimum.accumulate(np.where(wet, rows, len(rows))[::-1])[::-1]
    goes_on = np.append(first, -2)[next_wet]
    inside = (first >= 0) & (goes_on == first)
    if windows == "rows":
        begin_h = np.where(first > 0, time_h[np.maximum(first - 1, 0)], time_h[first] - 1)
        since = first
    else:
        begin_h = np.maximum(time_h[first] - 1, time_h - longest_h)
        since = np.searchsorted(time_h, begin_h, side="right")
    total = running(depth_um)
    duration = np.where(inside, time_h - begin_h, 0).astype(np.float64)
    depth = np.where(inside, total[rows + 1] - total[since], 0) / 1000
    measured = np.where(inside, rows + 1 - since, 1) / np.maximum(duration, 1)
    return Storms(inside=inside, duration_h=duration, depth_mm=depth, coverage=np.minimum(measured, 1.0))


def storm_rows(dry_h: int, longest_h: int) -> int:
    """Return how many rows before a row its storm can rest on: its length, and the pauses before it."""
    return longest_h + (dry_h + 1) * LOST_H + SLACK_ROWS
