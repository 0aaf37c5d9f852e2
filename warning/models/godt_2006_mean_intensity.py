"""Running mean of the rain's intensity against a fixed line.

Godt, Baum & Chleborad (2006), Earth Surface Processes and Landforms, doi:10.1002/esp.1237, Seattle: the mean
over 6 h above 0.12 inch/h. USGS Thresh (Baum, Fischer & Vigil 2018, USGS TM 14-A2) counts an hour only
inside a storm (`in_storm`), and counts what lies above the line: a ratio of exactly 1 is on it.
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
    storm_rows,
    storms,
    unless_unknown,
)

NAME = ("短时平均雨强（Godt 2006）", "running mean intensity (Godt 2006)")
SENTENCE = (
    "近{window_h}小时平均每小时{mean_mm_per_h:.2f}毫米",
    "{mean_mm_per_h:.2f} mm/h on average over the last {window_h} h",
)
OBSERVED_PROPERTIES = ("rainfall",)
PARAMETERS = {
    "window_h": 6,
    "line_mm_per_h": 3.048,  # 0.12 in/h
    "in_storm": False,
    "dry_h": 3,
    "longest_h": 240,
    "windows": "hours",
    "least_coverage": 0.8,  # share of the window's hours that must be measured to say "below"; ours
}
VALUES = ("ratio", "mean_mm_per_h", "coverage")


def exceedance(
    time_h: Ints,
    rain_mm: Floats,
    *,
    window_h: int = 6,
    line_mm_per_h: float = 3.048,
    in_storm: bool = False,
    dry_h: int = 3,
    longest_h: int = 240,
    windows: str = "hours",
    least_coverage: float = 0.8,
) -> Answer:
    """Return ratio, mean_mm_per_h and coverage (0..1) for each row of hourly rain (mm).

    `time_h` are increasing hour numbers; NaN or no row is a missing hour. Needs 6 h.

    0.72 in within 6 h is on the line:

    >>> float(exceedance(np.arange(6), np.full(6, 3.048))["ratio"][-1])
    1.0
    """
    reckon = partial(
        _reckon,
        window_h=window_h,
        line_mm_per_h=line_mm_per_h,
        storm=(dry_h, longest_h) if in_storm else None,
        windows=windows,
        least_coverage=least_coverage,
    )
    return measured_only(reckon, time_h, rain_mm, windows)


def _reckon(
    time_h: Ints,
    rain_mm: Floats,
    *,
    window_h: int,
    line_mm_per_h: float,
    storm: tuple[int, int] | None,
    windows: str,
    least_coverage: float,
) -> Answer:
    depth_um, after = micrometres(rain_mm), np.arange(len(time_h)) + 1
    total, since = running(depth_um), first_row(time_h, window_h, windows)
    mean = (total[after] - total[np.maximum(since, 0)]) / 1000 / window_h
    ratio = ratio_of(mean, line_mm_per_h)
    if storm:
        dry_h, longest_h = storm
        inside = storms(time_h, depth_um, dry_h=dry_h, longest_h=longest_h, windows=windows).inside
        ratio = np.where(inside, ratio, 0.0)
    if windows == "rows":
        coverage = (since >= 0).astype(np.float64)
        ratio = np.where(since >= 0, ratio, np.nan)
    else:
        coverage = (after - since) / window_h
        ratio = unless_unknown(ratio, coverage, least_coverage)
    return {"ratio": ratio, "mean_mm_per_h": mean, "coverage": coverage}


def rows_back(
    *, window_h: int, in_storm: bool, dry_h: int, longest_h: int, windows: str, **_: object
) -> int | None:
    """Return how many rows before a row its answer rests on; a storm of rows has no end."""
    if windows == "rows":
        return None if in_storm else window_h
    return storm_rows(dry_h, longest_h) if in_storm else window_h + SLACK_ROWS


def revises(*, in_storm: bool, dry_h: int, **_: object) -> int:
    """Return how many rows back an answer can still change when rain goes on after a pause."""
    return dry_h - 1 if in_storm else 0
