"""Silence on a real database: told once, over restarts, never for an exercise that is over."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from domain.quality import Flag
from ingest import silence
from ingest.silence import look
from server.registry import register
from tests.ingest.conftest import thing

NOW = datetime(2026, 8, 12, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)


@pytest.fixture
def stations(conn: Connection[Any]) -> Connection[Any]:
    """Three actual stations and two of an exercise, with one rain gauge each."""
    modes = {"st-1": "actual", "st-2": "actual", "st-3": "actual", "ex-1": "exercise", "ex-2": "exercise"}
    streams = [{"name": "rain", "unit": "mm"}]
    register(conn, {"things": [thing(code, mode=mode, datastreams=streams) for code, mode in modes.items()]})
    return conn


def speak(conn: Connection[Any], code: str, minutes_ago: float, every_s: float | None = 300) -> None:
    """Note that the station was heard last so long before NOW."""
    conn.execute(
        "INSERT INTO latest SELECT d.id, %(at)s, 1, 0, %(at)s, %(every)s FROM datastream d"
        " JOIN thing t ON t.id = d.thing WHERE t.code = %(code)s"
        " ON CONFLICT (datastream) DO UPDATE SET received_at = excluded.received_at",
        {"at": NOW - timedelta(minutes=minutes_ago), "every": every_s, "code": code},
    )


def told(conn: Connection[Any]) -> list[tuple[str, str]]:
    """Return kind and subject of the events so far, and take them away."""
    return conn.execute(
        "WITH gone AS (DELETE FROM event WHERE kind IN ('silent', 'heard') RETURNING *)"
        " SELECT kind, subject FROM gone ORDER BY id"
    ).fetchall()


def test_after_three_intervals_it_is_silent_and_told_once(stations: Connection[Any]) -> None:
    speak(stations, "st-1", 15)
    speak(stations, "st-2", 14.9)
    look(stations, LONG_AGO, NOW)
    assert told(stations) == []
    look(stations, LONG_AGO, NOW + timedelta(seconds=1))
    look(stations, LONG_AGO, NOW + timedelta(seconds=2))
    assert told(stations) == [("silent", "st-1")]
    look(stations, LONG_AGO, NOW + timedelta(minutes=1))
    assert told(stations) == [("silent", "st-2")]
    speak(stations, "st-1", -1)
    look(stations, LONG_AGO, NOW + timedelta(minutes=2))
    look(stations, LONG_AGO, NOW + timedelta(minutes=3))
    assert told(stations) == [("heard", "st-1")]


def test_the_event_says_what_and_since_when(stations: Connection[Any]) -> None:
    speak(stations, "st-1", 20)
    look(stations, LONG_AGO, NOW)
    row = stations.execute("SELECT region, consumer, body FROM event WHERE kind = 'silent'").fetchone()
    assert row is not None
    since = row[2].pop("since")
    assert datetime.fromisoformat(since) == NOW - timedelta(minutes=20)
    assert row == (
        "640402",
        "live",
        {"thing": "st-1", "mode": "actual", "datastreams": ["rain"], "jumped": []},
    )


def test_nothing_is_silent_within_ten_minutes(stations: Connection[Any]) -> None:
    speak(stations, "st-1", 10, every_s=1)
    look(stations, LONG_AGO, NOW)
    assert told(stations) == []
    look(stations, LONG_AGO, NOW + timedelta(seconds=1))
    assert told(stations) == [("silent", "st-1")]


def test_the_registry_says_how_often_a_sensor_speaks(stations: Connection[Any]) -> None:
    stations.execute(
        "UPDATE datastream d SET expected_every_s = 7200 FROM thing t WHERE t.id = d.thing AND code = 'st-1'"
    )
    speak(stations, "st-1", 5 * 60)
    speak(stations, "st-2", 5 * 60)
    speak(stations, "st-3", 5 * 60, every_s=None)
    look(stations, LONG_AGO, NOW)
    assert told(stations) == [("silent", "st-2")], "of st-3 nobody knows how often it speaks"
    look(stations, LONG_AGO, NOW + timedelta(minutes=61))
    assert told(stations) == [("silent", "st-1")]


def test_what_was_not_heard_because_nobody_listened_is_no_silence(stations: Connection[Any]) -> None:
    speak(stations, "st-1", 600)
    look(stations, NOW - timedelta(minutes=14), NOW)
    assert told(stations) == []
    look(stations, NOW - timedelta(minutes=14), NOW + timedelta(minutes=2))
    assert told(stations) == [("silent", "st-1")]


def test_a_station_is_missed_as_long_as_its_exercise_goes_on(stations: Connection[Any]) -> None:
    speak(stations, "ex-1", 20)
    speak(stations, "ex-2", 11)
    speak(stations, "st-2", 0)
    look(stations, LONG_AGO, NOW)
    assert told(stations) == [], "nothing of the mode is heard: the exercise is over"
    speak(stations, "ex-2", 1)
    look(stations, LONG_AGO, NOW)
    assert told(stations) == [("silent", "ex-1")]


def test_a_jump_that_was_the_last_word_is_told(stations: Connection[Any]) -> None:
    speak(stations, "st-1", 20)
    stations.execute("UPDATE latest SET flags = %s", (int(Flag.SPIKE | Flag.GAP),))
    look(stations, LONG_AGO, NOW)
    row = stations.execute("SELECT body -> 'jumped' FROM event WHERE kind = 'silent'").fetchone()
    assert row == (["rain"],)


def test_a_database_that_takes_nothing_is_looked_at_again_later(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(silence, "EVERY_S", 0.05)
    stop = threading.Event()
    with psycopg.connect(database_url, autocommit=True) as conn:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        job = threading.Thread(target=silence.run, args=(database_url, stop))
        job.start()
        end = time.monotonic() + 30
        while len(caplog.messages) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        assert job.is_alive()
        stop.set()
        job.join(10)
    assert set(caplog.messages) == {
        "silence is not looked for: cannot execute SELECT in a read-only transaction"
    }
