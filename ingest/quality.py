"""Which results are not to be trusted, and why; pure functions on arrays. Nothing is dropped, only marked."""

from __future__ import annotations

import numpy as np

from domain.quality import Flag
from ingest.columns import Flags, Floats, Rows

#: a station's clock may run ahead by this much
AHEAD_US = 5 * 60 * 1_000_000

#: observed property -> results outside of this are nonsense whatever the registry says
POSSIBLE = {"rainfall": (0.0, 1e9)}
LARGEST = 1e9


def valid_range(observed_property: str, lowest: float | None, highest: float | None) -> tuple[float, float]:
    """Return the range in which results count, from the datastream's own limits where it has them."""
    low, high = POSSIBLE.get(observed_property, (-LARGEST, LARGEST))
    return low if lowest is None else max(low, lowest), high if highest is None else min(high, highest)


def marks(rows: Rows, lowest: Floats, highest: Floats) -> Flags:
    """Return the marks of each row, given the limits of each."""
    outside = ~((rows.result >= lowest) & (rows.result <= highest))
    ahead = rows.at_us > rows.received_us + AHEAD_US
    return (outside * int(Flag.RANGE) + ahead * int(Flag.FUTURE)).astype(np.int16)
