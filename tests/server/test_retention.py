"""Old months go whole, only when they are rolled up, and their hours and days stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from server import retention, rollup
from server.migrate import has_timescaledb
from tests.server.test_rollup import Result, bring_up_to_date, rolled_up, store

NOW = datetime(2026, 9, 15, tzinfo=UTC)


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    """Three years of six-hourly results of one datastream, rolled up."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        first = datetime(2025, 1, 1, tzinfo=UTC)
        store(conn, [Result(1, first + n * timedelta(hours=6), n / 4) for n in range(4 * 700)])
        bring_up_to_date(conn)
        yield conn


def drop(conn: Connection[Any], months: int, now: datetime = NOW) -> None:
    retention.drop_old(conn, months, now, timescaledb=has_timescaledb(conn))


def oldest(conn: Connection[Any]) -> datetime:
    (row,) = conn.execute("SELECT min(phenomenon_time) FROM observation").fetchall()
    return row[0]  # type: ignore[no-any-return]


def test_months_go_and_their_hours_and_days_stay(
    db: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    hours, days = rolled_up(db, "hour"), rolled_up(db, "day")
    with caplog.at_level("INFO"):
        drop(db, 12)
    bring_up_to_date(db)
    (floor,) = db.execute("SELECT floor FROM rollup_state").fetchall()[0]
    assert oldest(db) >= floor - timedelta(hours=6)
    assert NOW - timedelta(days=396) < floor <= NOW - timedelta(days=365)
    assert sum("are dropped" in line for line in caplog.messages) >= 8
    assert (rolled_up(db, "hour"), rolled_up(db, "day")) == (hours, days)
    drop(db, 12)
    assert oldest(db) >= floor - timedelta(hours=6), "a second time nothing more"


def test_native_months_by_the_calendar(db: Connection[Any]) -> None:
    if has_timescaledb(db):
        pytest.skip("chunks are no calendar months")
    drop(db, 12, datetime(2026, 8, 31, 23, 59, tzinfo=UTC))
    assert oldest(db) == datetime(2025, 8, 1, tzinfo=UTC)
    drop(db, 12, datetime(2026, 9, 1, tzinfo=UTC))
    assert oldest(db) == datetime(2025, 9, 1, tzinfo=UTC)


def test_late_data_for_a_dropped_month_are_kept_and_change_no_rollup(db: Connection[Any]) -> None:
    hours = rolled_up(db, "hour")
    drop(db, 12)
    late = Result(1, datetime(2025, 2, 3, 10, 30, tzinfo=UTC), 99)
    store(db, [late])
    if not has_timescaledb(db):
        bring_up_to_date(db)
        assert rolled_up(db, "hour") == hours
    drop(db, 12)
    assert oldest(db) == late.at
    told = db.execute("SELECT count(*) FROM observation_partition, rollup_state WHERE begin_time < floor")
    assert told.fetchone() == (1,)


def test_what_is_not_rolled_up_is_not_dropped(db: Connection[Any], caplog: pytest.LogCaptureFixture) -> None:
    db.execute("INSERT INTO observation VALUES (2, '2025-01-10 10:30Z', 1, now())")  # no event tells of it
    drop(db, 12)
    if has_timescaledb(db):
        assert oldest(db) > datetime(2025, 6, 1, tzinfo=UTC), "the refresh before has seen it"
        return
    assert oldest(db) == datetime(2025, 1, 1, tzinfo=UTC)
    # 31 days of four, one at the very beginning belongs to the month before, one is new
    assert "124 results and 123 in their hours" in caplog.messages[-1]
    db.execute("SELECT fill_rollups()")
    drop(db, 12)
    assert oldest(db) == datetime(2025, 9, 1, tzinfo=UTC)


def test_a_reader_is_not_waited_for_long(
    db: Connection[Any], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM observation")
        drop(db, 12)
    assert "not dropped yet" in caplog.messages[-1]
    assert oldest(db) == datetime(2025, 1, 1, tzinfo=UTC)


def test_rollups_that_are_behind_are_waited_for(
    db: Connection[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if has_timescaledb(db):
        pytest.skip("TimescaleDB keeps its rollups itself")
    monkeypatch.setattr(rollup, "behind_s", lambda conn: 901.0)
    drop(db, 12)
    assert caplog.messages[-1].endswith("the rollups are behind")
