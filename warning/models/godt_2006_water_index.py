"""Antecedent water index: a leaky bucket of soil water, above or below field capacity.

Godt, Baum & Chleborad (2006), Earth Surface Processes and Landforms, doi:10.1002/esp.1237, as USGS Thresh
reckons it (Baum, Fischer & Vigil 2018, USGS TM 14-A2). Below field capacity (W < 0) the water balance W' = W
+ R - E; above it drainage with the constant k: W' = W e^(-k dt) + (R - E)(1 - e^(-k dt)) / k; never below
the dry soil. Rain R and evapotranspiration E in m/h; E is that of Seattle, month by month.

As a ratio: the water held above the dry soil over that on the line, (W + 0.18) / (0.02 + 0.18).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from warning.windows import Answer, Floats, Ints

NAME = ("前期土壤水分指数（Godt 2006）", "antecedent water index (Godt 2006)")
SENTENCE = (
    "土壤水分指数{water_index_m:.3f}米（警戒{line_m:.3f}米）",
    "antecedent water index {water_index_m:.3f} m (line {line_m:.3f} m)",
)
OBSERVED_PROPERTIES = ("rainfall",)

#: evapotranspiration of Seattle, January to December (given in 1/100 inch per h)
SEATTLE_MM_PER_H = tuple(
    round(inch_100 * 0.254, 6)
    for inch_100 in (0.054, 0.11, 0.2, 0.43, 0.54, 0.68, 0.72, 0.71, 0.47, 0.17, 0.076, 0.045)
)

PARAMETERS = {
    "line_m": 0.02,
    "start_m": -0.18,  # water index before the first row
    "dry_m": 0.18,  # field capacity
    "drainage_per_h": 0.01,
    "evapotranspiration_mm_per_h": SEATTLE_MM_PER_H,
    "windows": "hours",
}
VALUES = ("ratio", "water_index_m")

#: after so long a gap nothing is left of what was: the index starts anew (e^-0.01x2400 is nothing)
FORGOTTEN_H = 2400


def exceedance(
    time_h: Ints,
    rain_mm: Floats,
    *,
    line_m: float = 0.02,
    start_m: float = -0.18,
    dry_m: float = 0.18,
    drainage_per_h: float = 0.01,
    evapotranspiration_mm_per_h: Sequence[float] = SEATTLE_MM_PER_H,
    windows: str = "hours",
) -> Answer:
    """Return ratio and water_index_m for each row of hourly rain (mm); the first row only takes the start
    value.

    To go on where another record ended, give its last row again as the first, and its index as `start_m`.
    With windows of hours, missing hours dry and drain the soil; with rows they do nothing. Rain in a
    missing hour (no row, or NaN) is not known, so the index is a lower bound after it.

    15.4 cm of rain in an hour of January, less 0.0137 mm, leaves 2.6 cm to field capacity:

    >>> rain = np.array([0.0, 154.0137])
    >>> round(float(exceedance(np.array([0, 1]), rain)["water_index_m"][-1]), 4)
    -0.026
    """
    loss_mm = np.asarray(evapotranspiration_mm_per_h)[_month(time_h)].tolist()
    gain_mm, hours = np.nan_to_num(rain_mm).tolist(), np.diff(time_h, prepend=time_h[:1]).tolist()
    decay = math.exp(-drainage_per_h)
    kept, water, index = (1 - decay) / drainage_per_h, start_m, []

    def after(water: float, net_m: float) -> float:
        water = water + net_m if water < 0 else water * decay + net_m * kept
        return max(water, -dry_m)

    for row, (gain, loss, passed) in enumerate(zip(gain_mm, loss_mm, hours, strict=True)):
        if row and passed > FORGOTTEN_H:
            water = start_m
        elif row:
            for _ in range(passed - 1 if windows == "hours" else 0):
                water = after(water, -loss / 1000)
            water = after(water, (gain - loss) / 1000)
        index.append(water)
    water_m = np.array(index)
    ratio = np.round((water_m + dry_m) / (line_m + dry_m), 9)
    return {"ratio": np.where(np.isnan(rain_mm), np.nan, ratio), "water_index_m": water_m}


def rows_back(**_: object) -> None:
    """Return that the answer rests on all rows before: the index never forgets."""
    return


def _month(time_h: Ints) -> Ints:
    """Return the month (0..11) in UTC of each hour number."""
    return (time_h.astype("datetime64[h]").astype("datetime64[M]").astype(np.int64)) % 12
