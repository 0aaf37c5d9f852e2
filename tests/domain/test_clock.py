"""Times have an offset, or are refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.clock import aware, from_epoch, parse_time

BEIJING = timezone(timedelta(hours=8))
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-07-01T12:00:00Z", "2026-07-01T20:00:00+08:00", "2026-07-01 12:00:00.000+00:00",
             "20260701T200000+0800"],
)  # fmt: skip
def test_one_moment_however_it_is_written(text: str) -> None:
    assert parse_time(text) == NOON
    assert parse_time(text).tzinfo is UTC


def test_a_time_without_offset_is_in_the_zone_that_is_told() -> None:
    assert parse_time("2026-07-01T20:00:00", BEIJING) == NOON
    # a written offset is believed
    assert parse_time("2026-07-01T12:00:00Z", BEIJING) == NOON


@pytest.mark.parametrize("text", ["2026-07-01T12:00:00", "2026-07-01"])
def test_a_time_without_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no UTC offset: write"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["", "noon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+08:00", "9999-12-31T23:00:00-08:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_seconds_since_1970() -> None:
    assert from_epoch(1_782_907_200) == NOON
    assert from_epoch(1_782_907_200.5) == NOON + timedelta(milliseconds=500)
    assert from_epoch(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [1e18, -1e18, math.nan, math.inf])
def test_seconds_that_are_no_time(seconds: float) -> None:
    with pytest.raises(ValueError):
        from_epoch(seconds)


def test_a_naive_time_does_not_pass_and_is_named() -> None:
    assert aware(NOON) is NOON
    with pytest.raises(ValueError, match="fix time 2026-07-01T12:00:00 has no UTC offset"):
        aware(NOON.replace(tzinfo=None), "fix time")
