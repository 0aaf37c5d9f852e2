"""The embedded broker: keeps what it took for a client that is away, and does not drop it silently."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from domain.settings import Settings
from server import broker, service


@pytest.fixture
def settings(state: Path, free_port: Callable[[], int]) -> Settings:
    return Settings(state=state / "a folder", mqtt_port=free_port())


@contextmanager
def client(settings: Settings, name: str) -> Iterator[tuple[mqtt.Client, list[bytes]]]:
    """A connected client with a persistent session, and what it has been sent."""
    there, got = threading.Event(), list[bytes]()
    made = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
    made.on_connect = lambda *_: there.set()
    made.on_message = lambda _client, _data, message: got.append(bytes(message.payload))
    made.max_inflight_messages_set(1000)
    made.connect("127.0.0.1", settings.mqtt_port)
    made.loop_start()
    assert there.wait(10)
    try:
        yield made, got
    finally:
        made.disconnect()
        made.loop_stop()


def subscribe(settings: Settings, name: str) -> None:
    """Leave a session behind that wants everything on topic t."""
    done = threading.Event()
    with client(settings, name) as (made, _):
        made.on_subscribe = lambda *_: done.set()
        made.subscribe("t", qos=1)
        assert done.wait(10)


def publish(settings: Settings, payloads: list[bytes]) -> None:
    with client(settings, "sender") as (made, _):
        for info in [made.publish("t", payload, qos=1) for payload in payloads]:
            info.wait_for_publish(20)


def received(settings: Settings, name: str, count: int) -> list[bytes]:
    with client(settings, name) as (_, got):
        until = time.monotonic() + 20
        while len(got) < count and time.monotonic() < until:
            time.sleep(0.01)
        return list(got)


def test_more_than_its_default_thousand_wait_for_a_client_that_is_away(settings: Settings) -> None:
    payloads = [b"%d" % n for n in range(1500)]
    with service.running(broker.prepare(settings)):
        subscribe(settings, "away")
        publish(settings, payloads)
        assert received(settings, "away", len(payloads)) == payloads


def test_what_waits_outlives_a_stop_and_a_kill(settings: Settings) -> None:
    with service.running(broker.prepare(settings)):
        subscribe(settings, "away")
        publish(settings, [b"one"])
    with service.running(broker.prepare(settings)) as process:
        publish(settings, [b"two"])
        time.sleep(2.5)  # it saves each second
        process.kill()
        process.wait()
    with service.running(broker.prepare(settings)):
        assert received(settings, "away", 2) == [b"one", b"two"]


def test_without_mosquitto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(broker, "ELSEWHERE", "")
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    with pytest.raises(RuntimeError, match="mosquitto is not installed: make setup"):
        broker.prepare(Settings(state=tmp_path))


def test_one_that_set_up_has_unpacked_runs(
    settings: Settings, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, own = broker.find()
    monkeypatch.setattr(sys, "prefix", str(state / "venv"))
    libraries = state / "venv" / "mosquitto" / "usr" / "lib" / "some-linux-gnu"
    shutil.copytree(own, libraries) if own else libraries.mkdir(parents=True)
    (libraries.parents[1] / "sbin").mkdir()
    shutil.copy(program, libraries.parents[1] / "sbin" / "mosquitto")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(broker, "ELSEWHERE", "")
    with service.running(broker.prepare(settings)) as process:
        assert Path(f"/proc/{process.pid}/exe").resolve().is_relative_to(state.resolve())
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert f"LD_LIBRARY_PATH={libraries.resolve()}".encode() in environment.split(b"\0")
        subscribe(settings, "away")
