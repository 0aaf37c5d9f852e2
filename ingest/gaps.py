"""Silences before results, and how often a datastream speaks."""

from __future__ import annotations

import numpy as np

from ingest.columns import Floats, Ints, Rows
from ingest.series import NEIGHBOURS, Mask, before, behind, laid, median, taken

#: fewer intervals than this, of the last seven, tell nothing
LEAST_INTERVALS = 5
#: a silence of more than so many intervals is a gap
GAP_INTERVALS = 3


def gaps_in(rows: Rows, owner: Ints, past: Ints, every_us: Ints) -> tuple[Mask, Ints, Ints]:
    """Return which rows end a gap; by datastream, the last times from now on, and how often it speaks (us).

    `every_us` is what the registry says of the latter, 0 for nothing.
    """
    known, everyone = past > 0, np.arange(len(past))
    new, owners = behind(known, owner)
    at = laid(new, past[known], rows.at_us)
    places = np.flatnonzero(new)
    ends = np.searchsorted(owners, everyone, side="right")
    index, inside = before(owners, ends, everyone, NEIGHBOURS + 1)
    last = np.where(inside, taken(at, index), 0)
    index, inside = before(owners, places, owner, NEIGHBOURS + 1)
    step = np.diff(taken(at, index), append=rows.at_us[:, None], axis=1).astype(np.float64)
    usual, count = median(step[:, :-1], inside[:, :-1])
    usual[count < LEAST_INTERVALS] = np.nan
    expected = np.where(every_us[owner] > 0, every_us[owner], usual)
    return (
        inside[:, -1] & (step[:, -1] > GAP_INTERVALS * expected),
        last,
        _spoken(rows, owner, usual, len(past)),
    )


def _spoken(rows: Rows, owner: Ints, usual: Floats, owners: int) -> Ints:
    """Return how often each datastream speaks (us): the interval times the results that came together last.

    A station that measures each ten minutes and calls once an hour is not silent in between.
    """
    received, every = np.zeros(owners, np.int64), np.zeros(owners)
    received[owner], every[owner] = rows.received_us, np.nan_to_num(usual)  # the last one of each stays
    together = np.bincount(owner, rows.received_us == received[owner], minlength=owners)
    return np.asarray(every * together, np.int64)
