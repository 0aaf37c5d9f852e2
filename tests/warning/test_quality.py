"""What is marked, and why."""

from __future__ import annotations

import numpy as np
import pytest

from warning.quality import marks, valid_range

MINUTE = 60_000_000


def reasons(result: float, ahead_us: int = 0, lowest: float = 0.0, highest: float = 50.0) -> set[str]:
    at = np.array([1_000 * MINUTE + ahead_us])
    received = np.array([1_000 * MINUTE])
    found = marks(np.array([result]), at, np.array([lowest]), np.array([highest]), received)
    return {reason for reason, marked in found.items() if marked[0]}


@pytest.mark.parametrize("result", [0.0, 25.0, 50.0])
def test_what_is_within_its_limits_is_believed(result: float) -> None:
    assert reasons(result) == set()


@pytest.mark.parametrize("result", [-0.01, 50.01, np.nan, np.inf, -np.inf])
def test_what_is_outside_or_no_number_is_marked(result: float) -> None:
    assert reasons(result) == {"range"}


def test_five_minutes_ahead_are_a_clock_more_is_the_future() -> None:
    assert reasons(1.0, 5 * MINUTE) == set()
    assert reasons(1.0, 5 * MINUTE + 1) == {"future"}
    assert reasons(99.0, 10 * MINUTE) == {"range", "future"}


def test_limits_of_the_registry_come_before_what_is_possible() -> None:
    assert valid_range("rainfall", None, 300.0) == (0.0, 300.0)
    assert valid_range("rainfall", 1.0, None)[0] == 1.0
    lowest, highest = valid_range("displacement", None, None)
    assert lowest < -1e6 and highest > 1e6
