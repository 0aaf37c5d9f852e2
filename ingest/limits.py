"""What is believed of a datastream: its own limits from the registry, else those of its observed property."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: the limits of one datastream in its own unit; 0 is off, or not known
LIMITS = np.dtype(
    [("lowest", "<f8"), ("highest", "<f8"), ("spike_sigma", "<f8"), ("spike_floor", "<f8"),
     ("stuck_us", "<i8"), ("max_rate_per_h", "<f8"), ("every_us", "<i8"), ("reset_us", "<i8"),
     ("counter", "?")],
    align=True,
)  # fmt: skip
Limits = NDArray[Any]

#: observed property -> results outside of this are nonsense whatever the registry says
POSSIBLE = {"rainfall": (0.0, 1e9)}
LARGEST = 1e9

#: how many standard deviations away a result is suspected; Pearson (1999, European Control Conference) takes
#: 3 where windows reach to both sides, ours ends before the result and must hide nothing that is true
SPIKE_SIGMA = 4.0


class Usual(NamedTuple):
    """Defaults of an observed property, in this unit.

    `spike_floor`: no result nearer to those before it is suspected, some noise levels of the usual sensor;
    None: a lone jump may well be nature. `stuck_after_h`: 0 where the same result for weeks is no wonder.
    """

    unit: str
    spike_floor: float | None
    stuck_after_h: float = 0


#: for a property of that name, or whose name goes on behind an underscore; of none a rate is known to be
#: impossible (slopes fall), so RATE is off unless the registry has one
USUAL = {
    "displacement": Usual("mm", 10, 72),  # GNSS: 2.5 to 5 mm across, twice that in height
    "deep_displacement": Usual("mm", 5, 168),
    "crack": Usual("mm", 2, 720),
    "tilt": Usual("deg", 0.2, 168),
    "settlement": Usual("mm", 5, 720),
    "groundwater": Usual("m", 0.5, 720),
    "pore_pressure": Usual("kPa", 5, 168),
    "water_level": Usual("m", 0.5),
    "soil_moisture": Usual("%", None, 720),
    "air_temperature": Usual("degC", None, 24),
    "soil_temperature": Usual("degC", None, 168),
}
#: a lone jump of these is what one wants to hear of: never a SPIKE, whatever the registry says
NATURAL = ("rainfall", "rainfall_total", "acceleration", "vibration", "sound", "infrasound")

#: unit -> what it measures, and its size
SIZES = {
    "um": ("length", 1e-6), "mm": ("length", 1e-3), "cm": ("length", 1e-2), "m": ("length", 1.0),
    "in": ("length", 0.0254), "Pa": ("pressure", 1.0), "kPa": ("pressure", 1e3), "MPa": ("pressure", 1e6),
}  # fmt: skip

#: datastreams that only count up, until they begin anew: by name, as national stations call them
COUNTERS = re.compile(r"L3_YL_\w+/totalValue")
COUNTER = "rainfall_total"

HOUR_US = 3_600_000_000


class Registered(NamedTuple):
    """What the registry says of a datastream; None: nothing."""

    valid_min: float | None = None
    valid_max: float | None = None
    spike_sigma: float | None = None
    spike_floor: float | None = None
    stuck_after_h: float | None = None
    max_rate_per_h: float | None = None
    expected_every_s: float | None = None
    reset_at: datetime | None = None


def valid_range(observed_property: str, lowest: float | None, highest: float | None) -> tuple[float, float]:
    """Return the range in which results count, from the datastream's own limits where it has them."""
    low, high = POSSIBLE.get(observed_property, (-LARGEST, LARGEST))
    return low if lowest is None else max(low, lowest), high if highest is None else min(high, highest)


def limits_of(name: str, observed: str, unit: str, own: Registered) -> tuple[Any, ...]:
    """Return the record (LIMITS) of the datastream."""
    usual = _of(USUAL, observed) or Usual(unit, None)
    floor = own.spike_floor
    if floor is None and usual.spike_floor is not None:
        floor = _converted(usual.spike_floor, usual.unit, unit)
    sigma = SPIKE_SIGMA if own.spike_sigma is None else own.spike_sigma
    if floor is None or _of(dict.fromkeys(NATURAL, True), observed):
        sigma = floor = 0.0
    stuck_h = usual.stuck_after_h if own.stuck_after_h is None else own.stuck_after_h
    counter = observed == COUNTER or COUNTERS.fullmatch(name) is not None
    return (
        *valid_range(observed, own.valid_min, own.valid_max), sigma, floor, round(stuck_h * HOUR_US),
        own.max_rate_per_h or 0.0, round((own.expected_every_s or 0) * 1e6),
        0 if own.reset_at is None else round(own.reset_at.timestamp() * 1e6), counter,
    )  # fmt: skip


def _of(table: dict[str, Any], observed: str) -> Any:
    """Return what the table has for the property, or for a word that it begins with; None for nothing."""
    return next((table[w] for w in table if observed == w or observed.startswith(f"{w}_")), None)


def _converted(value: float, unit: str, wanted: str) -> float | None:
    """Return the value in the wanted unit ('' is the same one), None where units do not fit."""
    if wanted in ("", unit):
        return value
    what, size = SIZES.get(unit, ("", 1.0))
    what_wanted, size_wanted = SIZES.get(wanted, ("unknown", 1.0))
    return value * size / size_wanted if what == what_wanted else None
