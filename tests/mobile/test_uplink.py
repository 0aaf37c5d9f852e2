"""The uplink as a process of its own, against a real broker."""

from __future__ import annotations

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from domain.wire import new_id
from mobile.outbox import open_outbox, say


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
