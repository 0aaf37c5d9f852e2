"""Leads become cases once, with numbers that have no gaps; cases move along their process only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from domain.flow import emit, handle
from domain.incident import IllegalMove
from domain.settings import Settings
from domain.thing import Mode
from domain.wire import new_id
from enforcement.case import move_case, open_case
from enforcement.number import check_pattern, next_number
from enforcement.process import load
from enforcement.triage import triager

PROCESS = load("ordinary")
PATTERN = Settings(state=Path()).case_number
TRIAGE = triager(PROCESS, PATTERN)
NOW = datetime(2026, 8, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def lead(
    conn: Connection[Any], kind: str = "illegal_mining", region: str = "640402", mode: str = "actual"
) -> UUID:
    """Store a lead and report it, as ingest does."""
    id_ = new_id()
    with conn.transaction():
        conn.execute(
            "INSERT INTO lead (id, device, kind, lon, lat, seen_at, note, region, mode, received_at)"
            " VALUES (%s, 'phone-1', %s, 106.2, 36.0, now(), '', %s, %s, now())",
            (id_, kind, region, mode),
        )
        body = {"kind": kind, "device": "phone-1", "mode": mode, "lon": 106.2, "lat": 36.0}
        emit(conn, "reported", subject=str(id_), region=region, body=body)
    return id_


def rows(conn: Connection[Any], query: str) -> list[Any]:
    return conn.execute(query).fetchall()


def numbers(conn: Connection[Any]) -> list[str]:
    return [number for (number,) in rows(conn, "SELECT number FROM enforcement_case ORDER BY number")]


def test_a_lead_opens_a_case_in_the_first_step(conn: Connection[Any]) -> None:
    told = lead(conn)
    handle(conn, "triage", TRIAGE)
    ((case, number, of, region, mode, step),) = rows(
        conn, "SELECT id, number, lead, region, mode, step FROM enforcement_case"
    )
    year = (datetime.now(UTC) + timedelta(hours=8)).year
    assert (number, of, region) == (f"宁自然资执〔{year}〕640402-0001", told, "640402")
    assert (mode, step) == ("actual", "accepted")
    assert rows(conn, "SELECT subject, region, body FROM event WHERE kind = 'cased'") == [
        (str(case), "640402", {"number": number, "lead": str(told), "step": "accepted", "mode": "actual"})
    ]
    assert rows(conn, "SELECT enforcement_case, step FROM case_move") == [(case, "accepted")]


def test_a_lead_reported_twice_opens_one_case_and_uses_one_number(conn: Connection[Any]) -> None:
    told = lead(conn)
    emit(conn, "reported", subject=str(told), region="640402", body={"kind": "illegal_mining"})
    lead(conn)
    handle(conn, "triage", TRIAGE)
    assert [number[-4:] for number in numbers(conn)] == ["0001", "0002"]
    assert rows(conn, "SELECT sum(failures) FROM event") == [(0,)]


def test_a_danger_opens_no_case_and_stays_visible(conn: Connection[Any]) -> None:
    told = lead(conn, kind="geohazard")
    handle(conn, "triage", TRIAGE)
    assert numbers(conn) == []
    assert rows(conn, "SELECT subject FROM event WHERE kind = 'reported' AND consumer = 'live'") == [
        (str(told),)
    ]
    assert rows(conn, "SELECT id FROM lead") == [(told,)]


def test_a_lead_that_is_not_there_stands_alone_with_its_reason(conn: Connection[Any]) -> None:
    missing = new_id()
    emit(conn, "reported", subject=str(missing), region="640402", body={"kind": "dumping"})
    lead(conn)
    handle(conn, "triage", TRIAGE)
    assert len(numbers(conn)) == 1
    failed = "SELECT last_failure FROM event WHERE consumer = 'triage' AND done_at IS NULL"
    assert rows(conn, failed) == [(f"LookupError: no lead {missing}",)]


def test_exercises_use_up_no_real_number_and_say_so(conn: Connection[Any]) -> None:
    for mode in ("exercise", "actual", "test", "exercise"):
        lead(conn, mode=mode)
    handle(conn, "triage", TRIAGE)
    assert [number.split("〕")[1] for number in numbers(conn) if "-宁" not in number] == ["640402-0001"]
    assert [number[:3] + number[-4:] for number in numbers(conn) if "-宁" in number] == [
        "测试-0001",
        "演练-0001",
        "演练-0002",
    ]
    assert rows(conn, "SELECT DISTINCT mode FROM enforcement_case ORDER BY 1") == [
        ("actual",),
        ("exercise",),
        ("test",),
    ]


def test_numbers_count_per_year_in_beijing_and_county(conn: Connection[Any]) -> None:
    eve = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
    taken = [
        next_number(conn, PATTERN, region, Mode.ACTUAL, at)
        for region, at in (
            ("640402", eve),
            ("640402100000", eve),  # a township counts with its county
            ("640422", eve),
            ("640402", eve + timedelta(seconds=1)),
        )
    ]
    assert [number.removeprefix("宁自然资执") for number in taken] == [
        "〔2026〕640402-0001",
        "〔2026〕640402-0002",
        "〔2026〕640422-0001",
        "〔2027〕640402-0001",
    ]


def test_a_number_of_a_case_that_was_not_opened_is_given_again(conn: Connection[Any]) -> None:
    with conn.transaction(force_rollback=True):
        open_case(conn, lead(conn), PROCESS, PATTERN, NOW)
        assert numbers(conn) == ["宁自然资执〔2026〕640402-0001"]
    open_case(conn, lead(conn), PROCESS, PATTERN, NOW)
    assert numbers(conn) == ["宁自然资执〔2026〕640402-0001"]


@pytest.mark.parametrize(
    "pattern",
    ["{year}-{serial}", "{region}{serial}", "{year}{region}", "{year}{region}{serial}{serial}",
     "{year}{region}{serial}{office}", "{year}{region}{serial:z}", "{year}{region}{serial", "{}{}{}"],
)  # fmt: skip
def test_a_pattern_that_gives_no_unique_number_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="LIUPAN_CASE_NUMBER"):
        check_pattern(pattern)


def test_a_case_moves_along_its_process_only(conn: Connection[Any]) -> None:
    case = open_case(conn, lead(conn), PROCESS, PATTERN, NOW)
    assert case is not None
    path = ["filed", "investigated", "opinion", "notified", "hearing", "opinion", "withdrawn"]
    for minute, step in enumerate(path, start=1):
        move_case(conn, case, PROCESS, step, reason="合议", at=NOW + timedelta(minutes=minute))
    moves = rows(conn, "SELECT step, reason FROM case_move ORDER BY at")
    assert moves == [("accepted", ""), *((step, "合议") for step in path)]
    bodies = rows(conn, "SELECT body FROM event WHERE kind = 'cased' ORDER BY id")
    assert [body["step"] for (body,) in bodies] == ["accepted", *path]
    with pytest.raises(IllegalMove, match="it has ended"):
        move_case(conn, case, PROCESS, "filed", reason="再查", at=NOW + timedelta(days=1))
    assert rows(conn, "SELECT step FROM enforcement_case") == [("withdrawn",)]


def test_a_move_needs_a_case_a_reason_and_a_later_time(conn: Connection[Any]) -> None:
    case = open_case(conn, lead(conn), PROCESS, PATTERN, NOW)
    assert case is not None
    with pytest.raises(LookupError, match="no case"):
        move_case(conn, new_id(), PROCESS, "filed", reason="x", at=NOW)
    with pytest.raises(ValueError, match="reason"):
        move_case(conn, case, PROCESS, "filed", reason=" ", at=NOW + timedelta(minutes=1))
    with pytest.raises(ValueError, match="forward in time"):
        move_case(conn, case, PROCESS, "filed", reason="x", at=NOW)
    assert rows(conn, "SELECT step FROM enforcement_case") == [("accepted",)]


def test_two_processes_leave_no_gap_and_no_double(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        told = [lead(conn, region=region) for _ in range(20) for region in ("640402", "640422")]
        for again in told[:10]:  # the same lead, reported again: who of the two comes second opens nothing
            emit(conn, "reported", subject=str(again), region="640402", body={"kind": "dumping"})

        def work() -> None:
            with psycopg.connect(database_url, autocommit=True) as own:
                while handle(own, "triage", TRIAGE, limit=4):
                    pass

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [number[-11:] for number in numbers(conn)]
        assert found == [f"{r}-{i:04d}" for r in ("640402", "640422") for i in range(1, 21)]
        assert rows(conn, "SELECT sum(failures) FROM event") == [(0,)]


def test_who_hears_of_a_lead_second_waits_and_opens_nothing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        told, opened = lead(conn), []

        def work() -> None:
            with psycopg.connect(database_url, autocommit=True) as own:
                opened.append(open_case(own, told, PROCESS, PATTERN, NOW))

        second = threading.Thread(target=work)
        with conn.transaction():
            assert open_case(conn, told, PROCESS, PATTERN, NOW)
            second.start()
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            deadline = time.monotonic() + 10
            with psycopg.connect(database_url, autocommit=True) as watching:
                while rows(watching, blocked) == [(0,)]:
                    assert time.monotonic() < deadline, "the second one did not wait"
        second.join()
        assert opened == [None]


def test_counters_are_taken_in_one_order_so_that_two_processes_never_wait_for_each_other(
    conn: Connection[Any],
) -> None:
    for region in ("640424", "640402", "640422"):
        lead(conn, region=region)
    handle(conn, "triage", TRIAGE)
    opened = [region for (region,) in rows(conn, "SELECT region FROM event WHERE kind = 'cased' ORDER BY id")]
    assert opened == ["640402", "640422", "640424"]


@pytest.fixture
def process(database_url: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "LIUPAN_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "enforcement"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def wait_for_case(conn: Connection[Any]) -> None:
    deadline = time.monotonic() + 20
    while not numbers(conn):
        assert time.monotonic() < deadline, "no case was opened in time"
        time.sleep(0.02)


def test_the_process_opens_cases_and_stops_cleanly(database_url: str, process: subprocess.Popen[str]) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        lead(conn)
        wait_for_case(conn)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_process_ends_with_one_line_when_the_database_goes(
    database_url: str, process: subprocess.Popen[str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        lead(conn)
        wait_for_case(conn)
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'liupan-enforcement' AND datname = current_database()"
        )
    _, err = process.communicate(timeout=10)
    assert process.returncode == 75
    assert [line for line in err.splitlines() if "CRITICAL" in line] == [
        line for line in err.splitlines() if "triage broke off" in line
    ]
    assert err.count("CRITICAL") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("variable", "value"), [("LIUPAN_DATABASE_URL", ""), ("LIUPAN_CASE_NUMBER", "{serial}")]
)
def test_settings_that_cannot_be_used_end_it_with_one_line(variable: str, value: str) -> None:
    env = {**os.environ, "LIUPAN_DATABASE_URL": "postgresql://nowhere", variable: value}
    done = subprocess.run(
        [sys.executable, "-m", "enforcement"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert variable in done.stderr and len(done.stderr.splitlines()) == 1
