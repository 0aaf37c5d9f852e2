"""Deliveries over a real broker: told once each, retried alone, waiting for a broker that is away."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from paho.mqtt.client import Client
from psycopg import Connection

from domain.flow import Handler, consume, handle
from domain.settings import Settings
from domain.wire import alert_topic, down_topic
from server import broker as embedded_broker
from server import service
from server.registry import register
from warning import channels, outlet, public
from warning.cap import Office
from warning.delivery import deliverer, fan_out
from warning.issue import issuer

REGION = "640402"
Make = Callable[..., int]
Say = Callable[..., None]
Listen = Callable[[str, str], AbstractContextManager[Any]]


@contextmanager
def connected(url: str) -> Iterator[Client]:
    client = outlet.connect(Settings(state=Path(), mqtt_url=url))
    until(client.is_connected)
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


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


def issue(conn: Connection[Any]) -> None:
    handle(conn, "issue", issuer(Office.of(Settings(state=Path()))))


def raise_level(conn: Connection[Any], site: Make, levelled: Say, **values: object) -> int:
    number = site(conn, **values)
    levelled(conn, number, "none", "orange", 0)
    issue(conn)
    return number


@pytest.fixture
def device() -> str:
    return f"phone-{uuid4().hex[:8]}"


@pytest.fixture
def own_broker(state: Path) -> Settings:
    """The settings of a broker that the test starts and stops itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Settings(state=state, mqtt_port=server.getsockname()[1])


def test_a_phone_is_told_everything_it_shows(
    conn: Connection[Any], broker: str, device: str, site: Make, levelled: Say, listening: Listen
) -> None:
    phones(conn, device)
    raise_level(conn, site, levelled, mode="exercise")
    with listening(broker, down_topic(device, "alert")) as ear, connected(broker) as client:
        handle(conn, "fan_out", fan_out)
        assert handle(conn, "deliver", deliverer(client, channels.load())) == 1
        heard = ear.next()
    row = conn.execute(
        "SELECT d.id::text, d.sent_at IS NOT NULL, a.identifier, a.headline_zh, a.headline_en,"
        " a.instruction_zh, a.instruction_en FROM delivery d JOIN alert a ON a.id = d.alert"
    ).fetchone()
    assert row is not None and row[1]
    assert (heard["delivery"], heard["alert"]) == (row[0], row[2])
    names = ("headline_zh", "headline_en", "instruction_zh", "instruction_en")
    assert tuple(heard[name] for name in names) == row[3:]
    assert (heard["mode"], heard["message_type"], heard["level"]) == ("exercise", "Alert", "orange")
    assert heard["site"]["code"] == "yz-1" and heard["site"]["polygon"][0] == [106.1, 36.0]
    assert heard["threatened"] == 45 and heard["expires"] > heard["sent"]
    delivered = conn.execute("SELECT subject, body FROM event WHERE kind = 'delivered'").fetchall()
    assert delivered == [
        (row[0], {"channel": "mqtt", "address": device, "alert": row[2], "mode": "exercise"})
    ]


def test_recipients_are_those_whose_prefix_begins_the_region_once_each(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    for device, prefix in (("all", ""), ("ningxia", "64"), ("county", "640402"), ("else", "6401")):
        phones(conn, device, prefix=prefix)
    phones(conn, "county", prefix="64")
    raise_level(conn, site, levelled)
    handle(conn, "fan_out", fan_out)
    assert column(conn, "SELECT address FROM delivery ORDER BY 1") == ["all", "county", "ningxia"]
    assert column(conn, "SELECT count(*) FROM event WHERE kind = 'due'") == [3]
    conn.execute("UPDATE event SET done_at = NULL WHERE consumer = 'fan_out'")
    handle(conn, "fan_out", fan_out)
    assert column(conn, "SELECT count(*) FROM event WHERE kind = 'due'") == [3]
    assert column(conn, "SELECT sum(failures) FROM event") == [0]


def test_one_bad_delivery_holds_up_no_other(
    conn: Connection[Any], broker: str, device: str, site: Make, levelled: Say, listening: Listen
) -> None:
    phones(conn, device)
    conn.execute(
        "INSERT INTO recipient (name, channel, address, region)"
        " VALUES ('x', 'mqtt', 'no/device', ''), ('y', 'pigeon', 'z', '')"
    )
    raise_level(conn, site, levelled)
    handle(conn, "fan_out", fan_out)
    with listening(broker, down_topic(device, "alert")) as ear, connected(broker) as client:
        handle(conn, "deliver", deliverer(client, channels.load()))
        assert ear.next()["level"] == "orange"
    assert column(conn, "SELECT address FROM delivery WHERE sent_at IS NOT NULL") == [device]
    failed = column(conn, "SELECT last_failure FROM event WHERE kind = 'due' AND failures = 1 ORDER BY 1")
    assert failed[0].startswith("LookupError: no channel 'pigeon'")
    assert failed[1].startswith("ValueError: 'no/device'")


def test_a_channel_without_send_fails_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(channels.load()) == {"mqtt"}
    (tmp_path / "fax.py").write_text('"""No send."""\n')
    monkeypatch.setattr(channels, "__path__", [str(tmp_path)])
    with pytest.raises(AttributeError, match="send"):
        channels.load()


@contextmanager
def consumer(
    database_url: str, name: str, handler: Handler, gate: Callable[[Connection[Any]], Any]
) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        with psycopg.connect(database_url, autocommit=True) as own:
            consume(own, name, handler, stop, gate(own))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_deliveries_wait_for_a_broker_that_is_away_and_lose_no_try(
    database_url: str, own_broker: Settings, device: str, site: Make, levelled: Say, listening: Listen
) -> None:
    mosquitto, url = embedded_broker.prepare(own_broker), embedded_broker.url(own_broker)
    with psycopg.connect(database_url, autocommit=True) as conn:
        phones(conn, device)
        with service.running(mosquitto), listening(url, down_topic(device, "alert")):
            pass  # the phone has a persistent session there
        client = outlet.connect(Settings(state=Path(), mqtt_url=url))
        deliver = deliverer(client, channels.load())
        with consumer(database_url, "deliver", deliver, lambda _: outlet.when_connected(client)):
            raise_level(conn, site, levelled)
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
    site: Make,
    levelled: Say,
    monkeypatch: pytest.MonkeyPatch,
    listening: Listen,
) -> None:
    monkeypatch.setattr(outlet, "ACKNOWLEDGED_WITHIN_S", 0.3)
    phones(conn, device, f"{device}-2")
    raise_level(conn, site, levelled)
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


def test_the_public_topic_says_what_is_in_force(
    conn: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    region = "640424"
    first = raise_level(conn, site, levelled, region=region)
    second = site(conn, "yz-2", region=region, mode="exercise")
    levelled(conn, second, "none", "red", 1)
    issue(conn)
    with connected(broker) as client, listening(broker, alert_topic(region)) as ear:
        handle(conn, "publish", public.publisher(client))
        said = ear.next()
        assert [(a["level"], a["mode"]) for a in said["alerts"]] == [
            ("red", "exercise"),
            ("orange", "actual"),
        ]
        assert said["region"] == region and "<alert" in said["alerts"][0]["cap"]
        with listening(broker, alert_topic(region)) as late:
            assert late.next()["as_of"] == said["as_of"]  # retained: who comes later hears it too
        for number, level in ((first, "orange"), (second, "red")):
            levelled(conn, number, level, "none", 2)
        issue(conn)
        handle(conn, "publish", public.publisher(client))
        assert ear.heard.get(timeout=10).payload == b""
        with listening(broker, alert_topic(region)) as later:
            client.publish(alert_topic(region), b'{"level":"a retained one would have come first"}')
            assert "alerts" not in later.next()


def test_an_expired_alert_is_not_in_force(
    conn: Connection[Any], broker: str, site: Make, levelled: Say, listening: Listen
) -> None:
    region = "640425"
    raise_level(conn, site, levelled, region=region)
    conn.execute("UPDATE alert SET expires = now() - interval '1 second'")
    with connected(broker) as client, listening(broker, alert_topic(region)) as ear:
        handle(conn, "publish", public.publisher(client))
        assert ear.heard.get(timeout=10).payload == b""


def test_a_broker_that_forgot_is_told_again(
    database_url: str, own_broker: Settings, site: Make, levelled: Say, listening: Listen
) -> None:
    url = embedded_broker.url(own_broker)
    client = outlet.connect(Settings(state=Path(), mqtt_url=url))
    publish = public.publisher(client)
    with (
        psycopg.connect(database_url, autocommit=True) as conn,
        consumer(database_url, "publish", publish, lambda own: public.when_connected(own, client)),
    ):
        raise_level(conn, site, levelled)
        with service.running(embedded_broker.prepare(own_broker)) as mosquitto:
            with listening(url, alert_topic(REGION)) as ear:
                assert ear.next()["alerts"][0]["level"] == "orange"
            mosquitto.kill()
            mosquitto.wait()
        for file in own_broker.state.rglob("*.db"):
            file.unlink()
        with (
            service.running(embedded_broker.prepare(own_broker)),
            listening(url, alert_topic(REGION)) as ear,
        ):
            assert ear.next()["alerts"][0]["level"] == "orange"
        assert column(conn, "SELECT count(*) FROM event WHERE kind = 'connected'") == [2]
    client.disconnect()
    client.loop_stop()
