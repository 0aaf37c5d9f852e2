"""A database that takes nothing: the process waits and says so, and everything arrives afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.settings import Settings
from domain.wire import down_topic, new_id, unpack, up_topic
from server import database as embedded_database
from server import service
from server.migrate import migrate
from server.registry import register

AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
MANY = 200
STATION = {"code": "st-a", "kind": "station", "name": "st-a", "region": "640402", "mode": "test",
           "datastreams": [{"name": "rain"}]}  # fmt: skip

#: raises what PostgreSQL raises then, out of the statement that stores
FAIL: LiteralString = (
    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;"
    "CREATE TRIGGER fail BEFORE INSERT ON observation FOR EACH STATEMENT EXECUTE FUNCTION fail()"
)

#: how it begins to take nothing, how it ends, and what is told of it
STATES: dict[str, tuple[list[LiteralString], list[LiteralString], str]] = {
    "read-only": (
        ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"],
        ["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"],
        "in a read-only transaction",
    ),
    "full": ([FAIL], ["DROP TRIGGER fail ON observation"], "No space left on device"),
}


@pytest.fixture(scope="module")
def own_url(free_port: Callable[[], int]) -> Iterator[str]:
    """A server of its own: what is set there concerns nobody else."""
    with TemporaryDirectory(prefix="liupan-") as folder:
        settings = Settings(state=Path(folder), database_port=free_port())
        with service.running(embedded_database.prepare(settings)):
            url = embedded_database.url(settings)
            with psycopg.connect(url, autocommit=True) as conn:
                migrate(conn)
                register(conn, {"things": [STATION]})
            yield url


@pytest.fixture
def conn(own_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(own_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def log(state: Path) -> Path:
    return state / "ingest.log"


@pytest.fixture
def process(own_url: str, broker: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "LIUPAN_DATABASE_URL": own_url, "LIUPAN_MQTT_URL": broker}
    command = [sys.executable, "-m", "ingest", "--client-id", f"ingest-{new_id()}"]
    with log.open("wb") as out, subprocess.Popen(command, env=env, stderr=out) as process:
        until(lambda: "listening to " in log.read_text())
        yield process
        process.kill()


@pytest.fixture
def phone(broker: str) -> Iterator[tuple[Client, list[str]]]:
    """A client that publishes, and the ids that it was told to be stored."""
    told: list[str] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: told.append(json.loads(message.payload)["id"])
    client.connect(str(urlsplit(broker).hostname), int(urlsplit(broker).port or 1883))
    client.loop_start()
    client.subscribe(down_topic("st-a", "stored"), 1)
    yield client, told
    client.disconnect()
    client.loop_stop()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def say(client: Client, first: int, many: int) -> list[str]:
    """Publish results with ids, and return these; it ends when the broker has them all."""
    ids, sent = [], []
    for n in range(first, first + many):
        ids.append(str(new_id()))
        at = (AT + timedelta(minutes=n)).isoformat()
        body = {"id": ids[-1], "datastream": "rain", "phenomenon_time": at, "result": n}
        sent.append(client.publish(up_topic("st-a", "observation"), json.dumps(body), 1))
    for each in sent:
        each.wait_for_publish(30)
    return ids


@pytest.mark.parametrize(("state_name", "offset"), [("read-only", 0), ("full", 10_000)])
def test_nothing_is_acknowledged_nothing_is_lost_and_the_process_lives(
    state_name: str,
    offset: int,
    conn: Connection[Any],
    process: subprocess.Popen[bytes],
    phone: tuple[Client, list[str]],
    log: Path,
) -> None:
    begin, end, reason = STATES[state_name]
    client, told = phone
    known = say(client, offset, 1)
    until(lambda: told == known)
    for statement in begin:
        conn.execute(statement)
    known += say(client, offset + 1, MANY)
    until(lambda: reason in log.read_text())
    known += say(client, offset + 1 + MANY, MANY)
    time.sleep(2.5)  # three tries
    assert process.poll() is None
    assert len(told) == 1
    for statement in end:
        conn.execute(statement)
    until(lambda: len(told) == len(known))
    assert sorted(told) == sorted(known)
    assert log.read_text().count("nothing is acknowledged") == 1, "once a minute"
    assert "quarantine" not in log.read_text()
    results = conn.execute("SELECT result FROM observation WHERE result >= %s ORDER BY 1", (offset,))
    expected = [float(n) for n in range(offset, offset + 1 + 2 * MANY)]
    assert [result for (result,) in results] == expected
    events = conn.execute("SELECT packed FROM event WHERE kind = 'observed'").fetchall()
    of_events = [o.result for (packed,) in events for o in unpack(packed) if o.result >= offset]
    assert sorted(of_events) == expected, "each is told once"
    assert conn.execute("SELECT count(*) FROM observation_revision").fetchone() == (0,)
    process.terminate()
    assert process.wait(30) == 0


def test_it_stops_when_asked_while_it_waits(
    conn: Connection[Any], process: subprocess.Popen[bytes], phone: tuple[Client, list[str]], log: Path
) -> None:
    begin, end, reason = STATES["read-only"]
    for statement in begin:
        conn.execute(statement)
    try:
        say(phone[0], 50_000, 1)
        until(lambda: reason in log.read_text())
        process.terminate()
        assert process.wait(30) == 0
        assert "broke off" not in log.read_text()
    finally:
        for statement in end:
            conn.execute(statement)
