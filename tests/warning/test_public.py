"""The public topic of a region: what is in force, for whoever comes, after a broker that forgot too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from domain.flow import handle
from domain.settings import Settings
from domain.wire import alert_topic
from server import broker as embedded_broker
from server import service
from warning import outlet, public

REGION = "640402"

Make = Callable[..., int]
Say = Callable[..., None]
Open = Callable[..., AbstractContextManager[Any]]


def column(conn: Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def test_the_public_topic_says_what_is_in_force(
    conn: Connection[Any],
    broker: str,
    site: Make,
    levelled: Say,
    listening: Open,
    connected: Open,
    raise_level: Make,
    issue: Say,
) -> None:
    region = "640424"
    first = raise_level(conn, region=region)
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
    conn: Connection[Any], broker: str, listening: Open, connected: Open, raise_level: Make
) -> None:
    region = "640425"
    raise_level(conn, region=region)
    conn.execute("UPDATE alert SET expires = now() - interval '1 second'")
    with connected(broker) as client, listening(broker, alert_topic(region)) as ear:
        handle(conn, "publish", public.publisher(client))
        assert ear.heard.get(timeout=10).payload == b""


def test_a_broker_that_forgot_is_told_again(
    database_url: str, own_broker: Settings, listening: Open, consumer: Open, raise_level: Make
) -> None:
    url = embedded_broker.url(own_broker)
    client = outlet.connect(Settings(state=Path(), mqtt_url=url))
    publish = public.publisher(client)
    with (
        psycopg.connect(database_url, autocommit=True) as conn,
        consumer(database_url, "publish", publish, lambda own: public.when_connected(own, client)),
    ):
        raise_level(conn)
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
