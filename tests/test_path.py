"""The whole way of an event, with everything real, while each process on it is killed.

Phones and stations speak through the phone's own outbox and uplink; the supervisor of `liupan up` starts
again what dies. Counted are the database and the phone: nothing lost, nothing twice, no event
stuck.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.settings import Settings
from mobile.outbox import open_outbox, say
from server.registry import register
from server.up import Stack, running

REGION = "640402"
POLYGON = [[106.3, 36.0], [106.31, 36.0], [106.31, 36.01], [106.3, 36.0]]
#: every step lies so far behind the last that the level has come down again, and all of them in the past
STEP = timedelta(hours=240)
FIRST = datetime(1995, 1, 1, 0, 30, tzinfo=UTC)
#: mm in an hour: above the intensity-duration line of Godt (2006), 82.7 mm at 1 h
DOWNPOUR, DRIZZLE = 120.0, 0.2


def registry(stations: list[str]) -> dict[str, Any]:
    """A site for each station, a phone that reports, a phone that is told."""
    rain = {"name": "rain", "observed_property": "rainfall", "unit": "mm", "valid_min": 0, "valid_max": 300}
    thing: dict[str, Any] = {
        "region": REGION,
        "mode": "test",
        "site": None,
        "time_zone": "UTC",
        "datastreams": [],
    }
    return {
        "sites": [
            {"code": f"site-{code}", "region": REGION, "name_zh": "测试点", "name_en": "Test site",
             "type": "landslide", "mode": "test", "rule": "rain_displacement", "lon": 106.3, "lat": 36.0,
             "polygon": POLYGON, "threatened": 3, "contact": ""}
            for code in stations
        ],
        "things": [
            thing | {"code": code, "kind": "station", "name": code, "site": f"site-{code}",
                     "datastreams": [rain]}
            for code in stations
        ] + [thing | {"code": code, "kind": "phone", "name": code} for code in ("inspector", "officer")],
        "units": [],
        "recipients": [{"name": "officer", "channel": "mqtt", "address": "officer", "region": "64"}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def free_settings() -> Iterator[Settings]:
    with ExitStack() as held, TemporaryDirectory(prefix="liupan-") as folder:
        ports = [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in "123"]
        held.close()
        yield Settings(
            state=Path(folder),
            mqtt_port=ports[0],
            database_port=ports[1],
            http_port=ports[2],
            intake_port=0,
            sl651_port=0,
        )


@pytest.fixture(scope="module")
def stack(free_settings: Settings) -> Iterator[Stack]:
    with running(free_settings) as stack:
        with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
            register(conn, registry(["gauge-1", "gauge-2", "gauge-3", "held-ingest", "held-warning"]))
        yield stack


@contextmanager
def uplinks(stack: Stack, devices: list[str]) -> Iterator[dict[str, sqlite3.Connection]]:
    """An outbox and a running uplink for each device."""
    env = {**os.environ, "LIUPAN_MQTT_URL": stack.settings.mqtt_url}
    boxes, processes = {}, []
    for device in devices:
        path = stack.settings.state / f"{device}.db"
        boxes[device] = open_outbox(path)
        command = [sys.executable, "-m", "mobile.uplink", "--outbox", str(path), "--device", device]
        processes.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
    try:
        yield boxes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def ask(stack: Stack, query: str, *values: object) -> Any:
    """Return the first column of the first row; None while the database is away."""
    try:
        with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
            row = conn.execute(query, values).fetchone()
            return row[0] if row else None
    except psycopg.OperationalError:
        return None


def until(true: Callable[[], Any], what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)


def kill(stack: Stack, name: str) -> None:
    """Kill the process and wait until the supervisor has started it again."""
    pid = stack.pids()[name]
    os.kill(pid, signal.SIGKILL)
    until(lambda: stack.pids().get(name, pid) != pid, f"{name} runs again")


def observe(box: sqlite3.Connection, step: int, result: float) -> None:
    at = FIRST + step * STEP
    say(box, "observation", {"datastream": "rain", "phenomenon_time": at.isoformat(), "result": result})


def waiting(stack: Stack) -> Any:
    return ask(stack, "SELECT count(*) FROM waiting_event")


def unsaid(box: sqlite3.Connection) -> int:
    return int(box.execute("SELECT count(*) FROM outbox WHERE state = 'waiting'").fetchone()[0])


def hold_commits(stack: Stack, held: bool) -> None:
    """Make every commit durable but never told to the client, as if the line went dead behind it."""
    standby = "'nobody'" if held else "''"
    with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
        conn.execute("SET synchronous_commit = local")
        conn.execute(f"ALTER SYSTEM SET synchronous_standby_names = {standby}")
        conn.execute("SELECT pg_reload_conf()")


def test_ingest_killed_between_commit_and_acknowledgement(stack: Stack) -> None:
    """The commit is on the disk and ingest has not heard of it: the message comes again and is absorbed."""
    with uplinks(stack, ["held-ingest"]) as boxes:
        hold_commits(stack, True)
        try:
            observe(boxes["held-ingest"], 0, DOWNPOUR)
            until(
                lambda: ask(stack, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
                "a commit waits for the standby",
            )
            assert unsaid(boxes["held-ingest"]) == 1, "the phone was told before the commit"
            pid = stack.pids()["ingest"]
            os.kill(pid, signal.SIGKILL)
        finally:
            hold_commits(stack, False)
        until(lambda: unsaid(boxes["held-ingest"]) == 0, "the phone is told in the end")
        until(lambda: waiting(stack) == 0, "every event is done")
    of_site = "JOIN hazard_site s ON s.id = site WHERE s.code = 'site-held-ingest'"
    assert (
        ask(
            stack,
            "SELECT count(*) FROM observation JOIN datastream d ON d.id = datastream"
            " JOIN thing t ON t.id = d.thing WHERE t.code = 'held-ingest'",
        )
        == 1
    )
    assert ask(stack, "SELECT count(*) FROM observation_revision") == 0
    assert ask(stack, f"SELECT count(*) FROM alert {of_site}") == 1


def test_warning_killed_between_assessment_and_alert(stack: Stack) -> None:
    """The assessment is there, the alert is not: it is issued once after the restart."""
    of_site = "JOIN hazard_site s ON s.id = site WHERE s.code = 'site-held-warning'"
    with uplinks(stack, ["held-warning"]) as boxes:
        with psycopg.connect(stack.settings.database_url) as holder:
            holder.execute("LOCK TABLE alert IN EXCLUSIVE MODE")
            observe(boxes["held-warning"], 0, DOWNPOUR)
            until(lambda: ask(stack, f"SELECT count(*) FROM assessment {of_site}"), "it is assessed")
            until(lambda: ask(stack, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "the issuing waits")
            os.kill(stack.pids()["warning"], signal.SIGKILL)
        until(lambda: ask(stack, f"SELECT count(*) FROM alert {of_site}"), "it is issued")
        until(lambda: waiting(stack) == 0, "every event is done")
    assert ask(stack, f"SELECT count(*) FROM alert {of_site}") == 1
    assert ask(stack, f"SELECT count(*) FROM assessment {of_site}") == 1


def test_each_process_killed_under_load(stack: Stack) -> None:
    """Three gauges swing between downpour and drizzle, an inspector reports, and everything dies once."""
    gauges, stop = ["gauge-1", "gauge-2", "gauge-3"], threading.Event()
    said = {"steps": 0, "leads": 0}
    with uplinks(stack, [*gauges, "inspector", "officer"]) as boxes:

        def speak() -> None:
            own = {device: open_outbox(stack.settings.state / f"{device}.db") for device in boxes}
            while not stop.wait(0.1):
                for gauge in gauges:
                    observe(own[gauge], said["steps"], DRIZZLE if said["steps"] % 2 else DOWNPOUR)
                said["steps"] += 1
                say(own["inspector"], "lead", {
                    "kind": "dumping", "lon": 106.3, "lat": 36.0, "note": f"第{said['leads']}处",
                    "seen_at": datetime.now(UTC).isoformat(),
                })  # fmt: skip
                said["leads"] += 1

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            for name in ("ingest", "warning", "enforcement", "server", "mosquitto", "postgres"):
                time.sleep(1)
                kill(stack, name)
            time.sleep(2)
        finally:
            stop.set()
            speaker.join()
        for device in (*gauges, "inspector"):
            until(lambda device=device: unsaid(boxes[device]) == 0, f"all of {device} is stored", 120)  # type: ignore[misc]
        until(lambda: waiting(stack) == 0, "every event is done", 120)
        last = ask(stack, "SELECT array_agg(identifier ORDER BY identifier) FROM newest_alert")
        until(lambda: set(last) <= heard(boxes["officer"]), "the officer has the last word on each site", 120)
    check_counts(stack, gauges, said)


def heard(box: sqlite3.Connection) -> set[str]:
    """Return the identifiers of the alerts that the phone has."""
    return {
        json.loads(body)["alert"] for (body,) in box.execute("SELECT body FROM inbox WHERE kind = 'alert'")
    }


def check_counts(stack: Stack, gauges: list[str], said: dict[str, int]) -> None:
    with psycopg.connect(stack.settings.database_url, autocommit=True) as conn:
        for gauge in gauges:
            stored = column(
                conn,
                "SELECT o.result FROM observation o JOIN datastream d ON d.id = o.datastream"
                " JOIN thing t ON t.id = d.thing WHERE t.code = %s ORDER BY phenomenon_time",
                gauge,
            )
            assert stored == [DRIZZLE if step % 2 else DOWNPOUR for step in range(said["steps"])]
            told = column(
                conn,
                "SELECT message_type FROM alert JOIN hazard_site s ON s.id = site"
                " WHERE s.code = %s ORDER BY at",
                f"site-{gauge}",
            )
            assert told == ["Cancel" if step % 2 else "Alert" for step in range(said["steps"])]
        assert column(conn, "SELECT count(*) FROM lead") == [said["leads"]]
        assert column(conn, "SELECT count(*) FROM enforcement_case") == [said["leads"]]
        serials = column(conn, "SELECT right(number, 4)::int FROM enforcement_case ORDER BY 1")
        assert serials == list(range(1, said["leads"] + 1)), "numbers of cases have no gap"
        assert column(conn, "SELECT count(*) FROM observation_revision") == [0]
        assert column(conn, "SELECT reason FROM rejected") == []
        assert column(conn, "SELECT last_failure FROM event WHERE set_aside_at IS NOT NULL") == []
        assert column(conn, "SELECT count(*) FROM delivery WHERE sent_at IS NULL") == [0]


def column(conn: Connection[Any], query: str, *values: object) -> list[Any]:
    return [value for (value,) in conn.execute(query, values).fetchall()]
