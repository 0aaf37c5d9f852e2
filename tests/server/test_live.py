"""The live feed over raw HTTP from a real process: no gap, no repetition, whatever is killed or closed."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from psycopg import Connection

from domain.flow import emit
from domain.settings import Settings
from server.app import create_app
from server.housekeeping import delete_old_events
from server.live import Cursor

Serve = Callable[[str], Any]


class Stream:
    """A client of the feed: `take` reads events as (name, id, data), skipping comments."""

    def __init__(self, port: int, last: str | None = None, region: str | None = None) -> None:
        headers = {"Accept": "text/event-stream"}
        headers |= {"Last-Event-ID": last} if last else {}
        headers |= {"X-Liupan-Region": region} if region else {}
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", "/live", headers=headers)
        self.response: HTTPResponse = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["content-type"].startswith("text/event-stream")

    def take(self, count: int) -> list[tuple[str, str, Any]]:
        return [self._next() for _ in range(count)]

    def _next(self) -> tuple[str, str, Any]:
        fields: dict[str, str] = {}
        while line := self.response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name in ("event", "id", "data"):
                fields[name] = value
            elif not name and "data" in fields:
                return fields["event"], fields["id"], json.loads(fields["data"])
        raise EOFError("the server has closed the feed")

    def close(self) -> None:
        # both hold the socket: it is closed when both are
        self.response.close()
        self.connection.close()


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def say(conn: Connection[Any], *subjects: str, region: str = "640402") -> None:
    for subject in subjects:
        emit(conn, "moved", subject=subject, region=region, body={"unit": "队"})


def subjects(events: list[tuple[str, str, Any]]) -> list[str]:
    return [data["subject"] for _, _, data in events]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_new_client_is_told_how_things_stand_and_then_what_happens(
    client: Any, serve: Serve, database_url: str
) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as db,
        closing(Stream(serve(database_url).port)) as stream,
    ):
        ((name, _, state),) = stream.take(1)
        assert (name, state["reason"]) == ("snapshot", "start")
        assert [(level["site"], level["level"]) for level in state["levels"]] == [
            ("site-A", "orange"), ("site-B", "orange")]  # fmt: skip
        assert [incident["site"] for incident in state["incidents"]] == ["site-A", "site-B"]
        assert [d["state"] for d in state["incidents"][0]["dispatches"]] == ["en_route"]
        say(db, "x")
        ((name, _, data),) = stream.take(1)
        assert name == "moved"
        assert (data["subject"], data["region"], data["body"]) == ("x", "640402", {"unit": "队"})
        assert datetime.fromisoformat(data["at"]) - datetime.now(UTC) < timedelta(minutes=5)


def test_a_client_goes_on_where_it_stopped(serve: Serve, database_url: str, db: Connection[Any]) -> None:
    port = serve(database_url).port
    with closing(Stream(port)) as stream:
        start = stream.take(1)[0][1]
        say(db, "a", "b", "c")
        first = stream.take(2)
    say(db, "d", "e")
    with closing(Stream(port, last=first[-1][1])) as stream:
        assert subjects(first) + subjects(stream.take(3)) == ["a", "b", "c", "d", "e"]
        say(db, "f")
        assert subjects(stream.take(1)) == ["f"]
    with closing(Stream(port, last=start)) as stream:
        assert subjects(stream.take(6)) == ["a", "b", "c", "d", "e", "f"]


def test_a_client_goes_on_after_the_server_was_killed(
    serve: Serve, database_url: str, db: Connection[Any]
) -> None:
    running = serve(database_url)
    with closing(Stream(running.port)) as stream:
        stream.take(1)
        say(db, *"abcde")
        heard = stream.take(3)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        with pytest.raises((EOFError, OSError)):
            # what was on its way may still arrive; it is not counted as heard
            stream.take(3)
    say(db, *"fgh")
    with closing(Stream(serve(database_url).port, last=heard[-1][1])) as stream:
        assert subjects(heard + stream.take(5)) == list("abcdefgh")


@pytest.mark.parametrize("ends_with", ["COMMIT", "ROLLBACK"])
def test_commits_in_the_other_order_than_ids_leave_no_gap(
    serve: Serve, database_url: str, db: Connection[Any], ends_with: str
) -> None:
    port = serve(database_url).port
    with closing(Stream(port)) as stream, psycopg.connect(database_url) as slow:
        stream.take(1)
        say(slow, "first")  # has the smaller id, and is not committed yet
        say(db, "second")
        say(db, "third", region="620000")
        slow.execute(ends_with)
        # a rollback says nothing to anybody: the net below finds that the way is free
        expected = ["first", "second"] if ends_with == "COMMIT" else ["second"]
        heard = stream.take(len(expected))
        assert subjects(heard) == expected
        say(db, "fourth")
        assert subjects(stream.take(1)) == ["fourth"]
    for number, (_, cursor, _) in enumerate(heard):
        with closing(Stream(port, last=cursor)) as stream:
            rest = [*expected[number + 1 :], "fourth"]
            assert subjects(stream.take(len(rest))) == rest


def test_nothing_is_shown_before_what_comes_before_it(
    serve: Serve, database_url: str, db: Connection[Any]
) -> None:
    """While an older transaction runs, the events of younger ones wait, and keep their order."""
    port = serve(database_url).port
    with closing(Stream(port)) as stream, psycopg.connect(database_url) as slow:
        stream.take(1)
        say(slow, "first")
        say(db, *(f"{n:03}" for n in range(300)))
        stream.connection.sock.settimeout(2)
        with pytest.raises(TimeoutError):
            stream.take(1)
    with closing(Stream(port, last="0.0")) as stream:
        heard = subjects(stream.take(301))
        assert heard == ["first", *(f"{n:03}" for n in range(300))]


def test_each_hears_of_his_own_region_only(serve: Serve, database_url: str, db: Connection[Any]) -> None:
    port = serve(database_url).port
    with closing(Stream(port, region="6404")) as county, closing(Stream(port)) as province:
        county.take(1)
        province.take(1)
        say(db, "other", region="640502")
        say(db, "nowhere", region="")
        say(db, "abroad", region="620000")
        say(db, "own")
        assert subjects(county.take(1)) == ["own"]
        assert subjects(province.take(3)) == ["other", "nowhere", "own"]


def test_a_snapshot_shows_the_own_region_only(client: Any, serve: Serve, database_url: str) -> None:
    with closing(Stream(serve(database_url).port, region="6404")) as stream:
        text = json.dumps(stream.take(1)[0][2])
    assert "site-A" in text
    assert "640402" in text
    assert "site-B" not in text
    assert "640502" not in text


def test_a_cursor_from_before_what_is_kept_starts_again_and_says_so(
    serve: Serve, database_url: str, db: Connection[Any]
) -> None:
    port = serve(database_url).port
    with closing(Stream(port)) as stream:
        stream.take(1)
        say(db, "a", "b", "c")
        (_, a, _), (_, b, _), _ = stream.take(3)
    # a and b grow old
    db.execute("UPDATE event SET done_at = done_at - interval '8 days' WHERE subject IN ('a', 'b')")
    assert delete_old_events(db, datetime.now(UTC) - timedelta(days=7)) == 2
    with closing(Stream(port, last=a)) as stream:
        ((name, _, state),) = stream.take(1)
        assert (name, state["reason"]) == ("snapshot", "expired")
        say(db, "d")
        assert subjects(stream.take(1)) == ["d"]
    with closing(Stream(port, last=b)) as stream:
        assert subjects(stream.take(2)) == ["c", "d"], "nothing behind b was deleted"


@pytest.mark.parametrize(
    "last", ["x", "1", "1.x", "-1.2", "99999999999999999999999.1", "9000000000000000000.1"]
)
def test_a_cursor_that_is_none_of_ours_starts_again(serve: Serve, database_url: str, last: str) -> None:
    with closing(Stream(serve(database_url).port, last=last)) as stream:
        ((name, _, state),) = stream.take(1)
        assert (name, state["reason"]) == ("snapshot", "expired")


def test_all_clients_share_one_listener_and_leave_nothing_behind(
    serve: Serve, database_url: str, db: Connection[Any]
) -> None:
    running = serve(database_url)
    streams = [Stream(running.port) for _ in range(20)]
    for stream in streams:
        stream.take(1)
    assert json.loads(running.get("/healthz")[1])["followers"] == 20
    listeners = db.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'liupan-live'"
    ).fetchone()
    assert listeners == (1,)
    say(db, "x")
    assert [subjects(stream.take(1)) for stream in streams] == [["x"]] * 20
    for stream in streams:
        stream.close()
    wait_until(lambda: json.loads(running.get("/healthz")[1])["followers"] == 0)


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_a_client_that_does_not_read_holds_no_memory_and_misses_nothing(
    serve: Serve, database_url: str, db: Connection[Any]
) -> None:
    running = serve(database_url)
    count, size = 3000, 20_000  # 60 MB
    with closing(Stream(running.port)) as slow, closing(Stream(running.port)) as quick:
        slow.take(1)
        quick.take(1)
        before = memory_kb(running.process.pid)
        for first in range(0, count, 100):
            with db.transaction():
                for number in range(first, first + 100):
                    emit(db, "moved", subject=str(number), region="64", body={"x": "x" * size})
            assert subjects(quick.take(100)) == [str(number) for number in range(first, first + 100)]
        grown = memory_kb(running.process.pid) - before
        assert grown * 1024 < count * size / 2, "the server keeps what the slow client does not fetch"
        assert subjects(slow.take(count)) == [str(number) for number in range(count)]


def test_an_open_feed_does_not_hold_up_the_end(serve: Serve, database_url: str) -> None:
    running = serve(database_url)
    with closing(Stream(running.port)) as stream:
        stream.take(1)
        running.process.terminate()
        assert running.process.wait(20) == 0
        with pytest.raises(EOFError):
            stream.take(1)


def test_a_quiet_feed_is_kept_alive(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.routes.live.HEARTBEAT_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    app = create_app(Settings(state=Path(), database_url=database_url), ending=lambda: server.should_exit)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        with closing(Stream(port)) as stream:
            stream.take(1)
            assert [stream.response.readline() for _ in range(4)] == [b": alive\n", b"\n"] * 2
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("text", ["0.0", "7.42", f"{2**64 - 1}.{2**63 - 1}"])
def test_a_cursor_comes_back_as_it_went(text: str) -> None:
    assert str(Cursor.of(text)) == text
