"""Results of several datastreams laid behind one another, so that all are reckoned at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.columns import Floats, Ints

Mask = NDArray[np.bool_]

#: so many trusted results before a result are its neighbours; so many intervals tell how often it is heard
NEIGHBOURS = 7
#: what a result of a series is: a trusted one of the past, the suspect after these, or one of the batch
TRUSTED, SUSPECT, FRESH = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Results ordered by datastream (`owner`, a number from 0) and time."""

    owner: Ints
    at_us: Ints
    result: Floats
    kind: NDArray[np.int8]

    def only(self, chosen: Ints) -> Series:
        """Return those at these indices, which are in order."""
        if len(chosen) == len(self.owner):
            return self  # all of them: the usual case, and not worth a copy
        return Series(owner=self.owner[chosen], at_us=self.at_us[chosen], result=self.result[chosen],
                      kind=self.kind[chosen])  # fmt: skip


def behind(known: Mask, owner: Ints) -> tuple[Mask, Ints]:
    """Return, for what is known with what is new behind it, owner after owner, which ones are new, and whose
    each is.

    `known` has a row for each owner; `owner` tells whose each new one is, in order.
    """
    held = known.sum(axis=1)
    owners = np.repeat(np.arange(len(known)), held + np.bincount(owner, minlength=len(known)))
    new = np.zeros(len(owners), np.bool_)
    new[np.arange(len(owner)) + np.cumsum(held)[owner]] = True
    return new, owners


def laid(new: Mask, old_values: NDArray[Any], new_values: NDArray[Any]) -> NDArray[Any]:
    """Return the values of both kinds in the order that `behind` says."""
    values = np.empty(len(new), np.result_type(old_values, new_values))
    values[new], values[~new] = new_values, old_values
    return values


def first_of_each(owners: Ints) -> Mask:
    """Tell which ones are the first of their owner; owners are ordered."""
    first = np.ones(len(owners), np.bool_)
    np.not_equal(owners[1:], owners[:-1], out=first[1:])
    return first


def before(owners: Ints, ends: Ints, of: Ints, width: int) -> tuple[Ints, Mask]:
    """Return the indices of the `width` ones before each end, and which of them are of the same owner.

    An end is an index, or one behind the last; `of` tells whose each end is.
    """
    index = ends[:, None] + np.arange(-width, 0)
    inside = index >= np.searchsorted(owners, of)[:, None]
    return np.maximum(index, 0), inside


def taken(values: NDArray[Any], index: Ints) -> NDArray[Any]:
    """Return the values at the indices; zeros when there is no value at all."""
    return values.take(index) if len(values) else np.zeros(index.shape, values.dtype)


def median(values: Floats, inside: Mask) -> tuple[Floats, Ints]:
    """Return the median of those of each row that are inside, 0 where none is, and how many are."""
    ordered = np.sort(np.where(inside, values, np.inf), axis=1)
    count = inside.sum(axis=1)
    row, some = np.arange(len(ordered)), np.maximum(count, 1)
    middle = (ordered[row, (some - 1) // 2] + ordered[row, some // 2]) / 2
    middle[count == 0] = 0.0
    return middle, count
