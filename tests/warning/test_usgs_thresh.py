"""The rain models against what USGS Thresh 1.0.027 wrote for the same gauges: SOURCE.txt of usgs-thresh."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from warning.models import (
    chleborad_2006,
    godt_2006_intensity_duration,
    godt_2006_mean_intensity,
    godt_2006_water_index,
)
from warning.windows import Flags, Floats, Ints

HUNDREDTH_INCH_MM = 0.254
STAMP = re.compile(r"\s*(\d\d):59 (\d\d)/(\d\d)/(\d{4})")


@dataclass(frozen=True)
class Gauge:
    """One gauge: hour numbers and mm, and each model's answer in windows of rows, as Thresh counts."""

    number: str
    time_h: Ints
    ra: Floats
    id: Floats
    mean: Floats
    mean_in_storm: Floats
    awi_m: Floats

    def hours(self, exceeded: Flags) -> list[int]:
        return [int(hour) for hour in self.time_h[exceeded]]


@pytest.fixture(scope="module", params=[("KBFI", "01"), ("KSEA", "03")], ids=["KBFI", "KSEA"])
def gauge(request: pytest.FixtureRequest, data: Path) -> Gauge:
    name, number = request.param
    rows = (data / "usgs-thresh" / "input" / f"{name}_t.txt").read_text().splitlines()
    times = [datetime(int(r[2:6]), int(r[6:8]), int(r[8:10]), int(r[10:12]), tzinfo=UTC) for r in rows]
    time_h = np.array([int(at.timestamp()) // 3600 for at in times])
    rain = np.array([int(r[12:]) * HUNDREDTH_INCH_MM for r in rows])
    return Gauge(
        number,
        time_h,
        chleborad_2006.exceedance(time_h, rain, windows="rows")["ratio"],
        godt_2006_intensity_duration.exceedance(time_h, rain, windows="rows")["ratio"],
        godt_2006_mean_intensity.exceedance(time_h, rain, windows="rows")["ratio"],
        godt_2006_mean_intensity.exceedance(time_h, rain, windows="rows", in_storm=True)["ratio"],
        godt_2006_water_index.exceedance(time_h, rain, windows="rows")["water_index_m"],
    )


def listed(data: Path, kind: str, number: str) -> list[int]:
    """Return the hour numbers in one of Thresh's lists of exceedances."""
    hours = []
    for line in (data / "usgs-thresh" / "expected" / f"ThTimeEx{kind}{number}.txt").read_text().splitlines():
        if found := STAMP.match(line):
            hour, month, day, year = map(int, found.groups())
            hours.append(int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) // 3600)
    return hours


#: list, and which hours must stand in it
LISTS: dict[str, Callable[[Gauge], Flags]] = {
    "RA_": lambda g: g.ra >= 1,
    "ID_": lambda g: g.id >= 1,
    "IDA": lambda g: (g.id >= 1) & (g.awi_m >= 0.02),
    "IRA": lambda g: (g.ra >= 1) & (g.mean_in_storm > 1),
}


@pytest.mark.parametrize("kind", LISTS)
def test_hour_by_hour(gauge: Gauge, data: Path, kind: str) -> None:
    with np.errstate(invalid="ignore"):
        assert gauge.hours(LISTS[kind](gauge)) == listed(data, kind, gauge.number)


#: from SOURCE.txt: RA, RA & 6 h, ID, AWI >= 0.02 m, ID & AWI, 6 h in a storm, 6 h, maximum of AWI in m
COUNTS = {"01": (641, 15, 12, 1060, 11, 33, 35, 0.106868), "03": (784, 18, 15, 1059, 9, 40, 41, 0.099447)}


def test_counts(gauge: Gauge) -> None:
    awi = gauge.awi_m >= 0.02
    found = (
        int(np.sum(gauge.ra >= 1)),
        int(np.sum((gauge.ra >= 1) & (gauge.mean_in_storm > 1))),
        int(np.sum(gauge.id >= 1)),
        int(np.sum(awi)),
        int(np.sum((gauge.id >= 1) & awi)),
        int(np.sum(gauge.mean_in_storm > 1)),
        int(np.sum(gauge.mean > 1)),
        round(float(gauge.awi_m.max()), 6),
    )
    assert found == COUNTS[gauge.number]


def test_windows_of_hours_know_a_gap(data: Path) -> None:
    """A missing hour is missing, not dry: below the line it makes the answer unknown, above it never."""
    hours = np.arange(500)
    rain = np.zeros(500)
    rain[450:455] = 20.0
    gap = np.ones(500, np.bool_)
    gap[380:440] = False  # 60 h lost within the 72 h before row 452
    whole = chleborad_2006.exceedance(hours, rain)
    holed = chleborad_2006.exceedance(hours[gap], rain[gap])
    at = {hour: row for row, hour in enumerate(hours[gap].tolist())}
    assert whole["ratio"][453] < 1 and np.isnan(holed["ratio"][at[453]])
    assert whole["ratio"][454] > 1 and holed["ratio"][at[454]] > 1


def test_it_goes_on_where_the_record_was_cut() -> None:
    """The water index of two halves is that of the whole record, to the last bit."""
    rng = np.random.default_rng(5)
    hours, rain = np.arange(3000), np.where(rng.random(3000) < 0.1, rng.gamma(1, 3, 3000), 0.0)
    whole = godt_2006_water_index.exceedance(hours, rain)["water_index_m"]
    first = godt_2006_water_index.exceedance(hours[:1500], rain[:1500])["water_index_m"]
    second = godt_2006_water_index.exceedance(hours[1499:], rain[1499:], start_m=float(first[-1]))
    assert np.array_equal(np.concatenate([first, second["water_index_m"][1:]]), whole)


def test_the_recent_window_is_three_days() -> None:
    """Rain leaves P3 after 72 h and weighs 0.67 of itself from then on (Chleborad 2006)."""
    rain = np.zeros(600)
    rain[450] = 88.9  # 3.5 in
    ratio = chleborad_2006.exceedance(np.arange(600), rain)["ratio"]
    assert ratio[450] == ratio[521] == 1.0
    assert ratio[522] < 1.0


def test_a_storm_ends_after_three_dry_hours() -> None:
    rain = np.array([10.0, 0, 0, 10.0, 0, 0, 0, 10.0])
    duration = godt_2006_intensity_duration.exceedance(np.arange(8), rain)["duration_h"]
    assert duration.tolist() == [1, 2, 3, 4, 0, 0, 0, 1]


def test_the_mean_over_six_hours() -> None:
    """0.72 in within 6 h is on the line of 0.12 in/h."""
    rain = np.zeros(timedelta(hours=12) // timedelta(hours=1))
    rain[6] = 18.288
    ratio = godt_2006_mean_intensity.exceedance(np.arange(12), rain)["ratio"]
    assert ratio[6] == ratio[11] == 1.0 and ratio[5] == 0
