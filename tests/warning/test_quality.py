"""Marks: what is out of range, no number at all, or said to be from the future."""

from __future__ import annotations

import numpy as np
import pytest

from warning.quality import AHEAD_US, marks, valid_range

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("result", "marked"),
    [(-0.1, True), (0.0, False), (50.0, False), (50.1, True), (NAN, True), (INF, True), (-INF, True)],
)
def test_a_result_outside_of_its_range_is_marked(result: float, marked: bool) -> None:
    none = np.zeros(1, np.int64)
    found = marks(np.array([result]), none, np.array([0.0]), np.array([50.0]), none)
    assert found["range"].tolist() == [marked] and found["future"].tolist() == [False]


@pytest.mark.parametrize(("ahead_us", "marked"), [(-1, False), (AHEAD_US, False), (AHEAD_US + 1, True)])
def test_a_time_more_than_five_minutes_ahead_is_marked(ahead_us: int, marked: bool) -> None:
    assert AHEAD_US == 300_000_000
    received = np.array([1_786_000_000_000_000])
    limits = np.array([-1.0]), np.array([1.0])
    found = marks(np.zeros(1), received + ahead_us, *limits, received)
    assert found["future"].tolist() == [marked]


def test_rain_is_never_negative_and_limits_of_the_registry_only_narrow() -> None:
    assert valid_range("rainfall", None, None) == (0, 1e9)
    assert valid_range("rainfall", -5, 80) == (0, 80)
    assert valid_range("displacement", -5, None) == (-5, 1e9)
    assert valid_range("", None, None) == (-1e9, 1e9)
