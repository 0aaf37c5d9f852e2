"""The improved tangent angle: the published lines, gaps, noise, and slopes that did not fail."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from domain.alert import Level
from warning import rules
from warning.evaluate import Slot, history
from warning.models import xu_2009
from warning.windows import Floats

HOURS = np.arange(24 * 40)


def angle(displacement: Floats, uniform_mm_per_day: float) -> float:
    answer = xu_2009.exceedance(HOURS, displacement, uniform_mm_per_day=uniform_mm_per_day)
    return float(answer["angle_deg"][-1])


@pytest.mark.parametrize(
    ("times_v0", "degrees"),
    [(1.0, 45.0), (5.67, 80.0), (11.43, 85.0)],  # Xu (2009); EURASIP JWCN 2021, s13638-021-02033-y, table 1
)
def test_published_lines(times_v0: float, degrees: float) -> None:
    v0 = 3.0  # mm/day
    moved = HOURS * times_v0 * v0 / 24
    assert angle(moved, uniform_mm_per_day=v0) == pytest.approx(degrees, abs=0.01)
    assert angle(-moved, uniform_mm_per_day=v0) == pytest.approx(degrees, abs=0.01)  # direction is no matter


def test_the_uniform_rate_is_found_in_the_days_before() -> None:
    """30 days at 2 mm/day, then 20 mm/day: the angle is atan(10)."""
    moved = np.where(HOURS < 720, HOURS * 2.0 / 24, 60 + (HOURS - 720) * 20.0 / 24)
    until = 720 + 12
    found = xu_2009.background(
        [(HOURS[:until], moved[:until])], before_h=[720],
        windows_h=(6, 24, 72), least_rows=4, longest_h=2400, record_h=1440, least_record_h=336,
    )  # fmt: skip
    assert found[0] == pytest.approx(2.0)
    learnt = np.repeat(found, until, axis=1)
    answer = xu_2009.exceedance(HOURS[:until], moved[:until], background=learnt)
    assert answer["angle_deg"][-1] == pytest.approx(math.degrees(math.atan(10)), abs=0.01)


def test_without_a_record_it_says_that_it_cannot_tell() -> None:
    answer = xu_2009.exceedance(HOURS[:100], HOURS[:100].astype(np.float64))
    assert np.isnan(answer["ratio"]).all()


def test_a_gap_is_no_rest() -> None:
    """Real times count: the rate across a gap of two days is that of the slope, not a jump."""
    kept = np.concatenate([HOURS[:100], HOURS[148:200]])
    answer = xu_2009.exceedance(kept, kept * 4.0 / 24, uniform_mm_per_day=4.0)
    known = answer["angle_deg"][~np.isnan(answer["angle_deg"])]
    assert known == pytest.approx(45.0, abs=1e-3)


def test_noise_and_one_wild_reading_are_no_motion() -> None:
    """A slope at rest seen by a sensor of 3 mm: no line is reached, also with a reading 20 mm off."""
    seen = np.random.default_rng(11).normal(0, 3, len(HOURS))
    seen[900] += 20
    rule = rules.load()["rain_displacement"]
    assessed, levels = history(rule, {Slot("displacement", 1): (HOURS, seen)})
    assert assessed.model_level.max() == 0
    assert {level for _, level in levels} == {Level.NONE}


def points(data: Path) -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield point, hour numbers and cumulative resultant (mm) of the monthly record of Baishuihe."""
    rows = defaultdict(list)
    with (data / "baishuihe" / "baishuihe_displacement_monthly.csv").open() as file:
        for row in csv.DictReader(file):
            if row["dF_mm"]:
                rows[row["point"]].append((row["month"], float(row["dF_mm"])))
    for point, months in rows.items():
        times = [datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) for month, _ in months]
        yield point, [int(t.timestamp()) // 3600 for t in times], [mm for _, mm in months]


def test_steps_of_creep_make_no_red(data: Path) -> None:
    """No point of Baishuihe failed (its SOURCE.txt): every red would be a false alarm."""
    rule, seen, highest = rules.load()["rain_displacement"], 0, 0.0
    for _, hours, moved in points(data):
        assessed, levels = history(
            rule, {Slot("displacement", 1): (np.array(hours), np.array(moved, np.float64))}
        )
        assert Level.RED not in {level for _, level in levels}
        seen += 1
        highest = max(highest, float(np.nanmax(np.append(assessed.ratio, 0))))
    assert seen == 14 and highest > 1.2, "the record has steps that a model sees"


def test_one_sensor_alone_makes_no_red_and_two_do() -> None:
    """30 days of creep at 1 mm/day, then 40 mm/day: atan(40) is beyond 85 degrees."""
    moved = np.where(HOURS < 720, HOURS / 24, 30 + (HOURS - 720) * 40 / 24)
    rule = rules.load()["rain_displacement"]
    alone = {Slot("displacement", 1): (HOURS, moved)}
    both = alone | {Slot("crack", 2): (HOURS, moved)}
    same_station = alone | {Slot("displacement_x", 1): (HOURS, moved)}
    assert max(level for _, level in history(rule, alone)[1]) == Level.ORANGE
    assert max(level for _, level in history(rule, same_station)[1]) == Level.ORANGE
    assert max(level for _, level in history(rule, both)[1]) == Level.RED
