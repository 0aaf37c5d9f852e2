"""Partitions ahead, old events gone and only those, stuck ones told, by one process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from domain.flow import emit
from server import housekeeping
from server.housekeeping import delete_old_events, keep_house, make_partitions, roll_up, stuck

NOW = datetime(2026, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "months"),
    [
        (NOW, ["202612", "202701", "202702"]),
        (datetime(2027, 1, 30, tzinfo=UTC), ["202701", "202702", "202703"]),
    ],
)
def test_this_month_and_the_next_two_have_their_partitions(
    conn: Connection[Any], now: datetime, months: list[str]
) -> None:
    native = conn.execute("SELECT NOT timescaledb FROM installation").fetchone()
    make_partitions(conn, now)
    make_partitions(conn, now)
    rows = conn.execute(
        "SELECT relname FROM pg_class WHERE relname LIKE 'observation\\_2%' AND relkind = 'r' ORDER BY 1"
    ).fetchall()
    assert [name for (name,) in rows] == [f"observation_{month}" for month in months if native == (True,)]


def age(conn: Connection[Any], subject: str, days: int) -> None:
    conn.execute(
        "UPDATE event SET created_at = created_at - %(age)s, not_before = not_before - %(age)s,"
        " done_at = done_at - %(age)s, set_aside_at = set_aside_at - %(age)s WHERE subject = %(subject)s",
        {"age": timedelta(days=days), "subject": subject},
    )


def test_only_what_was_done_long_ago_is_deleted(
    conn: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 3)  # several batches
    for subject in ("old", "older", "fresh", "waiting", "aside"):
        for _ in range(4):
            emit(conn, "observed", subject=subject)
    conn.execute("UPDATE rollup_state SET xact = '18446744073709551615'")
    conn.execute("UPDATE event SET done_at = now() WHERE subject IN ('old', 'older', 'fresh')")
    conn.execute("UPDATE event SET set_aside_at = now() WHERE subject = 'aside'")
    for subject, days in (("old", 8), ("older", 80), ("fresh", 6), ("waiting", 80), ("aside", 80)):
        age(conn, subject, days)
    assert delete_old_events(conn, datetime.now(UTC) - housekeeping.KEEP) == 8
    left = conn.execute("SELECT subject, count(*) FROM event GROUP BY 1 ORDER BY 1").fetchall()
    assert left == [("aside", 4), ("fresh", 4), ("waiting", 4)]


def test_what_is_not_rolled_up_is_not_deleted(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for subject in ("first", "second"):
            emit(conn, "observed", subject=subject)
        emit(conn, "reported", subject="other")
        conn.execute("UPDATE event SET done_at = now() - interval '8 days'")
        conn.execute(
            "UPDATE rollup_state SET (xact, id) = (SELECT xact, id FROM event WHERE subject = 'first')"
        )
        delete_old_events(conn, datetime.now(UTC) - housekeeping.KEEP)
        left = conn.execute("SELECT DISTINCT subject FROM event WHERE consumer <> 'live'").fetchall()
        assert left == [("second",)]
        conn.execute(
            "UPDATE rollup_state SET (xact, id) = (SELECT xact, id FROM event WHERE subject = 'second')"
        )
        delete_old_events(conn, datetime.now(UTC) - housekeeping.KEEP)
        assert conn.execute("SELECT FROM event WHERE subject = 'second'").fetchall() == []


def test_the_floor_of_the_feed_is_the_newest_row_deleted(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for subject in ("a", "b", "c"):
            emit(conn, "moved", subject=subject)
        emit(conn, "observed", subject="d")  # not for the feed
        conn.execute("UPDATE rollup_state SET xact = '18446744073709551615'")
        conn.execute("UPDATE event SET done_at = now() WHERE subject = 'd'")
        numbers: dict[str, Any] = dict(conn.execute("SELECT subject, (xact::text, id) FROM event").fetchall())
        floor = "SELECT (xact::text, id) FROM feed_floor"
        assert conn.execute(floor).fetchone() == (("0", "0"),)
        # in another order than they came: the floor only rises
        for subject, risen in (("b", "b"), ("a", "b"), ("d", "b"), ("c", "c")):
            age(conn, subject, 8)
            assert delete_old_events(conn, datetime.now(UTC) - housekeeping.KEEP) == 1
            assert conn.execute(floor).fetchone() == (numbers[risen],)


def test_what_is_stuck_is_told_with_its_consumer(conn: Connection[Any]) -> None:
    emit(conn, "reported", subject="late")
    emit(conn, "due", subject="aside")
    emit(conn, "dispatched", subject="in time")
    emit(conn, "levelled", subject="later", delay_s=3600)
    age(conn, "late", 1)
    conn.execute("UPDATE event SET set_aside_at = now() WHERE subject = 'aside'")
    assert stuck(conn, datetime.now(UTC)) == [
        "deliver: 0 events overdue, 1 set aside; see `liupan doctor`",
        "triage: 1 events overdue, 0 set aside; see `liupan doctor`",
    ]


def test_one_process_at_a_time_keeps_house(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        emit(conn, "reported", subject="late")
        age(conn, "late", 1)
        conn.execute("SELECT pg_advisory_lock(hashtext('liupan housekeeping'))")
        keep_house(database_url)
        assert not caplog.messages
        conn.execute("SELECT pg_advisory_unlock_all()")
        keep_house(database_url)
        assert any(message.startswith("triage: 1 events overdue") for message in caplog.messages)


@pytest.mark.parametrize("job", [keep_house, roll_up])
def test_without_a_database_it_is_put_off(
    job: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    job("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("housekeeping is put off: ")
    assert "\n" not in record.getMessage()


def test_a_database_that_takes_nothing_is_told_and_tried_again(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        keep_house(database_url)
        assert "read-only transaction" in caplog.messages[-1]
        conn.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
    caplog.clear()
    keep_house(database_url)
    assert not caplog.messages


def test_the_scheduler_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: SimpleQueue[tuple[object, ...]] = SimpleQueue()
    monkeypatch.setattr(housekeeping, "keep_house", lambda *args: kept.put(args))
    monkeypatch.setattr(housekeeping, "roll_up", lambda *args: kept.put(args))
    scheduler = housekeeping.schedule("postgresql://x", 12)
    try:
        assert {kept.get(timeout=30), kept.get(timeout=30)} == {("postgresql://x", 12), ("postgresql://x",)}
        every = {job.trigger.interval for job in scheduler.get_jobs()}
        assert every == {housekeeping.EVERY, housekeeping.ROLL_UP_EVERY}
    finally:
        scheduler.shutdown()
