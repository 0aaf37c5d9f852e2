"""A broker that is away or silent: nothing is lost, no try is wasted, nothing waits for it twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.flow import handle
from domain.settings import Settings
from domain.wire import down_topic
from server import broker as embedded_broker
from server import service
from server.registry import register
from warning import channels, outlet
from warning.delivery import deliverer, fan_out

REGION = "640402"

Make = Callable[..., int]
Say = Callable[..., None]
Open = Callable[..., AbstractContextManager[Any]]


def until(true: Callable[[], Any], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def column(conn: Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def phones(conn: Connection[Any], *devices: str, prefix: str = "64") -> None:
    things = [{"code": d, "kind": "phone", "name": d, "region": REGION} for d in devices]
    told = [{"name": d, "channel": "mqtt", "address": d, "region": prefix} for d in devices]
    register(conn, {"things": things, "recipients": told})


def test_deliveries_wait_for_a_broker_that_is_away_and_lose_no_try(
    database_url: str, own_broker: Settings, device: str, listening: Open, consumer: Open, raise_level: Make
) -> None:
    mosquitto, url = embedded_broker.prepare(own_broker), embedded_broker.url(own_broker)
    with psycopg.connect(database_url, autocommit=True) as conn:
        phones(conn, device)
        with service.running(mosquitto), listening(url, down_topic(device, "alert")):
            pass  # the phone has a persistent session there
        client = outlet.connect(Settings(state=Path(), mqtt_url=url))
        deliver = deliverer(client, channels.load())
        with consumer(database_url, "deliver", deliver, lambda _: outlet.when_connected(client)):
            raise_level(conn)
            handle(conn, "fan_out", fan_out)
            time.sleep(1.5)
            waiting = "SELECT failures FROM waiting_event WHERE consumer = 'deliver'"
            assert column(conn, waiting) == [0]
            with service.running(mosquitto), listening(url, down_topic(device, "alert")) as ear:
                assert ear.next(20)["level"] == "orange"
                until(lambda: column(conn, waiting) == [])
            assert column(conn, "SELECT count(*) FROM delivery WHERE sent_at IS NOT NULL") == [1]
        client.disconnect()
        client.loop_stop()


def test_a_silent_broker_is_given_up_and_the_delivery_retried(
    conn: Connection[Any],
    own_broker: Settings,
    device: str,
    listening: Open,
    connected: Open,
    raise_level: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outlet, "ACKNOWLEDGED_WITHIN_S", 0.3)
    phones(conn, device, f"{device}-2")
    raise_level(conn)
    handle(conn, "fan_out", fan_out)
    url = embedded_broker.url(own_broker)
    with (
        service.running(embedded_broker.prepare(own_broker)) as mosquitto,
        listening(url, down_topic(device, "alert")) as ear,
        connected(url) as client,
    ):
        deliver = deliverer(client, channels.load())
        os.kill(mosquitto.pid, signal.SIGSTOP)
        handle(conn, "deliver", deliver)
        assert column(conn, "SELECT failures FROM event WHERE kind = 'due'") == [1, 1]
        assert column(conn, "SELECT count(*) FROM delivery WHERE sent_at IS NULL") == [2]
        until(lambda: not client.is_connected(), 5)  # so that what follows does not wait for it again
        os.kill(mosquitto.pid, signal.SIGCONT)
        conn.execute("UPDATE event SET not_before = now() WHERE kind = 'due'")
        until(client.is_connected)
        monkeypatch.setattr(outlet, "ACKNOWLEDGED_WITHIN_S", 10)
        handle(conn, "deliver", deliver)
        assert ear.next()["level"] == "orange"
    assert column(conn, "SELECT count(*) FROM delivery WHERE sent_at IS NULL") == [0]
