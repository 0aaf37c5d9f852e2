"""Improved tangent angle: the present rate of a slope against the rate of its uniform stage.

Xu, Zeng, Qian, Wang & He (2009), Geological Bulletin of China 28(4), 改进切线角: with T = S / v0 the curve of
displacement gets the same unit on both axes, and its angle is atan(v / v0): 45 deg at the uniform rate v0,
80 deg at 5.67 v0, 85 deg at 11.43 v0. The ratio is v / v0.

What the paper leaves open, and what is done here:
- v is the slope of a least-squares line over the last 6, 24 and 72 h (each at least over 4 rows), whichever
  lies highest above its line; the times are real ones, so gaps do not count as rest. A rate counts when two
  rows in a row show it, so that one wild reading is no motion.
- v0, unless set, is the median rate over the last 60 days (at least 14), those before today; it is taken to
  be 16 mm/a at least, the fastest of the class "extremely slow" of Cruden & Varnes (1996).
- To v0 come four standard deviations of the rates of the same record over the same window (from their median
  deviation), or of a rate measured with the sensor's own sigma, whichever is more: what noise, days and
  temperature do to the sensor is no acceleration. Without scatter nothing comes to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from warning.windows import Answer, Floats, Ints, measured_only, medians, running

NAME = ("改进切线角（许强 2009）", "improved tangent angle (Xu 2009)")
SENTENCE = (
    "近{span_h:.0f}小时变形速率每日{rate_mm_per_day:.2f}毫米，为等速阶段速率（含离散）的{ratio:.1f}倍",
    "{rate_mm_per_day:.2f} mm/day over the last {span_h:.0f} h,"
    " {ratio:.1f} times the uniform rate with its scatter",
)
OBSERVED_PROPERTIES = ("displacement", "displacement_x", "displacement_y", "displacement_z", "crack")
PARAMETERS = {
    "uniform_mm_per_day": 0.0,  # 0: found from the record
    "sigma_mm": 0.0,  # standard deviation of one hourly mean; 0: not known
    "windows_h": (6, 24, 72),
    "least_rows": 4,
    "longest_h": 2400,  # a rate over a longer time is none
    "significance": 4.0,
    "floor_mm_per_day": 0.0438,  # 16 mm/a
    "record_h": 1440,
    "least_record_h": 336,
}
VALUES = ("ratio", "angle_deg", "rate_mm_per_day", "base_mm_per_day", "span_h")

#: at least so many rows of a sparse series make its record, and so many rates are needed to know it
RECORD_ROWS, LEAST_RATES = 64, 8

#: in a mm
NANOMETRES = 1_000_000

#: standard deviations in a median absolute deviation, of a normal distribution
PER_MAD = 1.4826


def exceedance(
    time_h: Ints,
    displacement_mm: Floats,
    *,
    background: Floats | None = None,
    uniform_mm_per_day: float = 0.0,
    sigma_mm: float = 0.0,
    windows_h: Sequence[int] = (6, 24, 72),
    least_rows: int = 4,
    longest_h: int = 2400,
    significance: float = 4.0,
    floor_mm_per_day: float = 0.0438,
    **_: object,
) -> Answer:
    """Return ratio, angle_deg, rate_mm_per_day, base_mm_per_day (v0 with scatter) and span_h for each row.

    `time_h` are increasing hour numbers, displacement is cumulative in mm, NaN is missing. `background` (one
    row more than windows, one column for each row of the series) is what the function `background` says of
    the days before, mm/day; without it, or where it is NaN, `uniform_mm_per_day` must be set, or the
    ratio is NaN. Direction does not matter.

    >>> hours = np.arange(100)
    >>> moved = exceedance(hours, hours * 2.0 / 24, uniform_mm_per_day=2.0)
    >>> round(float(moved["angle_deg"][-1]), 3)
    45.0
    """
    known = ~np.isnan(displacement_mm)
    if background is None:
        background = np.full((1 + len(windows_h), len(time_h)), np.nan)
    uniform, spread = background[0, known], background[1:, known]
    if uniform_mm_per_day:
        uniform, spread = np.full_like(uniform, uniform_mm_per_day), np.nan_to_num(spread)
    reckon = partial(
        _reckon,
        uniform=np.maximum(np.abs(uniform), floor_mm_per_day),
        spread=spread,
        sigma_mm=sigma_mm,
        windows_h=windows_h,
        least_rows=least_rows,
        longest_h=longest_h,
        significance=significance,
    )
    return measured_only(reckon, time_h, displacement_mm)


def _reckon(
    time_h: Ints,
    displacement_mm: Floats,
    *,
    uniform: Floats,
    spread: Floats,
    sigma_mm: float,
    windows_h: Sequence[int],
    least_rows: int,
    longest_h: int,
    significance: float,
) -> Answer:
    """Return for each row the answer of the window with the highest ratio; NaN where `uniform` is."""
    asked = np.flatnonzero(~np.isnan(uniform))
    rows = np.union1d(asked, np.maximum(asked - 1, 0))
    here = np.searchsorted(rows, asked)
    before = np.where(asked > 0, here - 1, here)
    best = {name: np.full(len(asked), np.nan) for name in VALUES}
    limits = {"least_rows": least_rows, "longest_h": longest_h}
    for number, window_h in enumerate(windows_h):
        rate, span, scatter = rates(time_h, displacement_mm, rows, window_h=window_h, **limits)
        size = np.abs(rate)
        shown = np.where(np.isnan(size[here]), np.nan, np.fmin(size[here], size[before]))
        scattered = np.fmax(spread[number, asked], sigma_mm * scatter[here])
        base = uniform[asked] + significance * scattered
        ratio = np.round(shown / base, 9)
        better = ~np.isnan(ratio) & ~(ratio <= best["ratio"])
        found = (ratio, np.degrees(np.arctan(ratio)), shown, base, span[here])
        for name, column in zip(VALUES, found, strict=True):
            best[name] = np.where(better, column, best[name])
    answer = {name: np.full(len(time_h), np.nan) for name in VALUES}
    for name, column in best.items():
        answer[name][asked] = column
    return answer


def rates(
    time_h: Ints, displacement_mm: Floats, rows: Ints, *, window_h: int, least_rows: int, longest_h: int
) -> tuple[Floats, Floats, Floats]:
    """Return for each of `rows` the rate (mm/day), the span it was measured over (h), and its deviation per
    unit sigma.

    The rate is the slope of the least-squares line through the rows of the last `window_h` hours, or
    through the last `least_rows` rows when these reach back further; NaN when that is more than `longest_h`.
    Sums are of whole hours and nanometres: exact, so that they do not depend on where the series begins.
    """
    end_h = time_h[rows]
    first = np.minimum(np.searchsorted(time_h, end_h - window_h, side="right"), rows + 1 - least_rows)
    whole = first >= 0
    first = np.maximum(first, 0)
    moved = np.rint(displacement_mm * NANOMETRES).astype(np.int64)
    columns = (time_h, moved, time_h * time_h, time_h * moved)
    t, x, tt, tx = (total[rows + 1] - total[first] for total in map(running, columns))
    # counted from the first row of each window; whole numbers may overflow on the way here without harm
    n, t0, x0 = rows + 1 - first, time_h[first], moved[first]
    tt, tx = tt - 2 * t0 * t + n * t0 * t0, tx - t0 * x - x0 * t + n * t0 * x0
    t, x = t - n * t0, x - n * x0
    span, spread = end_h - t0, (n * tt - t * t).astype(np.float64)
    whole &= (span <= longest_h) & (spread > 0)
    span_h, spread = np.where(whole, span, np.nan), np.where(whole, spread, np.nan)
    rate = (n * tx - t * x) / spread * 24 / NANOMETRES
    return rate, span_h, 24 * np.sqrt(n / spread)


def background(
    records: Sequence[tuple[Ints, Floats]],
    *,
    before_h: Sequence[int],
    windows_h: Sequence[int],
    least_rows: int,
    longest_h: int,
    record_h: int,
    least_record_h: int,
    **_: object,
) -> Floats:
    """Return for each record (hours, mm), each with its `before_h`, the uniform rate and the standard
    deviation of the rates over each window (mm/day) before it: one column a record.

    They come from the rows of the last `record_h` hours before it, or from the last 64 rows when these reach
    back further: the median of the rates over the longest window, and the median deviations of each. All NaN
    when the record is shorter than `least_record_h` or has fewer than 8 rates.
    """
    learnt = np.full((1 + len(windows_h), len(records)), np.nan)
    recent = [_recent(*record, h, record_h) for record, h in zip(records, before_h, strict=True)]
    long = [n for n, (t, _) in enumerate(recent) if len(t) and t[-1] - t[0] >= least_record_h]
    if not long:
        return learnt
    lengths = [len(recent[n][0]) for n in long]
    owner = np.repeat(np.arange(len(long)), lengths)
    # one behind the other, further apart than any rate reaches
    time_h = np.concatenate([recent[n][0] for n in long]) + owner * (longest_h + 10_000_000)
    moved_mm, rows = np.concatenate([recent[n][1] for n in long]), np.arange(len(owner))
    enough = np.ones(len(long), np.bool_)
    for number, window_h in enumerate(windows_h, 1):
        limits = {"window_h": window_h, "least_rows": least_rows, "longest_h": longest_h}
        rate = rates(time_h, moved_mm, rows, **limits)[0]
        enough &= np.bincount(owner[~np.isnan(rate)], minlength=len(long)) >= LEAST_RATES
        middle = medians(rate, owner, len(long))
        learnt[0, long] = middle
        learnt[number, long] = PER_MAD * medians(np.abs(rate - middle[owner]), owner, len(long))
    learnt[:, np.array(long)[~enough]] = np.nan
    return learnt


def _recent(time_h: Ints, displacement_mm: Floats, before_h: int, record_h: int) -> tuple[Ints, Floats]:
    """Return the measured rows that the background before that hour rests on."""
    end = int(np.searchsorted(time_h, before_h))
    begin = max(0, min(int(np.searchsorted(time_h, before_h - record_h)), end - RECORD_ROWS))
    known = ~np.isnan(displacement_mm[begin:end])
    return time_h[begin:end][known], displacement_mm[begin:end][known]


def rows_back(*, windows_h: Sequence[int], least_rows: int, **_: object) -> int:
    """Return how many rows before a row its answer rests on, besides the background."""
    return max(*windows_h, least_rows) + 1
