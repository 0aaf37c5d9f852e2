"""Recent rain against antecedent rain: the cumulative threshold of Seattle.

Chleborad, Baum & Godt (2006), USGS Open-File Report 2006-1064: landslides become likely above
P3 = 3.5 - 0.67 P15 (inch), P3 the rain of the last 72 h and P15 that of the 360 h before them.

As a ratio: (P3 + 0.67 P15) / 3.5, which is 1 on the line, and above it exactly where P3 lies above the line.
USGS Thresh (Baum, Fischer & Vigil 2018, USGS TM 14-A2) takes P3 alone where the line has fallen to zero
(P15 >= 5.22 in): there any recent rain exceeds and none does not. So a ratio without recent rain stays below
1.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from warning.windows import (
    SLACK_ROWS,
    Answer,
    Floats,
    Ints,
    first_row,
    measured_only,
    micrometres,
    ratio_of,
    running,
    unless_unknown,
)

NAME = ("近期–前期雨量（Chleborad 2006）", "recent and antecedent rain (Chleborad 2006)")
SENTENCE = (
    "近{recent_h}小时雨量{recent_mm:.1f}毫米，此前{antecedent_h}小时{antecedent_mm:.1f}毫米",
    "{recent_mm:.1f} mm in the last {recent_h} h after {antecedent_mm:.1f} mm in the {antecedent_h} h before",
)
OBSERVED_PROPERTIES = ("rainfall",)
PARAMETERS = {
    "recent_h": 72,
    "antecedent_h": 360,
    "intercept_mm": 88.9,  # 3.5 in
    "slope": -0.67,
    "windows": "hours",
    "least_coverage": 0.9,  # share of the window's hours that must be measured to say "below"; ours
}
VALUES = ("ratio", "recent_mm", "antecedent_mm", "coverage")

#: a ratio without recent rain is at most this
JUST_BELOW = float(np.nextafter(1.0, 0.0))


def exceedance(
    time_h: Ints,
    rain_mm: Floats,
    *,
    recent_h: int = 72,
    antecedent_h: int = 360,
    intercept_mm: float = 88.9,
    slope: float = -0.67,
    windows: str = "hours",
    least_coverage: float = 0.9,
) -> Answer:
    """Return ratio, recent_mm, antecedent_mm and coverage (0..1) for each row of hourly rain (mm).

    `time_h` are increasing hour numbers; NaN or no row is a missing hour. Needs 432 h: where less was
    measured, and what was measured does not reach the line, the ratio is NaN.

    1 in of antecedent rain puts the line at 2.83 in of recent rain:

    >>> rain = np.zeros(432)
    >>> rain[10], rain[400] = 25.4, 2.83 * 25.4
    >>> float(exceedance(np.arange(432), rain)["ratio"][-1])
    1.0
    """
    reckon = partial(
        _reckon,
        recent_h=recent_h,
        whole_h=recent_h + antecedent_h,
        intercept_mm=intercept_mm,
        slope=slope,
        windows=windows,
        least_coverage=least_coverage,
    )
    return measured_only(reckon, time_h, rain_mm, windows)


def _reckon(
    time_h: Ints,
    rain_mm: Floats,
    *,
    recent_h: int,
    whole_h: int,
    intercept_mm: float,
    slope: float,
    windows: str,
    least_coverage: float,
) -> Answer:
    total, after = running(micrometres(rain_mm)), np.arange(len(time_h)) + 1
    recent_from = first_row(time_h, recent_h, windows)
    whole_from = first_row(time_h, whole_h, windows)
    recent = (total[after] - total[np.maximum(recent_from, 0)]) / 1000
    antecedent = (total[np.maximum(recent_from, 0)] - total[np.maximum(whole_from, 0)]) / 1000
    ratio = ratio_of(recent - slope * antecedent, intercept_mm)
    ratio = np.where(recent > 0, ratio, np.minimum(ratio, JUST_BELOW))
    if windows == "rows":
        coverage = (whole_from >= 0).astype(np.float64)
        ratio = np.where(whole_from >= 0, ratio, np.nan)
    else:
        coverage = (after - whole_from) / whole_h
        ratio = unless_unknown(ratio, coverage, least_coverage)
    return {"ratio": ratio, "recent_mm": recent, "antecedent_mm": antecedent, "coverage": coverage}


def rows_back(*, recent_h: int, antecedent_h: int, windows: str, **_: object) -> int:
    """Return how many rows before a row its answer rests on."""
    return recent_h + antecedent_h + (0 if windows == "rows" else SLACK_ROWS)
