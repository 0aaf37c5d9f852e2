"""Mean intensity of the present storm against a power law of its duration.

Godt, Baum & Chleborad (2006), Earth Surface Processes and Landforms, doi:10.1002/esp.1237, Seattle:
I = 3.257 D^-1.13, I in inch/h, D in h; a storm ends after 3 dry hours or more. The same form with other
constants is Caine (1980), Geografiska Annaler 62A: I = 14.82 D^-0.39 mm/h, 10 min to 10 days.

A dry hour is outside of any storm (ratio 0) until rain goes on within the pause; then it belonged to the
storm after all, as in the lists of USGS Thresh. So later rain may still raise the answer of the last two
rows.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from warning.windows import (
    Answer,
    Floats,
    Ints,
    measured_only,
    micrometres,
    ratio_of,
    storm_rows,
    storms,
    unless_unknown,
)

NAME = ("降雨强度–历时（Godt 2006）", "storm intensity and duration (Godt 2006)")
SENTENCE = (
    "本场降雨{duration_h:.0f}小时，平均每小时{intensity_mm_per_h:.2f}毫米",
    "{intensity_mm_per_h:.2f} mm/h on average over {duration_h:.0f} h of the present storm",
)
OBSERVED_PROPERTIES = ("rainfall",)
PARAMETERS = {
    "coefficient_mm_per_h": 82.7278,  # 3.257 in/h
    "exponent": -1.13,
    "dry_h": 3,
    "longest_h": 240,  # of longer storms only the last 10 days count, the range of Caine (1980); hours only
    "windows": "hours",
    "least_coverage": 0.8,  # share of the storm's hours that must be measured to say "below"; ours
}
VALUES = ("ratio", "intensity_mm_per_h", "duration_h", "depth_mm")


def exceedance(
    time_h: Ints,
    rain_mm: Floats,
    *,
    coefficient_mm_per_h: float = 82.7278,
    exponent: float = -1.13,
    dry_h: int = 3,
    longest_h: int = 240,
    windows: str = "hours",
    least_coverage: float = 0.8,
) -> Answer:
    """Return ratio, intensity_mm_per_h, duration_h and depth_mm for each row of hourly rain (mm).

    `time_h` are increasing hour numbers; NaN or no row is a missing hour, which does not end a storm but
    counts in its duration. Outside of a storm everything is 0.

    After 10 h the line is at 82.7278 x 10^-1.13 = 6.133 mm/h:

    >>> rain = np.array([0, 0, 0] + [6.133] * 10)
    >>> round(float(exceedance(np.arange(13), rain)["ratio"][-1]), 3)
    1.0
    """
    reckon = partial(
        _reckon,
        coefficient_mm_per_h=coefficient_mm_per_h,
        exponent=exponent,
        dry_h=dry_h,
        longest_h=longest_h,
        windows=windows,
        least_coverage=least_coverage,
    )
    return measured_only(reckon, time_h, rain_mm, windows)


def _reckon(
    time_h: Ints,
    rain_mm: Floats,
    *,
    coefficient_mm_per_h: float,
    exponent: float,
    dry_h: int,
    longest_h: int,
    windows: str,
    least_coverage: float,
) -> Answer:
    storm = storms(time_h, micrometres(rain_mm), dry_h=dry_h, longest_h=longest_h, windows=windows)
    lasted = np.maximum(storm.duration_h, 1)
    intensity = storm.depth_mm / lasted
    ratio = ratio_of(intensity * lasted**-exponent, coefficient_mm_per_h)
    if windows == "hours":
        ratio = unless_unknown(ratio, storm.coverage, least_coverage)
    return {
        "ratio": ratio,
        "intensity_mm_per_h": intensity,
        "duration_h": storm.duration_h,
        "depth_mm": storm.depth_mm,
    }


def rows_back(*, dry_h: int, longest_h: int, windows: str, **_: object) -> int | None:
    """Return how many rows before a row its answer rests on; a storm of rows has no end."""
    return None if windows == "rows" else storm_rows(dry_h, longest_h)


def revises(*, dry_h: int, **_: object) -> int:
    """Return how many rows back an answer can still change when rain goes on after a pause."""
    return dry_h - 1
