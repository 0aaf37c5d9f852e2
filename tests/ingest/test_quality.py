"""Marks: what is out of range, no number at all, or said to be from the future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from psycopg import Connection

from domain.quality import Flag, words
from ingest.columns import Rows
from ingest.quality import AHEAD_US, marks, valid_range

NAN, INF = float("nan"), float("inf")
NOW_US = 1_786_000_000_000_000


def row(result: float, ahead_us: int = 0) -> Rows:
    now = np.array([NOW_US])
    return Rows(np.array([1]), now + ahead_us, np.array([result]), now, np.zeros(1, np.int16))


@pytest.mark.parametrize(
    ("result", "marked"),
    [(-0.1, True), (0.0, False), (50.0, False), (50.1, True), (NAN, True), (INF, True), (-INF, True)],
)
def test_a_result_outside_of_its_range_is_marked(result: float, marked: bool) -> None:
    assert marks(row(result), np.array([0.0]), np.array([50.0])).tolist() == [Flag.RANGE if marked else 0]


@pytest.mark.parametrize(("ahead_us", "marked"), [(-1, False), (AHEAD_US, False), (AHEAD_US + 1, True)])
def test_a_time_more_than_five_minutes_ahead_is_marked(ahead_us: int, marked: bool) -> None:
    assert AHEAD_US == 300_000_000
    found = marks(row(0.0, ahead_us), np.array([-1.0]), np.array([1.0]))
    assert found.tolist() == [Flag.FUTURE if marked else 0]


def test_rain_is_never_negative_and_limits_of_the_registry_only_narrow() -> None:
    assert valid_range("rainfall", None, None) == (0, 1e9)
    assert valid_range("rainfall", -5, 80) == (0, 80)
    assert valid_range("displacement", -5, None) == (-5, 1e9)
    assert valid_range("", None, None) == (-1e9, 1e9)


def test_the_database_names_each_mark_as_we_do(conn: Connection[Any]) -> None:
    every = sum(Flag)
    rows = conn.execute(
        "SELECT bits, flag_words(bits::smallint) FROM generate_series(0, %s) AS bits", (every,)
    )
    assert {bits: told for bits, told in rows} == {bits: words(bits) for bits in range(every + 1)}
