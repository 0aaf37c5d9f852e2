"""A rule over whole records: combining models and sensors, missing inputs, a second sign before red."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from domain.alert import Level
from warning import rules
from warning.evaluate import Assessed, Slot, history
from warning.explain import Moment, as_data, reasons
from warning.rules import Rule
from warning.windows import Floats, Ints

NONE, BLUE, YELLOW, ORANGE, RED = Level
Series = dict[Slot, tuple[Ints, Floats]]
DEFAULT = rules.load()["rain_displacement"]
HOURS = np.arange(24 * 40)

#: the points of Baishuihe
POINTS = ("DX-01", "DX-02", "DX-03", "DX-04", "ZG118", "ZG119", "ZG120", "ZG67", "ZG68", "ZG69", "ZG91",
          "ZG92", "ZG93", "ZG94")  # fmt: skip


def own_rule(folder: Path, shipped: str, **parameters: Any) -> Rule:
    """Return a shipped rule whose tangent angle has other parameters."""
    content = yaml.safe_load((rules.FOLDER / f"{shipped}.yaml").read_text(encoding="utf-8"))
    content["models"]["angle"]["parameters"] = parameters
    (folder / f"{shipped}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return rules.load(str(folder))[shipped]


def stood(rule: Rule, series: Series) -> tuple[Assessed, list[Level]]:
    assessed, levels = history(rule, series)
    return assessed, [level for _, level in levels]


def creep(times: float, last_h: int = 24) -> tuple[Ints, Floats]:
    """Return 2 mm a day, which becomes so many times faster in the last hours."""
    return HOURS, np.cumsum(np.where(len(HOURS) - HOURS > last_h, 2.0, 2.0 * times) / 24)


def storm(last_h: int = 24) -> tuple[Ints, Floats]:
    """Return dry weather that ends in 8 mm/h."""
    return HOURS, np.where(len(HOURS) - HOURS > last_h, 0.0, 8.0)


@pytest.mark.parametrize(
    ("times", "level"),
    [(1.0, NONE), (1.1, NONE), (1.3, BLUE), (2.0, YELLOW), (5.6, YELLOW), (6.0, ORANGE), (11, ORANGE)],
)
def test_the_tangent_angle_makes_the_colours(times: float, level: Level) -> None:
    assert stood(DEFAULT, {Slot("displacement", 0): creep(times)})[1][-1] == level


def test_one_sensor_alone_never_makes_red_a_second_one_or_a_storm_does() -> None:
    alone = {Slot("displacement", 0): creep(20.0)}
    assessed, levels = stood(DEFAULT, alone)
    assert levels[-1] == ORANGE and assessed.unconfirmed[-1] == RED
    axes = {Slot(f"displacement_{axis}", 0): creep(20.0) for axis in "xyz"}
    assert stood(DEFAULT, axes)[1][-1] == ORANGE  # three axes of one sensor are one sign
    calm = {**alone, Slot("displacement", 1): creep(1.0), Slot("rainfall", 2): (HOURS, np.zeros(len(HOURS)))}
    assert stood(DEFAULT, calm)[1][-1] == ORANGE
    assert stood(DEFAULT, {**alone, Slot("displacement", 1): creep(7.0)})[1][-1] == RED
    assert stood(DEFAULT, {**alone, Slot("crack", 0): creep(7.0)})[1][-1] == RED
    assert stood(DEFAULT, {**alone, Slot("rainfall", 1): storm()})[1][-1] == RED
    assert stood(DEFAULT, {Slot("rainfall", 1): storm()})[1][-1] == ORANGE


def test_the_intensity_counts_only_while_the_cumulative_line_is_crossed() -> None:
    hours = np.arange(24 * 20)
    burst = np.where(hours == hours[-1], 84.0, 0.0)  # 84 mm in an hour: ID crossed, 84 of 88.9 mm not
    assessed, levels = stood(DEFAULT, {Slot("rainfall", 0): (hours, burst)})
    assert assessed.ratio[1, -1] > 1 > assessed.ratio[0, -1] and levels[-1] == NONE
    assert assessed.over[:, -1].tolist() == [False, True, False]
    # with a short record nobody knows whether it is crossed: then it counts
    assert stood(DEFAULT, {Slot("rainfall", 0): (hours[-24:], burst[-24:])})[1][-1] == ORANGE


def test_a_silent_sensor_keeps_a_level_up_and_is_named() -> None:
    speeding = creep(7.0)
    gauge = np.arange(len(HOURS) + 24 * 8)
    series = {Slot("displacement", 0): speeding, Slot("rainfall", 1): (gauge, np.zeros(len(gauge)))}
    assessed, levels = stood(DEFAULT, series)
    last = len(HOURS) - 1
    assert levels[last] == ORANGE
    # its last answer counts for 72 h; then its silence holds the level for 72 h, then comes the calm of 24 h
    assert assessed.unanswered[last + 72 : last + 74].tolist() == [False, True]
    assert levels[last + 167 : last + 169] == [ORANGE, NONE]
    sensors = {Slot("displacement", 0): "st-1/gnss", Slot("rainfall", 1): "st-2/rain"}
    moment = Moment(assessed=assessed, step=len(levels) - 1, offset_h=0, level=levels[-1], sensors=sensors)
    zh, en = reasons(moment)
    assert "缺数据，不能据此排除危险" in zh and "st-1/gnss最近数据" in zh
    assert "st-1/gnss: last heard 1970-02-10 08:00" in en
    assert as_data(moment)["angle"]["ratio"] is None and "last heard" in str(
        as_data(moment)["angle"]["missing"]
    )


def test_reasons_say_value_line_margin_time_and_what_does_not_count() -> None:
    series = {Slot("displacement", 0): creep(20.0)}
    assessed, _ = stood(DEFAULT, series)
    moment = Moment(assessed=assessed, step=len(HOURS) - 1, offset_h=0, level=ORANGE,
                    sensors={Slot("displacement", 0): "st-1/gnss"})  # fmt: skip
    zh, en = reasons(moment)
    assert zh.startswith(
        "研判等级橙色（红色须有第二个独立迹象，尚无）；改进切线角（许强 2009）：近23小时变形速率每日40.00毫米"
    )
    assert "切线角度数87.1，达到红色线85（相差2.1）（st-1/gnss，2月10日08时止）" in zh
    assert zh.endswith(
        "本点没有雨量监测：近期–前期雨量（Chleborad 2006）、降雨强度–历时（Godt 2006）不作判断。"
    )
    assert "tangent angle in degrees 87.1 reaches the red line of 85 (by 2.1)" in en
    assert "st-1/gnss, until 1970-02-10 08:00 Beijing time" in en and en.endswith(
        ". No rain sensor here, so no word from recent and antecedent rain (Chleborad 2006),"
        " storm intensity and duration (Godt 2006)."
    )
    told = as_data(moment)["angle"]
    assert (told["level"], told["line"], told["margin"]) == (
        "red", {"level": "red", "angle_deg": 85}, {"angle_deg": pytest.approx(2.137, abs=0.01)},
    )  # fmt: skip
    assert told["at"] == "1970-02-10T00:00:00+00:00" and told["sensor"] == "st-1/gnss"
    burst = {Slot("rainfall", 0): (np.arange(480), np.where(np.arange(480) == 479, 84.0, 0.0))}
    assessed, levels = stood(DEFAULT, burst)
    moment = Moment(
        assessed=assessed, step=479, offset_h=0, level=levels[-1], sensors={Slot("rainfall", 0): "r"}
    )
    assert "因近期–前期雨量（Chleborad 2006）未达线而不计级" in reasons(moment)[0]
    assert (
        "does not count while recent and antecedent rain (Chleborad 2006) is below its line"
        in reasons(moment)[1]
    )


def test_many_silent_sensors_are_counted() -> None:
    series: Series = {Slot("displacement", number): (HOURS[:48], np.zeros(48)) for number in range(5)}
    assessed, levels = stood(DEFAULT, {**series, Slot("rainfall", 9): storm()})
    moment = Moment(assessed=assessed, step=len(HOURS) - 1, offset_h=0, level=levels[-1],
                    sensors={slot: f"g{slot.sensor}" for slot in series})  # fmt: skip
    zh, en = reasons(moment)
    assert "（g0最近数据1月3日08时、g1最近数据1月3日08时、g2最近数据1月3日08时等5项）" in zh
    assert "g2: last heard 1970-01-03 08:00 and 2 more)" in en


def test_of_several_sensors_the_one_that_says_most_is_told() -> None:
    series = {Slot("displacement", number): creep(times) for number, times in enumerate((1.0, 6.0, 3.0))}
    assessed, levels = stood(DEFAULT, series)
    assert levels[-1] == ORANGE
    moment = Moment(assessed=assessed, step=len(HOURS) - 1, offset_h=0, level=levels[-1],
                    sensors={slot: f"gnss-{slot.sensor}" for slot in series})  # fmt: skip
    assert as_data(moment)["angle"]["sensor"] == "gnss-1"


def baishuihe(data: Path) -> Series:
    """Return each point's monthly displacement, and the daily rain."""
    series: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    with (data / "baishuihe" / "baishuihe_displacement_monthly.csv").open() as rows:
        for row in csv.DictReader(rows):
            series[row["point"]].append((_hour(f"{row['month']}-01"), float(row["dF_mm"])))
    with (data / "baishuihe" / "baishuihe_rain_daily.csv").open() as rows:
        rain = [
            (_hour(row["date"]) + 24, float(row["rain_mm"])) for row in csv.DictReader(rows) if row["rain_mm"]
        ]
    found = {Slot("displacement", n): _arrays(series[point]) for n, point in enumerate(POINTS)}
    return {**found, Slot("rainfall", len(POINTS)): _arrays(rain)}


def _hour(date: str) -> int:
    return (
        int((datetime.fromisoformat(date).replace(tzinfo=UTC) - timedelta(hours=8)).timestamp()) // 3600 - 1
    )


def _arrays(rows: list[tuple[int, float]]) -> tuple[Ints, Floats]:
    return np.array([hour for hour, _ in rows]), np.array([value for _, value in rows])


def test_the_step_like_creep_of_baishuihe_never_turns_red(data: Path, tmp_path: Path) -> None:
    series = baishuihe(data)
    # 10 mm a month is given out as its uniform rate; without the scatter the angle alone passes 85 degrees
    strict = own_rule(tmp_path, "rain_displacement", uniform_mm_per_day=0.33, significance=0.0)
    steepest = {}
    for slot, (hours, moved) in series.items():
        if slot.observed_property == "displacement":
            assert max(stood(DEFAULT, {slot: (hours, moved)})[1]) < RED
            assessed, levels = stood(strict, {slot: (hours, moved)})
            assert max(levels) < RED
            steepest[slot] = np.nanmax(assessed.ratio[-1])
    assert max(steepest.values()) > 11.43
    for rule in (DEFAULT, strict):
        assert max(stood(rule, series)[1]) == ORANGE


def test_a_stable_reference_point_stays_at_none(data: Path) -> None:
    rows = (data / "salmonfalls" / "BASE.pbo.nam08.csv").read_text().splitlines()
    days = [row.split(",") for row in rows if row.startswith("20")]
    hours = np.array(
        [int(datetime.fromisoformat(day[0].strip()).replace(tzinfo=UTC).timestamp()) // 3600 for day in days]
    )
    axes = {Slot(f"displacement_{axis}", 0): (hours, np.array([float(day[n]) for day in days]))
            for n, axis in enumerate("xyz", 1)}  # fmt: skip
    assessed, levels = stood(DEFAULT, axes)
    assert len(levels) > 400 and max(levels) == NONE
    assert not np.isnan(assessed.ratio[-1, 60:]).any()
