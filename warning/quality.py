"""Which results are not to be trusted, and why; pure functions on arrays. Nothing is dropped, only marked.

`range`: outside of the datastream's valid range, or no number at all; `future`: said to be observed more
than five minutes after it was received. Models never see a marked result.
"""

from __future__ import annotations

from warning.windows import Flags, Floats, Ints

#: a station's clock may run ahead by this much
AHEAD_US = 5 * 60 * 1_000_000

#: observed property -> results outside of this are nonsense whatever the registry says
POSSIBLE = {"rainfall": (0.0, 1e9)}
LARGEST = 1e9


def valid_range(observed_property: str, lowest: float | None, highest: float | None) -> tuple[float, float]:
    """Return the range in which results count, from the datastream's own limits where it has them."""
    low, high = POSSIBLE.get(observed_property, (-LARGEST, LARGEST))
    return low if lowest is None else max(low, lowest), high if highest is None else min(high, highest)


def marks(
    result: Floats, phenomenon_us: Ints, lowest: Floats, highest: Floats, received_us: Ints
) -> dict[str, Flags]:
    """Return for each reason which results it marks; times in microseconds since 1970, limits per result.

    >>> import numpy as np
    >>> none, now = np.array([0]), np.array([10])
    >>> marks(np.array([51.0]), none, np.array([0.0]), np.array([50.0]), now)["range"].tolist()
    [True]
    """
    return {
        "range": ~((result >= lowest) & (result <= highest)),
        "future": phenomenon_us > received_us + AHEAD_US,
    }
