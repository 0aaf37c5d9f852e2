"""Which results are not to be trusted, and why; pure functions on arrays. Nothing is dropped, only marked.

A result is judged by those before it of its datastream: `past` holds them, one record for each datastream,
and is made anew with each batch. So a series gets the same marks in one batch, in many, and after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.quality import DISTRUSTED, Flag
from ingest.columns import Flags, Ints, Rows
from ingest.gaps import gaps_in
from ingest.limits import HOUR_US, Limits
from ingest.series import (
    FRESH,
    NEIGHBOURS,
    SUSPECT,
    TRUSTED,
    Mask,
    Series,
    before,
    behind,
    first_of_each,
    laid,
    taken,
)  # fmt: skip
from ingest.spikes import doubted

#: a station's clock may run ahead by this much
AHEAD_US = 5 * 60 * 1_000_000

#: what is known of a datastream. `at`, `result`: the last trusted results, the newest of them last but one,
#: and in the last place the suspect that came after them; NaN where there is none. `heard`: the last times at
#: all, 0 where there is none. `run_us`: since when the last trusted result is the same. `there`: was it read?
PAST = np.dtype(
    [("at", "<i8", NEIGHBOURS + 1), ("result", "<f8", NEIGHBOURS + 1), ("heard", "<i8", NEIGHBOURS + 1),
     ("run_us", "<i8"), ("there", "?")],
    align=True,
)  # fmt: skip
Past = NDArray[Any]
#: what stands in the places of `at` and `result`
KINDS = np.array([TRUSTED] * NEIGHBOURS + [SUSPECT], np.int8)

#: marks that rest on the value of a result and of those before it
OF_VALUES = Flag.SPIKE | Flag.STUCK | Flag.RATE | Flag.RESET


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The marks of the rows; by datastream, what is known from now on; which suspects were right after all.

    `every_us`: how often the datastream speaks, 0 where that is not known yet. `freed`: places in `stream` of
    those whose suspect is believed now; its time, and its marks of OF_VALUES.
    """

    flags: Flags
    stream: Ints
    past: Past
    every_us: Ints
    freed: Ints
    freed_at_us: Ints
    freed_flags: Flags


def empty(length: int) -> Past:
    """Return records of datastreams of which nothing is known yet."""
    past = np.zeros(length, PAST)
    past["result"] = np.nan
    return past


def judge(rows: Rows, past: Past, limits: Limits) -> Judged:
    """Return the marks of rows that are ordered by datastream and time, each key once.

    `past` and `limits` (LIMITS) have one record for each datastream of the rows, in their order. What is
    older than the newest result that is known gets only those marks that need no neighbours.
    """
    begins = first_of_each(rows.stream)
    owner = np.cumsum(begins) - 1
    flags = _alone(rows, owner, limits)
    late = rows.at_us <= past["heard"][owner, -1]
    heard = np.flatnonzero(~late & (flags & int(Flag.FUTURE) == 0))
    new = past.copy()
    gaps, new["heard"], every_us = gaps_in(rows.only(heard), owner[heard], past["heard"], limits["every_us"])
    flags[heard] |= gaps * np.int16(Flag.GAP)
    plain = heard[flags[heard] & int(DISTRUSTED) == 0]
    series = _behind(past, rows, owner, plain)
    doubt = doubted(series, limits)
    marks = _of_values(series, doubt, past, limits, new)
    flags[plain] |= marks[series.kind == FRESH]
    freed = np.flatnonzero((series.kind == SUSPECT) & ~doubt)
    new["there"] = True
    if late.any():
        oldest = np.minimum(past["at"][:, 0], past["heard"][:, 0])
        between = late & (rows.at_us > oldest[owner])
        new["there"][owner[between]] = False  # what is known lacks it: it is read again
    return Judged(
        flags=flags, stream=rows.stream[begins], past=new, every_us=every_us, freed=series.owner[freed],
        freed_at_us=series.at_us[freed], freed_flags=marks[freed],
    )  # fmt: skip


def _alone(rows: Rows, owner: Ints, limits: Limits) -> Flags:
    """Return the marks that need no neighbours."""
    outside = ~((rows.result >= limits["lowest"][owner]) & (rows.result <= limits["highest"][owner]))
    ahead = rows.at_us > rows.received_us + AHEAD_US
    stale = rows.at_us < limits["reset_us"][owner]
    marks = outside * int(Flag.RANGE) + ahead * int(Flag.FUTURE) + stale * int(Flag.STALE)
    return np.asarray(marks, np.int16)


def _behind(past: Past, rows: Rows, owner: Ints, plain: Ints) -> Series:
    """Return the plain rows, each datastream's behind what is known of it."""
    concerned = np.bincount(owner[plain], minlength=len(past)) > 0
    known = ~np.isnan(past["result"]) & concerned[:, None]
    new, owners = behind(known, owner[plain])
    kind = np.full(len(new), FRESH, np.int8)
    kind[~new] = np.broadcast_to(KINDS, known.shape)[known]
    return Series(
        owner=owners,
        at_us=laid(new, past["at"][known], rows.at_us[plain]),
        result=laid(new, past["result"][known], rows.result[plain]),
        kind=kind,
    )


def _of_values(series: Series, doubt: Mask, past: Past, limits: Limits, new: Past) -> Flags:
    """Return SPIKE, RATE, RESET and STUCK of each result of the series; note what is known from now on."""
    marks = doubt * np.int16(Flag.SPIKE)
    kept = np.flatnonzero(~doubt)
    believed = series.only(kept)
    fresh = np.flatnonzero(believed.kind != TRUSTED)
    owner, at_us, previous = believed.owner[fresh], believed.at_us[fresh], np.maximum(fresh - 1, 0)
    follows = (fresh > 0) & (believed.owner[previous] == owner)
    moved = np.where(follows, believed.result[fresh] - believed.result[previous], 0.0)
    before_us = believed.at_us[previous]
    rate = limits["max_rate_per_h"][owner]
    fast = (rate > 0) & (before_us >= limits["reset_us"][owner])
    fast &= np.abs(moved) > rate * (at_us - before_us) / HOUR_US
    anew = limits["counter"][owner] & (moved < 0)
    since_us = _runs(at_us, follows & (moved == 0), believed.kind[previous] == TRUSTED, past["run_us"][owner])
    stuck_us = limits["stuck_us"][owner]
    stuck = (stuck_us > 0) & (at_us - since_us > stuck_us)
    marks[kept[fresh]] = fast * int(Flag.RATE) | anew * int(Flag.RESET) | stuck * int(Flag.STUCK)
    new["run_us"][owner] = since_us  # the last one of each stays
    _note(series, doubt, believed, new)
    return marks


def _runs(at_us: Ints, same: Mask, after_past: Mask, run_us: Ints) -> Ints:
    """Return since when each result is the same; `same`: as the one before it, which may be of the past."""
    known = ~same | after_past
    since_us = np.where(same, run_us, at_us)
    return since_us[np.maximum.accumulate(np.where(known, np.arange(len(known)), 0))]


def _note(series: Series, doubt: Mask, believed: Series, new: Past) -> None:
    """Put the last trusted results and the suspect after them into the records."""
    last = np.flatnonzero(first_of_each(series.owner[::-1])[::-1])
    concerned, suspect = series.owner[last], doubt[last]
    ends = np.searchsorted(believed.owner, concerned, side="right")
    index, inside = before(believed.owner, ends, concerned, NEIGHBOURS)
    new["at"][concerned, :-1] = np.where(inside, taken(believed.at_us, index), 0)
    new["result"][concerned, :-1] = np.where(inside, taken(believed.result, index), np.nan)
    new["at"][concerned, -1] = np.where(suspect, series.at_us[last], 0)
    new["result"][concerned, -1] = np.where(suspect, series.result[last], np.nan)
