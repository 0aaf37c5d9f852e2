"""The event log on a real database: once, in order, retried, set aside, shared, taken over."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.flow import BACK_OFF_S, ROUTES, TAKE, Event, Refused, consume, emit, handle, share_partitions
from domain.thing import PARTITIONS

ROOT = Path(__file__).parents[2]


class Recorder:
    """A handler that notes what it was given, and fails on the subjects in `poison`."""

    def __init__(self, *poison: str) -> None:
        self.calls: list[list[str]] = []
        self.poison = set(poison)

    def __call__(self, conn: Connection[Any], events: Sequence[Event]) -> None:
        subjects = [event.subject for event in events]
        self.calls.append(subjects)
        # the effect: undone with the savepoint when the handler fails
        for event in events:
            conn.execute("INSERT INTO recipient (name, channel, address, region) VALUES ('', '', %s, '')",
                         (event.subject,))  # fmt: skip
        if bad := self.poison & set(subjects):
            raise RuntimeError(f"cannot digest {min(bad)}")


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def leads(conn: Connection[Any], *subjects: str) -> None:
    for subject in subjects:
        emit(conn, "reported", subject=subject, region="640402")


def effects(conn: Connection[Any]) -> list[str]:
    return [row[0] for row in conn.execute("SELECT address FROM recipient ORDER BY address")]


def column(conn: Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def let_pass(conn: Connection[Any]) -> None:
    """Let the back-off of all failed events be over."""
    conn.execute("UPDATE event SET not_before = now() WHERE done_at IS NULL")


def test_an_event_is_written_once_for_each_consumer(conn: Connection[Any]) -> None:
    body = {"to": "red", "at": datetime(2026, 7, 1, tzinfo=UTC), "名": None}
    emit(conn, "levelled", subject="GY-1", region="640402", partition=3, body=body, packed=b"\0\1")
    rows = conn.execute(
        "SELECT consumer, kind, subject, region, partition, body, packed, done_at IS NOT NULL FROM event"
        " ORDER BY consumer"
    ).fetchall()
    told = {"to": "red", "at": "2026-07-01T00:00:00+00:00", "名": None}
    assert rows == [
        ("issue", "levelled", "GY-1", "640402", 3, told, b"\0\1", False),
        ("live", "levelled", "GY-1", "640402", 3, told, b"\0\1", True),
    ]


@pytest.mark.parametrize("kind", ROUTES)
def test_every_kind_reaches_exactly_its_consumers(conn: Connection[Any], kind: str) -> None:
    emit(conn, kind, subject="x")
    assert set(column(conn, "SELECT consumer FROM event")) == set(ROUTES[kind])


def test_an_unknown_kind_is_refused(conn: Connection[Any]) -> None:
    with pytest.raises(KeyError):
        emit(conn, "exploded", subject="x")


def test_a_rolled_back_event_never_happened(db: Connection[Any]) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        leads(db, "a")
        1 / 0  # noqa: B018
    assert handle(db, "triage", Recorder()) == 0


def test_events_are_handled_together_oldest_first_and_once(db: Connection[Any]) -> None:
    leads(db, "c", "a", "b")
    assert handle(db, "triage", recorder := Recorder()) == 3
    assert recorder.calls == [["c", "a", "b"]]
    assert handle(db, "triage", recorder) == 0
    assert effects(db) == ["a", "b", "c"]


def test_the_handler_is_given_the_event_as_it_was_emitted(db: Connection[Any]) -> None:
    seen: list[Event] = []
    emit(db, "observed", subject="", region="640402", partition=2, body={"n": 1}, packed=b"\7")
    handle(db, "assess", lambda _, events: seen.extend(events))
    (event,) = seen
    assert (event.kind, event.subject, event.region, event.partition, event.body, event.packed,
            event.failures) == ("observed", "", "640402", 2, {"n": 1}, b"\7", 0)  # fmt: skip
    assert event.at.utcoffset() is not None


def test_at_most_so_many_are_taken_at_once(db: Connection[Any]) -> None:
    leads(db, *(f"{n:03}" for n in range(TAKE + 1)))
    assert [handle(db, "triage", Recorder()) for _ in range(3)] == [TAKE, 1, 0]


def test_an_event_can_wait_before_it_is_handled(db: Connection[Any]) -> None:
    emit(db, "reported", subject="later", delay_s=3600)
    assert handle(db, "triage", recorder := Recorder()) == 0
    let_pass(db)
    assert handle(db, "triage", recorder) == 1


def test_what_a_failing_handler_did_is_undone_and_tried_again_after_the_back_off(
    conn: Connection[Any],
) -> None:
    leads(conn, "bad")
    assert handle(conn, "triage", Recorder("bad")) == 1
    assert effects(conn) == []
    # the whole test is one transaction, so now() stands still
    assert conn.execute(
        "SELECT failures, last_failure, not_before - now(), done_at FROM event WHERE consumer = 'triage'"
    ).fetchone() == (1, "RuntimeError: cannot digest bad", timedelta(seconds=BACK_OFF_S[0]), None)
    assert handle(conn, "triage", recorder := Recorder()) == 0, "tried before its time"
    let_pass(conn)
    assert handle(conn, "triage", recorder) == 1
    assert effects(conn) == ["bad"]


def test_each_failure_waits_longer_and_the_last_one_sets_aside(conn: Connection[Any]) -> None:
    leads(conn, "bad")
    recorder, waits = Recorder("bad"), []
    for _ in BACK_OFF_S:
        assert handle(conn, "triage", recorder) == 1
        waits += column(conn, "SELECT not_before - now() FROM event WHERE consumer = 'triage'")
        let_pass(conn)
    assert waits == [timedelta(seconds=wait) for wait in BACK_OFF_S]
    assert waits == sorted(waits)
    assert handle(conn, "triage", recorder) == 0, "it is still tried"
    assert conn.execute(
        "SELECT failures, last_failure, set_aside_at IS NOT NULL, done_at FROM event"
        " WHERE consumer = 'triage'"
    ).fetchone() == (len(BACK_OFF_S), "RuntimeError: cannot digest bad", True, None)


def test_one_poison_event_does_not_hold_up_the_others(db: Connection[Any]) -> None:
    leads(db, "a", "bad", "c", "d")
    assert handle(db, "triage", recorder := Recorder("bad")) == 4
    assert recorder.calls == [["a", "bad", "c", "d"], ["a"], ["bad"], ["c"], ["d"]]
    assert effects(db) == ["a", "c", "d"]
    waiting = db.execute("SELECT subject, failures FROM event WHERE consumer = 'triage' AND done_at IS NULL")
    assert waiting.fetchall() == [("bad", 1)]


@pytest.mark.parametrize("state", ["disk_full", "out_of_memory", "read_only_sql_transaction"])
def test_a_database_that_takes_nothing_is_no_fault_of_the_event(db: Connection[Any], state: str) -> None:
    def refused(conn: Connection[Any], events: Sequence[Event]) -> None:
        conn.execute(f"DO $$ BEGIN RAISE EXCEPTION 'nothing goes' USING ERRCODE = '{state}'; END $$")

    leads(db, "a", "b")
    with pytest.raises(Refused, match="nothing goes"):
        handle(db, "triage", refused)
    assert column(db, "SELECT failures FROM event WHERE consumer = 'triage'") == [0, 0]
    assert handle(db, "triage", Recorder()) == 2


def test_a_consumer_waits_while_the_database_takes_nothing(
    db: Connection[Any], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    leads(db, "a")
    stop, recorder = threading.Event(), Recorder()

    def work() -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute("SET default_transaction_read_only = on")
            threading.Timer(1.5, conn.execute, ["SET default_transaction_read_only = off"]).start()
            consume(conn, "triage", recorder, stop)

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 30
    while column(db, "SELECT count(*) FROM event WHERE done_at IS NULL AND consumer = 'triage'") != [0]:
        assert time.monotonic() < end, "it was not handled"
        time.sleep(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    said = [line for line in caplog.messages if "triage waits, the database takes nothing" in line]
    assert len(said) == 1
    assert column(db, "SELECT failures FROM event WHERE consumer = 'triage'") == [0]


def test_two_handlers_never_take_the_same_event(db: Connection[Any], database_url: str) -> None:
    leads(db, *(f"{n:03}" for n in range(200)))
    recorders = [Recorder() for _ in range(4)]

    def work(recorder: Recorder) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            while handle(conn, "triage", recorder, limit=7):
                pass

    threads = [threading.Thread(target=work, args=(recorder,)) for recorder in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effects(db) == [f"{n:03}" for n in range(200)], "one was handled twice, or not at all"
    assert column(db, "SELECT count(*) FROM event WHERE done_at IS NULL") == [0]


def test_an_event_under_way_is_passed_over_and_comes_back_when_its_handler_dies(
    db: Connection[Any], database_url: str
) -> None:
    leads(db, "a", "b")
    with psycopg.connect(database_url, autocommit=True) as dying:

        def die(_: Connection[Any], events: Sequence[Event]) -> None:
            assert handle(db, "triage", recorder := Recorder()) == 1
            assert recorder.calls == [["b"]]
            dying.close()
            raise psycopg.OperationalError("the connection is lost")

        with pytest.raises(psycopg.OperationalError):
            handle(dying, "triage", die, limit=1)
    # the server notices a closed connection when it does, and only then lets go of what it held
    wait_until(lambda: handle(db, "triage", Recorder()) == 1)
    assert effects(db) == ["a", "b"]
    assert column(db, "SELECT max(failures) FROM event") == [0], "a lost database is no fault of the event"


def test_only_the_partitions_asked_for_are_taken(db: Connection[Any]) -> None:
    for partition in range(PARTITIONS):
        emit(db, "observed", subject=str(partition), partition=partition)
    assert handle(db, "assess", recorder := Recorder(), partitions=[1, 3]) == 2
    assert recorder.calls == [["1", "3"]]
    assert handle(db, "assess", recorder, partitions=[]) == 0
    assert handle(db, "assess", recorder) == 2


def test_a_commit_wakes_its_consumers_once_and_a_rollback_nobody(
    db: Connection[Any], database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as sleeper:
        sleeper.execute("LISTEN liupan_triage")
        sleeper.execute("LISTEN liupan_live")
        with pytest.raises(ZeroDivisionError), db.transaction():
            leads(db, "never")
            1 / 0  # noqa: B018
        with db.transaction():
            leads(db, "a", "b", "c")
            db.execute("NOTIFY liupan_triage, 'end'")
        heard = [(n.channel, n.payload) for n in sleeper.notifies(timeout=10, stop_after=3)]
    assert sorted(heard[:2]) == [("liupan_live", ""), ("liupan_triage", "")]
    assert heard[2:] == [("liupan_triage", "end")]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_consume_handles_what_is_there_and_what_comes_until_it_is_stopped(
    db: Connection[Any], database_url: str
) -> None:
    leads(db, "before")
    stop, recorder = threading.Event(), Recorder()

    def work() -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            consume(conn, "triage", recorder, stop)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: effects(db) == ["before"])
    leads(db, "meanwhile")
    wait_until(lambda: effects(db) == ["before", "meanwhile"])
    stop.set()
    thread.join()


def test_two_processes_share_the_partitions_and_one_takes_over_when_the_other_is_killed(
    db: Connection[Any], database_url: str
) -> None:
    holding = share_partitions(db, "assess")
    assert holding() == list(range(PARTITIONS))
    code = (
        "import sys, time, psycopg\n"
        "from domain.flow import share_partitions\n"
        "conn = psycopg.connect(sys.argv[1], autocommit=True)\n"
        "holding = share_partitions(conn, 'assess')\n"
        "while True:\n"
        "    print(holding(), flush=True)\n"
        "    time.sleep(0.05)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, database_url], cwd=ROOT, stdout=subprocess.PIPE,
                          text=True) as other:  # fmt: skip
        assert other.stdout is not None
        theirs: list[int] = []
        while len(theirs) < PARTITIONS // 2:
            mine = holding()
            theirs = [int(number) for number in other.stdout.readline().strip("[]\n").split(", ") if number]
            assert not set(mine) & set(theirs), "a partition is held twice"
        assert sorted(mine + theirs) == list(range(PARTITIONS))
        other.kill()
    wait_until(lambda: holding() == list(range(PARTITIONS)))


def test_consumers_share_their_partitions_apart(db: Connection[Any], database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        assert share_partitions(db, "assess")() == share_partitions(other, "deliver")() == [0, 1, 2, 3]
