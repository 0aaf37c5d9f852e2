"""The real process on a real database and a real broker: from a change of level to the closed incident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

from domain.clock import parse_time
from domain.flow import emit
from domain.wire import alert_topic, down_topic, new_id
from server.registry import register

ROOT = Path(__file__).parents[2]
Make = Callable[..., int]
Say = Callable[..., None]
Listen = Callable[[str, str], AbstractContextManager[Any]]
Process = subprocess.Popen[bytes]


@contextmanager
def running(database_url: str, broker: str) -> Iterator[tuple[Process, Callable[[], str]]]:
    """Run the process for the length of the block; yield it and what tells its log."""
    env = {**os.environ, "LIUPAN_DATABASE_URL": database_url, "LIUPAN_MQTT_URL": broker}
    with TemporaryFile() as out:

        def log() -> str:
            return os.pread(out.fileno(), 1_000_000, 0).decode()

        with subprocess.Popen([sys.executable, "-m", "warning"], cwd=ROOT, env=env, stderr=out) as process:
            try:
                until(lambda: "running: " in log() or process.poll() is not None)
                assert process.poll() is None, log()
                yield process, log
            finally:
                process.kill()


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def until(true: Callable[[], Any], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def only(conn: Connection[Any], query: str) -> Any:
    ((value,),) = conn.execute(query).fetchall()
    return value


def waiting(conn: Connection[Any]) -> int:
    return int(only(conn, "SELECT count(*) FROM waiting_event"))


def team(conn: Connection[Any], *devices: str) -> None:
    """Register phones that hear alerts; the first one is that of a team at its station."""
    phones = [
        {"code": d, "kind": "phone", "name": d, "region": "640402", "mode": "exercise"} for d in devices
    ]
    told = [{"name": d, "channel": "mqtt", "address": d, "region": "64"} for d in devices]
    unit = {
        "code": "team", "name_zh": "一队", "name_en": "team one", "region": "640402", "device": devices[0],
        "lon": 106.2, "lat": 36.1,
    }  # fmt: skip
    register(conn, {"things": phones, "units": [unit], "recipients": told})


def answer(conn: Connection[Any], subject: str, device: str, state: str, at: object) -> None:
    """Emit what ingest emits when a phone has answered."""
    body = {"device": device, "state": state, "at": at, "id": new_id()}
    emit(conn, "answered", subject=subject, region="640402", body=body)


def test_from_a_change_of_level_to_the_closed_incident(
    database_url: str, db: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    device = f"phone-{uuid4().hex[:8]}"
    team(db, device)
    number = site(db, mode="exercise", region="640422")
    with (
        listening(broker, down_topic(device, "alert")) as alerts,
        listening(broker, down_topic(device, "dispatch")) as orders,
        listening(broker, alert_topic("640422")) as public,
        running(database_url, broker) as (process, _),
    ):
        levelled(db, number, "none", "red", 0)
        told, order = alerts.next(30), orders.next(30)
        assert (told["message_type"], told["level"], told["mode"]) == ("Alert", "red", "exercise")
        assert (order["state"], order["mode"], order["site"]["code"]) == ("ordered", "exercise", "yz-1")
        assert order["distance_m"] == 11120 and parse_time(order["ordered_at"])
        assert [a["identifier"] for a in public.next(30)["alerts"]] == [told["alert"]]

        answer(db, told["delivery"], device, "received", told["sent"])
        for state in ("accepted", "en_route", "on_scene"):
            answer(db, order["id"], device, state, order["ordered_at"])
        until(lambda: only(db, "SELECT state FROM dispatch") == "on_scene")
        assert only(db, "SELECT state FROM receipt") == "received"

        levelled(db, number, "red", "none", 9)
        end = alerts.next(30)
        assert (end["message_type"], end["level"]) == ("Cancel", "none")
        assert public.heard.get(timeout=30).payload == b""
        answer(db, order["id"], device, "done", end["sent"])
        until(lambda: only(db, "SELECT closed_at FROM incident"))
        until(lambda: waiting(db) == 0)
        assert only(db, "SELECT sum(failures) FROM event") == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_closing_by_hand_reaches_the_phone(
    database_url: str, db: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    from warning.response.incident import close_incident

    device = f"phone-{uuid4().hex[:8]}"
    team(db, device)
    with (
        listening(broker, down_topic(device, "dispatch")) as orders,
        running(database_url, broker),
    ):
        levelled(db, site(db, mode="exercise"), "none", "red", 0)
        order = orders.next(30)
        close_incident(db, only(db, "SELECT id FROM incident"), parse_time(order["ordered_at"]))
        recalled = orders.next(30)
    assert (recalled["id"], recalled["state"]) == (order["id"], "cancelled")


def test_two_processes_share_the_work_and_tell_each_phone_once(
    database_url: str, db: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    devices = [f"phone-{uuid4().hex[:8]}" for _ in range(5)]
    team(db, *devices)
    sites = [site(db, f"site-{i}", mode="exercise") for i in range(6)]
    with (
        listening(broker, down_topic(devices[1], "alert")) as ear,
        running(database_url, broker),
        running(database_url, broker),
    ):
        for minute, (before, after) in enumerate((("none", "blue"), ("blue", "yellow"), ("yellow", "none"))):
            for number in sites:
                levelled(db, number, before, after, minute)
        until(lambda: only(db, "SELECT count(*) FROM delivery WHERE sent_at IS NOT NULL") == 6 * 3 * 5)
        until(lambda: waiting(db) == 0)
        heard = [ear.next() for _ in range(6 * 3)]
        assert ear.heard.empty()
    assert len({message["alert"] for message in heard}) == 18
    by_site = [[m["level"] for m in heard if m["site"]["code"] == f"site-{i}"] for i in range(6)]
    assert all(sorted(levels) == ["blue", "none", "yellow"] for levels in by_site)
    chains = db.execute("SELECT array_agg(message_type ORDER BY at) FROM alert GROUP BY site").fetchall()
    assert chains == [(["Alert", "Update", "Cancel"],)] * 6
    assert only(db, "SELECT sum(failures) FROM event") == 0


def test_a_killed_process_leaves_nobody_untold(
    database_url: str, db: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    devices = [f"phone-{uuid4().hex[:8]}" for _ in range(20)]
    team(db, *devices)
    sites = [site(db, f"site-{i}", mode="exercise") for i in range(8)]
    with listening(broker, down_topic(devices[1], "alert")) as ear:
        with running(database_url, broker) as (process, _):
            for number in sites:
                levelled(db, number, "none", "red", 0)
            until(lambda: only(db, "SELECT count(*) FROM delivery WHERE sent_at IS NOT NULL") > 0)
            process.kill()
            process.wait()
        with running(database_url, broker):
            until(lambda: waiting(db) == 0)
        assert only(db, "SELECT count(*) FROM alert") == 8
        assert only(db, "SELECT count(*) FROM delivery WHERE sent_at IS NOT NULL") == 8 * 20
        heard = []
        until(lambda: heard.append(ear.next()) or len({m["delivery"] for m in heard}) == 8)  # type: ignore[func-returns-value]
    assert {m["alert"] for m in heard} == {i for (i,) in db.execute("SELECT identifier FROM alert")}
    assert only(db, "SELECT count(*) FROM incident") == 8
    assert only(db, "SELECT count(*) FROM dispatch WHERE state = 'ordered'") == 1  # there is one team


def test_a_lost_database_ends_it_with_one_line_and_75(
    database_url: str, db: Connection[Any], broker: str, site: Make, levelled: Say
) -> None:
    with running(database_url, broker) as (process, log):
        levelled(db, site(db), "none", "blue", 0)
        until(lambda: only(db, "SELECT count(*) FROM alert"))
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'liupan-warning' AND datname = current_database()"
        )
        assert process.wait(15) == 75
        said = log()
    # the process and its child lose their connections at the same time; each says so once at most
    assert said.count("CRITICAL") in (1, 2) and "broke off" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIUPAN_DATABASE_URL", ""),
        ("LIUPAN_MQTT_URL", "http://broker"),
        ("LIUPAN_ALERT_OFFICE", "64"),
        ("LIUPAN_ALERT_SENDER", "two words"),
    ],
)
def test_settings_that_cannot_be_used_end_it_with_one_line(variable: str, value: str) -> None:
    good = {"LIUPAN_DATABASE_URL": "postgresql://nowhere", "LIUPAN_MQTT_URL": "mqtt://nowhere"}
    command = [sys.executable, "-m", "warning"]
    env = {**os.environ, **good, variable: value}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert variable in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_assessing_ends_with_its_parent_and_the_parent_with_it(database_url: str, broker: str) -> None:
    def children(pid: int) -> list[int]:
        told = {int(f.parent.name): f.read_text() for f in Path("/proc").glob("[0-9]*/stat")}
        return [child for child, stat in told.items() if int(stat.rpartition(")")[2].split()[1]) == pid]

    def alive(pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    with running(database_url, broker) as (process, _):
        until(lambda: children(process.pid))
        family = children(process.pid)
        process.kill()
        process.wait()
        until(lambda: not any(alive(pid) for pid in family))
    with running(database_url, broker) as (process, _):
        until(lambda: children(process.pid))
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        assert process.wait(30) == 75
