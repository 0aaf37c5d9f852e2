"""The uplink as a process of its own, against a real broker."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from domain.settings import Settings
from domain.wire import new_id
from mobile.outbox import open_outbox, say
from mobile.uplink import WINDOW, main, run
from server import broker as embedded_broker
from server import service
from server.registry import register


@contextmanager
def uplink(outbox: Path, device: str, broker: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "mobile.uplink", "--outbox", str(outbox), "--device", device]
    with subprocess.Popen(command, env={**os.environ, "LIUPAN_MQTT_URL": broker}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def server(broker: str) -> Iterator[tuple[Client, queue.Queue[MQTTMessage]]]:
    """The other end: hears everything that phones say."""
    heard: queue.Queue[MQTTMessage] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _userdata, message: heard.put(message)
    url = urlsplit(broker)
    client.connect(url.hostname or "", url.port or 0)
    client.subscribe("liupan/v1/up/#", qos=1)
    client.loop_start()
    yield client, heard
    client.disconnect()
    client.loop_stop()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "did not happen within 20 s"
        time.sleep(0.05)


def states(db: sqlite3.Connection) -> list[str]:
    return [state for (state,) in db.execute("SELECT state FROM outbox ORDER BY id")]


def test_killed_in_the_middle_nothing_is_lost(
    tmp_path: Path, broker: str, server: tuple[Client, queue.Queue[MQTTMessage]]
) -> None:
    """Half of the records are confirmed when the process is killed; only the others come again."""
    client, heard = server
    device = f"phone-{new_id()}"
    db = open_outbox(tmp_path / "phone.db")
    ids = [str(say(db, "lead", {"note": str(i)})) for i in range(10)]
    with uplink(tmp_path / "phone.db", device, broker) as process:
        first = [json.loads(heard.get(timeout=20).payload)["id"] for _ in ids]
        for id in ids[:5]:
            client.publish(f"liupan/v1/down/{device}/stored", json.dumps({"id": id, "state": "stored"}), 1)
        wait_for(lambda: states(db).count("stored") == 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert sorted(first) == sorted(ids)
    with uplink(tmp_path / "phone.db", device, broker):
        again = [json.loads(heard.get(timeout=20).payload)["id"] for _ in range(5)]
        assert sorted(again) == sorted(ids[5:])
        for id in again:
            client.publish(f"liupan/v1/down/{device}/stored", json.dumps({"id": id, "state": "stored"}), 1)
        wait_for(lambda: states(db) == ["stored"] * 10)


def test_killed_again_and_again_every_lead_is_stored_once(
    tmp_path: Path, broker: str, database_url: str
) -> None:
    """The real ingest on the other side; the phone's process never lives long enough to say everything."""
    device, count = f"phone-{new_id()}", 300
    path = tmp_path / "phone.db"
    db = open_outbox(path)
    env = {**os.environ, "LIUPAN_MQTT_URL": broker, "LIUPAN_DATABASE_URL": database_url}
    with psycopg.connect(database_url, autocommit=True) as conn:
        phone = {"code": device, "kind": "phone", "name": "x", "region": "640402", "mode": "test"}
        register(conn, {"things": [phone]})
        lead = {"kind": "dumping", "lon": 106.2, "lat": 36, "seen_at": datetime.now(UTC), "note": "x",
                "evidence": []}  # fmt: skip
        ids = [str(say(db, "lead", lead)) for _ in range(count)]
        command = [sys.executable, "-m", "ingest", "--client-id", device + "-ingest"]
        with subprocess.Popen(command, env=env) as ingest:
            try:
                for share in (0.1, 0.4, 0.7):
                    with uplink(path, device, broker):
                        wait_for(lambda share=share: states(db).count("stored") > share * count)  # type: ignore[misc]
                with uplink(path, device, broker):
                    wait_for(lambda: states(db) == ["stored"] * count)
            finally:
                ingest.kill()
        assert [str(id) for (id,) in conn.execute("SELECT id FROM lead ORDER BY id")] == sorted(ids)
        events = conn.execute("SELECT subject FROM event WHERE consumer = 'triage' ORDER BY subject")
        assert [subject for (subject,) in events] == sorted(ids)
        assert conn.execute("SELECT count(*) FROM rejected").fetchone() == (0,)


def test_what_the_broker_has_not_taken_is_not_sent_again(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network that has stopped, repetitions would only queue up behind what is under way."""
    monkeypatch.setattr("mobile.outbox.RETRY_S", (0, 0, 0, 0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings = Settings(state=state, mqtt_port=free.getsockname()[1])
    db = open_outbox(tmp_path / "phone.db")

    def attempts(kind: str) -> tuple[int, int]:
        """Return how often one was sent at most, and how many were sent."""
        query = "SELECT coalesce(max(attempts), 0), count(nullif(attempts, 0)) FROM outbox WHERE kind = ?"
        most, sent = db.execute(query, (kind,)).fetchone()
        return most, sent

    stop = threading.Event()
    with service.running(embedded_broker.prepare(settings)) as mosquitto:
        url = embedded_broker.url(settings)
        thread = threading.Thread(target=run, args=(tmp_path / "phone.db", "ph-1", url, stop))
        thread.start()
        try:
            say(db, "lead", {})
            wait_for(lambda: attempts("lead")[0] > 3)  # the broker takes it; nobody confirms it
            mosquitto.send_signal(signal.SIGSTOP)
            for _ in range(5 * WINDOW):
                say(db, "track", {})
            # the lead may be under way too
            wait_for(lambda: attempts("track")[1] >= WINDOW - 1)
            time.sleep(1)  # many rounds
            most, sent = attempts("track")
            assert (most, sent <= WINDOW) == (1, True)
            monkeypatch.setattr("mobile.outbox.RETRY_S", (300, 300, 300, 300))
            mosquitto.send_signal(signal.SIGCONT)
            wait_for(lambda: attempts("track")[1] == 5 * WINDOW)
        finally:
            mosquitto.send_signal(signal.SIGCONT)
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    ("url", "told"), [("", "LIUPAN_MQTT_URL must look like"), ("http://x", "not 'http://x'")]
)
def test_an_address_that_cannot_be_used_is_told(
    url: str, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LIUPAN_MQTT_URL", url)
    assert main(["--outbox", "x.db", "--device", "ph-1"]) == 2
    assert told in caplog.text


def test_an_alert_told_while_the_phone_was_off_is_kept_and_answered(
    tmp_path: Path, broker: str, server: tuple[Client, queue.Queue[MQTTMessage]]
) -> None:
    client, heard = server
    device, delivery = f"phone-{new_id()}", str(new_id())
    db = open_outbox(tmp_path / "phone.db")
    say(db, "health", {})
    with uplink(tmp_path / "phone.db", device, broker):  # once, so that the broker knows its session
        heard.get(timeout=20)
    client.publish(f"liupan/v1/down/{device}/alert", b"\xff not JSON", 1)
    alert = {"delivery": delivery, "level": "red", "headline_zh": "红色预警"}
    client.publish(f"liupan/v1/down/{device}/alert", json.dumps(alert), 1).wait_for_publish(20)
    with uplink(tmp_path / "phone.db", device, broker):
        while (message := heard.get(timeout=20)).topic != f"liupan/v1/up/{device}/status":
            pass
    answer = json.loads(message.payload)
    assert (answer["subject"], answer["state"]) == (delivery, "received")
    ((body,),) = db.execute("SELECT body FROM inbox WHERE id = ?", (delivery,)).fetchall()
    assert json.loads(body) == alert
