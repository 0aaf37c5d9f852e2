"""The models against their sources: known answers, gaps, and answers that rest on their memory alone."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warning import models
from warning.models import chleborad_2006 as recent_antecedent
from warning.models import godt_2006_intensity_duration as storm
from warning.models import godt_2006_mean_intensity as mean_intensity
from warning.models import godt_2006_water_index as water_index
from warning.models import xu_2009
from warning.windows import Floats, Ints, interval_h

INCH_100 = 0.254

#: gauge -> SOURCE.txt of usgs-thresh: RA, RA and 6 h, ID, water index, ID and water index, 6 h in a storm and
#: not, highest water index
KNOWN = {
    "KBFI": ("01", 641, 15, 12, 1060, 11, 33, 35, 0.106868),
    "KSEA": ("03", 784, 18, 15, 1059, 9, 40, 41, 0.099447),
}


def gauge(data: Path, name: str) -> tuple[Ints, Floats]:
    """Return hour numbers and mm of a gauge: year, month, day, hour, then 1/100 inch in fixed columns."""
    hours, depths = [], []
    for line in (data / "usgs-thresh" / "input" / f"{name}_t.txt").read_text().splitlines():
        at = datetime(int(line[2:6]), int(line[6:8]), int(line[8:10]), int(line[10:12]), tzinfo=UTC)
        hours.append(int(at.timestamp()) // 3600)
        depths.append(int(line[12:]) * INCH_100)
    return np.array(hours), np.array(depths)


def listed(data: Path, kind: str, number: str) -> list[int]:
    """Return the hour numbers in a list of exceedances that Thresh wrote (hh:59)."""
    rows = (data / "usgs-thresh" / "expected" / f"ThTimeEx{kind}{number}.txt").read_text().splitlines()
    times = [row.split("\t")[0].strip() for row in rows if row.strip() and not row.strip().startswith("#")]
    stamps = [datetime.strptime(time, "%H:59 %m/%d/%Y").replace(tzinfo=UTC) for time in times]
    return [int(stamp.timestamp()) // 3600 for stamp in stamps]


@pytest.mark.parametrize("name", KNOWN)
def test_windows_of_rows_give_the_lists_of_thresh_to_the_hour(data: Path, name: str) -> None:
    number, ra_hours, both, id_hours, awi_hours, id_awi, wet, any_6h, highest = KNOWN[name]
    hours, rain = gauge(data, name)
    ra = recent_antecedent.exceedance(hours, rain, windows="rows")["ratio"] > 1
    id_ = storm.exceedance(hours, rain, windows="rows")["ratio"] > 1
    six = mean_intensity.exceedance(hours, rain, windows="rows")["ratio"] > 1
    six_wet = mean_intensity.exceedance(hours, rain, windows="rows", in_storm=True)["ratio"] > 1
    water = water_index.exceedance(hours, rain, windows="rows")
    awi = water["ratio"] >= 1
    assert hours[ra].tolist() == listed(data, "RA_", number)
    assert hours[id_].tolist() == listed(data, "ID_", number)
    assert hours[ra & six].tolist() == listed(data, "IRA", number)
    assert hours[id_ & awi].tolist() == listed(data, "IDA", number)
    counts = tuple(int(x.sum()) for x in (ra, ra & six, id_, awi, id_ & awi, six_wet, six))
    assert counts == (ra_hours, both, id_hours, awi_hours, id_awi, wet, any_6h)
    assert round(float(water["water_index_m"].max()), 6) == highest
    assert np.array_equal(awi, water["water_index_m"] >= 0.02)


@pytest.mark.parametrize("name", KNOWN)
def test_windows_of_hours_never_count_a_missing_hour_as_dry(data: Path, name: str) -> None:
    hours, rain = gauge(data, name)
    by_hours = recent_antecedent.exceedance(hours, rain)
    by_rows = recent_antecedent.exceedance(hours, rain, windows="rows")
    gaps = np.cumsum(np.diff(hours, prepend=hours[0]) != 1)
    whole = np.flatnonzero((gaps[431:] == gaps[:-431]) & (np.arange(431, len(hours)) > 431)) + 431
    assert len(whole) > 1000
    assert np.array_equal(by_hours["ratio"][whole], by_rows["ratio"][whole])
    # a window of rows reaches further back than 432 h where hours are missing, so it never holds less rain
    both = ~np.isnan(by_hours["ratio"]) & ~np.isnan(by_rows["ratio"])
    assert (by_hours["recent_mm"] <= by_rows["recent_mm"] + 1e-9)[both].all()
    assert (by_hours["ratio"] < by_rows["ratio"])[both].any()


def test_any_recent_rain_exceeds_where_the_line_has_fallen_to_zero() -> None:
    hours, rain = np.arange(440), np.zeros(440)
    rain[5] = 5.3 * 25.4  # above 3.5 / 0.67 = 5.22 in
    assert recent_antecedent.exceedance(hours, rain)["ratio"][434] < 1
    rain[434] = 0.254
    ratio = recent_antecedent.exceedance(hours, rain)["ratio"]
    assert ratio[433] < 1 <= ratio[434]


def test_too_little_measured_is_unknown_but_enough_rain_exceeds_all_the_same() -> None:
    hours = np.arange(100)
    assert np.isnan(recent_antecedent.exceedance(hours, np.full(100, 0.1))["ratio"]).all()
    assert recent_antecedent.exceedance(hours, np.full(100, 2.0))["ratio"][-1] > 1
    assert mean_intensity.exceedance(np.array([0, 5]), np.array([0.0, 1.0]))["ratio"][-1] is not None
    sparse = mean_intensity.exceedance(np.array([0, 5]), np.array([0.0, 1.0]))["ratio"]
    assert np.isnan(sparse).tolist() == [True, True]
    assert mean_intensity.exceedance(np.array([0, 5]), np.array([0.0, 30.0]))["ratio"][-1] > 1


def test_a_storm_survives_two_dry_hours_and_a_missing_one_but_not_three_dry() -> None:
    rain = np.array([0, 0, 0, 5.0, 0, 0, 5.0, 0, 0, 0, 5.0])
    duration = storm.exceedance(np.arange(11), rain)["duration_h"]
    assert duration.tolist() == [0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1]
    missing = rain.copy()
    missing[8] = np.nan  # one of the three dry hours is not known to be dry
    assert storm.exceedance(np.arange(11), missing)["duration_h"][[6, 10]].tolist() == [4, 8]
    assert np.isnan(storm.exceedance(np.arange(11), missing)["ratio"][8])


def test_a_pause_counts_once_the_rain_goes_on() -> None:
    rain = np.array([0, 0, 0, 40.0, 45.0, 0.0])
    paused = storm.exceedance(np.arange(6), rain)["ratio"]
    resumed = storm.exceedance(np.arange(7), np.append(rain, 10.0))["ratio"]
    assert paused[5] == 0 < resumed[5]
    assert np.array_equal(paused[:5], resumed[:5])
    assert storm.revises(dry_h=3) == 2


def test_the_line_of_caine_is_crossed_where_he_drew_it() -> None:
    # Caine (1980): I = 14.82 D^-0.39, so 24 h need 14.82 x 24^0.61 = 103.0 mm
    rain = np.full(24, 103.0 / 24)
    ratio = storm.exceedance(np.arange(24), rain, coefficient_mm_per_h=14.82, exponent=-0.39)["ratio"]
    assert ratio[-1] == pytest.approx(1.0, abs=0.001)


def test_rain_told_once_a_day_is_no_hourly_burst() -> None:
    hours = np.arange(40) * 24
    assert set(interval_h(hours)[25:].tolist()) == {24}
    assert storm.exceedance(hours, np.full(40, 40.0))["intensity_mm_per_h"][-1] == pytest.approx(
        40 / 24, abs=0.001
    )
    assert recent_antecedent.exceedance(hours, np.full(40, 40.0))["recent_mm"][-1] == pytest.approx(
        120, abs=0.1
    )
    # a gauge that speaks only when it rains has no interval
    assert set(interval_h(np.cumsum(np.tile([1, 30, 1, 7], 20))).tolist()) == {1}


def test_the_water_index_goes_on_where_another_record_ended() -> None:
    rng = np.random.default_rng(1)
    hours, rain = np.arange(24 * 90), rng.gamma(0.05, 4, 24 * 90)
    whole = water_index.exceedance(hours, rain)["water_index_m"]
    for cut in (1, 700, 2000):
        rest = water_index.exceedance(hours[cut:], rain[cut:], start_m=float(whole[cut]))["water_index_m"]
        assert np.array_equal(rest, whole[cut:])


def test_missing_hours_dry_the_soil_in_windows_of_hours_only() -> None:
    hours, rain = np.array([0, 1, 101]), np.array([0.0, 150.0, 0.0])
    by_hours = water_index.exceedance(hours, rain)["water_index_m"]
    by_rows = water_index.exceedance(hours, rain, windows="rows")["water_index_m"]
    january_mm = 0.054 * 0.254
    assert by_rows[-1] == pytest.approx(by_rows[1] - january_mm / 1000)
    assert by_hours[-1] == pytest.approx(by_hours[1] - 100 * january_mm / 1000)


@pytest.mark.parametrize(("multiple", "angle_deg"), [(1.0, 45.0), (5.67, 80.0), (11.43, 85.0)])
def test_the_tangent_angle_of_the_published_multiples(multiple: float, angle_deg: float) -> None:
    hours = np.arange(200)
    moved = np.cumsum(np.full(200, multiple * 2.0 / 24))
    said = xu_2009.exceedance(hours, moved, uniform_mm_per_day=2.0)
    assert said["angle_deg"][-1] == pytest.approx(angle_deg, abs=0.01)
    assert said["rate_mm_per_day"][-1] == pytest.approx(multiple * 2.0, abs=0.001)


def learnt(hours: Ints, moved: Floats, **parameters: Any) -> dict[str, Floats]:
    """Return the answer with the background that the model finds itself."""
    settings: dict[str, Any] = {**xu_2009.PARAMETERS, **parameters}
    days, row = np.unique(hours // 24, return_inverse=True)
    found = xu_2009.background([(hours, moved)] * len(days), before_h=(days * 24).tolist(), **settings)
    return xu_2009.exceedance(hours, moved, background=found[:, row], **settings)


def test_records_learnt_from_together_do_not_know_of_each_other() -> None:
    draw = np.random.default_rng(7)
    records = [(np.arange(n), np.cumsum(draw.normal(0.1, 1.0, n))) for n in (400, 20, 900, 1500, 333)]
    records[2][1][100:300] = np.nan
    before_h = [400, 20, 880, 1500, 300]
    settings: dict[str, Any] = dict(xu_2009.PARAMETERS)
    together = xu_2009.background(records, before_h=before_h, **settings)
    alone = [
        xu_2009.background([record], before_h=[h], **settings)
        for record, h in zip(records, before_h, strict=True)
    ]
    np.testing.assert_array_equal(together, np.hstack(alone))
    assert np.isnan(together[0]).tolist() == [False, True, False, False, True]


def test_the_spread_of_the_rates_is_their_median_deviation() -> None:
    """A sawtooth of -1, 0, 1 mm on 2.4 mm/day: each rate over 4 rows can be reckoned by hand."""
    hours = np.arange(400)
    moved = hours * 0.1 + np.tile([0.0, 1.0, -1.0, 0.0], 100)
    rates = [np.polyfit(hours[n - 3 : n + 1], moved[n - 3 : n + 1], 1)[0] * 24 for n in range(3, 384)]
    few: dict[str, Any] = {**xu_2009.PARAMETERS, "windows_h": (4,), "record_h": 400, "least_record_h": 300}
    found = xu_2009.background([(hours, moved)], before_h=[384], **few)[:, 0]
    assert found[0] == pytest.approx(np.median(rates))
    assert found[1] == pytest.approx(1.4826 * np.median(np.abs(rates - np.median(rates))))


def test_the_uniform_rate_is_found_and_an_acceleration_seen() -> None:
    hours = np.arange(24 * 40)
    rate = np.where(hours < 24 * 35, 3.0, 3.0 * 6)
    said = learnt(hours, np.cumsum(rate / 24))
    assert np.isnan(said["ratio"][: 24 * 14]).all()
    assert said["base_mm_per_day"][24 * 34] == pytest.approx(3.0, rel=1e-3)
    assert said["angle_deg"][24 * 34] == pytest.approx(45, abs=0.1)
    assert said["angle_deg"][24 * 35 + 8] == pytest.approx(np.degrees(np.arctan(6)), abs=0.1)


def test_noise_is_no_motion_nor_is_a_daily_swing_nor_one_wild_hour() -> None:
    rng = np.random.default_rng(2)
    hours = np.arange(24 * 120)
    noise = rng.normal(0, 3.0, len(hours))
    assert np.nanmax(learnt(hours, noise)["angle_deg"]) < 50
    swing = 2.0 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 0.1, len(hours))
    assert np.nanmax(learnt(hours, swing)["angle_deg"]) < 50
    wild = 0.05 * hours + rng.normal(0, 0.5, len(hours))
    wild[24 * 100] += 400.0
    assert np.nanmax(learnt(hours, wild)["angle_deg"][: 24 * 100 + 1]) < 50


def test_the_sensors_own_deviation_widens_the_line() -> None:
    hours, moved = np.arange(60), np.arange(60.0) * 0.2
    exact = xu_2009.exceedance(hours, moved, uniform_mm_per_day=1.0)
    vague = xu_2009.exceedance(hours, moved, uniform_mm_per_day=1.0, sigma_mm=5.0)
    assert exact["ratio"][-1] == pytest.approx(4.8, abs=1e-3)
    assert vague["ratio"][-1] < 4.8
    # sigma of a slope through n points an hour apart: sigma / sqrt(n (n^2 - 1) / 12); here n = 60
    deviation = 5.0 / np.sqrt(60 * (60**2 - 1) / 12) * 24
    assert vague["base_mm_per_day"][-1] == pytest.approx(1.0 + 4 * deviation, rel=1e-6)


def test_time_that_is_missing_in_a_displacement_is_not_rest() -> None:
    hours = np.array([*range(50), *range(90, 100)])
    said = xu_2009.exceedance(hours, hours.astype(np.float64) * 0.5, uniform_mm_per_day=12.0)
    assert said["angle_deg"][3:] == pytest.approx(45.0, abs=1e-3)
    # one reading every month is a rate over months, and says so
    months = np.arange(12) * 730
    said = xu_2009.exceedance(months, np.arange(12.0) * 73, uniform_mm_per_day=2.4)
    assert said["span_h"][-1] == 3 * 730
    years = np.arange(12) * 8760
    assert np.isnan(xu_2009.exceedance(years, np.arange(12.0) * 876, uniform_mm_per_day=2.4)["ratio"]).all()


@pytest.mark.parametrize("module", [f"warning.models.{name}" for name in models.load()])
def test_the_value_in_the_docstring_holds(module: str) -> None:
    done = doctest.testmod(import_module(module))
    assert done.attempted > 0 and done.failed == 0


@pytest.mark.parametrize("name", models.load())
def test_a_model_keeps_its_contract(name: str) -> None:
    model = models.load()[name]
    for language in range(2):
        assert model.title[language] and model.sentence[language].format(
            **model.parameters, **dict.fromkeys(model.values, 1.0)
        )
    for hours in (np.arange(0), np.arange(1), np.arange(500), np.arange(500) * 7):
        value = np.linspace(0, 30, len(hours))
        value[len(hours) // 2 : len(hours) // 2 + 3] = np.nan
        answer = model.exceedance(hours, value, **model.parameters)
        assert set(answer) == set(model.values) and "ratio" in answer
        assert {len(column) for column in answer.values()} == {len(hours)}
        assert np.isnan(answer["ratio"][np.isnan(value)]).all()
        assert not np.isinf(answer["ratio"]).any()


def test_a_module_that_lacks_something_is_refused() -> None:
    half = ModuleType("warning.models.half_2026")
    half.NAME = ("半", "half")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"half_2026\.py lacks SENTENCE, OBSERVED_PROPERTIES"):
        models._model(half)


@st.composite
def records(draw: st.DrawFn) -> tuple[Ints, Floats]:
    """Draw hourly rain (or steps of a displacement) with gaps, and readings of longer intervals."""
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 30]), min_size=40, max_size=160))
    if draw(st.booleans()):
        gaps = [6] * 60 + gaps
    depths = draw(
        st.lists(st.sampled_from([0.0, 0.0, 0.2, 7.5, 31.0]), min_size=len(gaps), max_size=len(gaps))
    )
    return np.cumsum(gaps), np.array(depths)


SHORT = {
    recent_antecedent: {"recent_h": 12, "antecedent_h": 30},
    storm: {"longest_h": 48},
    mean_intensity: {"in_storm": True, "longest_h": 30},
    xu_2009: {"windows_h": (3, 12), "uniform_mm_per_day": 5.0},
}


CASES = [pytest.param(m, own, id=m.__name__.rpartition(".")[2]) for m, own in SHORT.items()]


@pytest.mark.parametrize(("module", "parameters"), CASES)
@settings(max_examples=60, deadline=None)
@given(record=records(), data=st.data())
def test_an_answer_rests_on_its_memory_and_on_nothing_older(
    module: Any, parameters: dict[str, Any], record: tuple[Ints, Floats], data: st.DataObject
) -> None:
    hours, value = record
    settings_ = {**module.PARAMETERS, **parameters}
    whole = module.exceedance(hours, value, **settings_)
    first = data.draw(st.integers(0, len(hours) - 1))
    begin = max(0, first - module.rows_back(**settings_))
    tail = module.exceedance(hours[begin:], value[begin:], **settings_)
    for name in module.VALUES:
        assert np.array_equal(tail[name][first - begin :], whole[name][first:], equal_nan=True), name


@pytest.mark.parametrize(("module", "parameters"), CASES)
@settings(max_examples=60, deadline=None)
@given(one=records(), other=records())
def test_series_far_apart_do_not_know_of_each_other(
    module: Any, parameters: dict[str, Any], one: tuple[Ints, Floats], other: tuple[Ints, Floats]
) -> None:
    settings_ = {**module.PARAMETERS, **parameters}
    laid = module.exceedance(
        np.concatenate([one[0], other[0] + 10_000_000]), np.concatenate([one[1], other[1]]), **settings_
    )
    for name in module.VALUES:
        apart = [module.exceedance(*record, **settings_)[name] for record in (one, other)]
        assert np.array_equal(laid[name], np.concatenate(apart), equal_nan=True), name


@pytest.mark.parametrize(("module", "parameters"), CASES)
@settings(max_examples=40, deadline=None)
@given(record=records(), data=st.data())
def test_the_live_answer_is_the_last_one_of_history(
    module: Any, parameters: dict[str, Any], record: tuple[Ints, Floats], data: st.DataObject
) -> None:
    hours, value = record
    settings_ = {**module.PARAMETERS, **parameters}
    back = module.revises(**settings_) if hasattr(module, "revises") else 0
    end = data.draw(st.integers(1, len(hours)))
    then = module.exceedance(hours[:end], value[:end], **settings_)["ratio"]
    now = module.exceedance(hours, value, **settings_)["ratio"]
    settled = max(0, end - back)
    assert np.array_equal(then[:settled], now[:settled], equal_nan=True)
    assert not (then[settled:] > now[settled:end]).any()  # rain that goes on can only raise what was said
