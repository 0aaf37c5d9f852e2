"""Lone jumps: a result far from those before it is suspected, and believed when the next one agrees.

Hampel's identifier: |x - median| > max(k * 1.4826 * MAD, floor), of the seven trusted results before it. A
slope that moves is no spike: a suspect is believed when the next result deviates to the same side by half as
much or more, and a result is not suspected when the one before it already does.
"""

from __future__ import annotations

import numpy as np

from ingest.columns import Floats, Ints
from ingest.limits import HOUR_US, Limits
from ingest.series import NEIGHBOURS, TRUSTED, Mask, Series, before, first_of_each, median

#: the median absolute deviation times this is the standard deviation of a normal distribution
SIGMAS_PER_MAD = 1.4826
#: fewer trusted results than this, of the last seven, tell nothing
LEAST = 5
#: what is older (us) is no neighbour: where a station speaks twice a day, the next result comes too late to
#: wait for it
REACH_US = 48 * HOUR_US


def doubted(series: Series, limits: Limits) -> Mask:
    """Return which results of the series are spikes, or may be; `limits` has a record for each owner.

    All results are tested as if those before them were true. Of each owner, the first one that fails is
    settled by the result after it, and the tests go on from there: as many rounds as an owner has suspects.
    """
    doubt, kept = np.zeros(len(series.owner), np.bool_), np.arange(len(series.owner))
    todo = np.flatnonzero((limits["spike_sigma"] > 0)[series.owner] & (series.kind != TRUSTED))
    while len(todo):
        believed, place = series.only(kept), np.searchsorted(kept, todo)
        middle, odd = _odd(believed, place, limits)
        found = np.flatnonzero(odd)
        if not len(found):
            break
        first = found[first_of_each(series.owner[todo[found]])]
        suspect = place[first]
        confirmed = _confirmed(believed, suspect, middle[first])
        doubt[todo[first[~confirmed]]] = True
        begin = np.full(len(limits), len(series.owner))  # behind the last one of those without a suspect
        begin[believed.owner[suspect]] = todo[first] + 1 + confirmed
        todo = todo[todo >= begin[series.owner[todo]]]
        concerned = np.bincount(series.owner[todo], minlength=len(limits)) > 0
        kept = kept[concerned[series.owner[kept]] & ~doubt[kept]]
    return doubt


def _odd(believed: Series, place: Ints, limits: Limits) -> tuple[Floats, Mask]:
    """Return the median before each of these places, and whether the result there is suspected."""
    owner, at_us = believed.owner[place], believed.at_us[place]
    index, inside = before(believed.owner, place, owner, NEIGHBOURS)
    since_us = np.maximum(at_us - REACH_US, limits["reset_us"][owner])
    inside &= believed.at_us.take(index) >= since_us[:, None]
    window = believed.result.take(index)
    middle, count = median(window, inside)
    away = believed.result[place] - middle
    odd = (count >= LEAST) & (np.abs(away) > limits["spike_floor"][owner])
    far = np.flatnonzero(odd)
    if not len(far):
        return middle, odd
    window, middle_far, away = window[far], middle[far], away[far]
    spread, _ = median(np.abs(window - middle_far[:, None]), inside[far])
    previous = np.where(inside[far, -1], window[:, -1] - middle_far, 0.0)
    wide = np.abs(away) > limits["spike_sigma"][owner[far]] * SIGMAS_PER_MAD * spread
    odd[far] = wide & ~_agrees(previous, away)
    return middle, odd


def _confirmed(believed: Series, suspect: Ints, middle: Floats) -> Mask:
    """Return which suspects are borne out by the result after them; false where there is none yet."""
    following = np.minimum(suspect + 1, len(believed.owner) - 1)
    there = (following > suspect) & (believed.owner[following] == believed.owner[suspect])
    agrees = _agrees(believed.result[following] - middle, believed.result[suspect] - middle)
    return np.asarray(there & agrees, np.bool_)


def _agrees(witness: Floats, away: Floats) -> Mask:
    """Tell whether the witness deviates to the same side, by half as much or more."""
    agrees: Mask = (witness * away > 0) & (2 * np.abs(witness) >= np.abs(away))
    return agrees
