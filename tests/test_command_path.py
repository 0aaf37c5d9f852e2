"""The whole way of a command, everything real: asked for, warning, broker, station, ingest, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.settings import Settings
from server.app import create_app
from server.registry import register

KEY = "exercise-key"
PATIENCE_S = 60


@contextmanager
def started(argv: list[str], env: dict[str, str], log: Path, ready: str) -> Iterator[None]:
    """Run the process for the length of the block; its output goes to the log."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", *argv], env=env, stderr=out, stdout=out)
    try:
        until(lambda: ready in log.read_text() or process.poll() is not None, ready)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def code() -> str:
    return f"7{uuid4().int % 10**8}"


@pytest.fixture
def env(database_url: str, broker: str, state: Path) -> dict[str, str]:
    return {**os.environ, "LIUPAN_DATABASE_URL": database_url, "LIUPAN_MQTT_URL": broker,
            "LIUPAN_STATE": str(state)}  # fmt: skip


@pytest.fixture
def db(database_url: str, code: str) -> Iterator[Connection[Any]]:
    station = {"code": code, "kind": "station", "name": code, "region": "640402", "mode": "exercise"}
    with psycopg.connect(database_url, autocommit=True) as conn:
        register(conn, {"things": [{**station, "apikey": KEY}]})
        yield conn


@pytest.fixture
def platform(db: Connection[Any], env: dict[str, str], code: str, state: Path) -> Iterator[None]:
    """The processes on the way, and the station."""
    ingest = ["ingest", "--client-id", f"ingest-{code}"]
    with ExitStack() as running:
        running.enter_context(started(ingest, env, state / "ingest.log", "listening to "))
        running.enter_context(started(["warning"], env, state / "warning.log", "running: "))
        yield


@pytest.fixture
def station(env: dict[str, str], code: str, state: Path) -> Iterator[Path]:
    """A station that runs; its output."""
    log = state / "station.log"
    with started(
        ["ingest.simulate", "--device", code, "--apikey", KEY], env, log, "reports on $dp and obeys"
    ):
        yield log


def command(env: dict[str, str], *argv: str) -> dict[str, Any]:
    """Run `liupan command` and return what it prints."""
    argv = (*argv, "--wait", str(PATIENCE_S), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "command", *argv], env=env, capture_output=True, check=False
    )
    assert done.stderr == b""
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (told["state"] != "succeeded")
    return told


def observed(db: Connection[Any], name: str) -> int:
    row = db.execute(
        "SELECT count(*) FROM observation o JOIN datastream d ON d.id = o.datastream WHERE d.name = %s",
        (name,),
    ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.usefixtures("platform")
def test_from_the_command_line_to_the_station_and_back(
    env: dict[str, str], db: Connection[Any], code: str, station: Path, state: Path
) -> None:
    until(lambda: observed(db, "L1_LF_1/value") == 1, "the station reports once, and in two hours again")
    told = command(env, code, "sampling", "sensor=L1_LF_1", "sample=1", "upload=1", "plus=1")
    assert (told["state"], told["tries"], told["mode"]) == ("succeeded", 1, "exercise")
    until(lambda: observed(db, "L1_LF_1/value") >= 4, "it reports at the new rate")
    assert observed(db, "L3_YL_1/value") == 1, "the other sensor keeps its rate"

    assert command(env, code, "speak", "text=请立即撤离", "times=2")["state"] == "succeeded"
    assert f"{code} 播报 speaks 2x: 请立即撤离" in station.read_text()

    status = command(env, code, "status")
    assert status["values"]["state"]["ext_power_volt"] == 12.6
    assert observed(db, "S1_ZT_1/ext_power_volt") == 1
    assert command(env, code, "sample")["state"] == "succeeded"
    assert observed(db, "L3_YL_1/value") == 2
    assert command(env, code, "reboot")["reason"] == "the device answered fail"

    assert db.execute("SELECT reason FROM rejected").fetchall() == []
    assert db.execute("SELECT last_failure FROM event WHERE last_failure IS NOT NULL").fetchall() == []
    logs = "".join((state / name).read_text() for name in ("ingest.log", "warning.log", "station.log"))
    assert KEY not in logs
    assert KEY not in str(db.execute("SELECT body::text FROM event").fetchall())


@pytest.mark.usefixtures("platform")
def test_over_http_and_a_new_ingest_ignores_the_retained_reply(
    env: dict[str, str], db: Connection[Any], code: str, station: Path, state: Path, database_url: str
) -> None:
    with TestClient(create_app(Settings(state=state, database_url=database_url, region="64"))) as client:
        told = client.post(f"/things/{code}/commands", json={"name": "emergency"}).json()
        until(lambda: client.get(f"/commands/{told['id']}").json()["state"] == "succeeded", "it is obeyed")
    retained = db.execute("SELECT count(*) FROM event WHERE kind = 'replied'").fetchone()
    assert retained == (1,)
    # a reply that is retained at the broker names a command that nobody has answered: it must not count
    db.execute("DELETE FROM event WHERE kind = 'replied'")
    db.execute("UPDATE command SET reply = NULL, state = 'sent', answered_at = NULL")
    log = state / "ingest-2.log"
    with started(["ingest", "--client-id", f"second-{code}"], env, log, "listening to "):
        before = observed(db, "L1_LF_1/value")
        with mqtt(env["LIUPAN_MQTT_URL"]) as mine:
            body = json.dumps({code: {"L1_LF_1": 1.0}}).encode()
            mine.publish("$dp", body, qos=1).wait_for_publish(10)
        until(lambda: observed(db, "L1_LF_1/value") > before, "what came behind it is stored")
    assert db.execute("SELECT state FROM command").fetchall() == [("sent",)]
    assert db.execute("SELECT count(*) FROM event WHERE kind = 'replied'").fetchone() == (0,)
    assert db.execute("SELECT reason FROM rejected").fetchall() == []


@contextmanager
def mqtt(url: str) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(urlsplit(url).hostname or "", urlsplit(url).port or 0)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()
