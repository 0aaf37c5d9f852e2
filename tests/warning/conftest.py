"""What the tests of alerts and responses register, and how they say that a level has changed."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.flow import Handler, consume, emit, handle
from domain.settings import Settings
from domain.thing import partition_of
from server.registry import register
from warning import outlet
from warning.cap import Office
from warning.issue import issuer

REGION = "640402"
START = datetime(2026, 8, 12, 11, 0, tzinfo=UTC)


@dataclass
class Ear:
    """A real MQTT client that keeps what it hears on one topic."""

    client: Client
    heard: queue.Queue[MQTTMessage] = field(default_factory=queue.Queue)

    def next(self, timeout: float = 10) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.heard.get(timeout=timeout).payload)
        return message


@pytest.fixture
def listening() -> Callable[[str, str], AbstractContextManager[Ear]]:
    return _listening


@contextmanager
def _listening(url: str, topic: str) -> Iterator[Ear]:
    ear = Ear(Client(CallbackAPIVersion.VERSION2, f"ear-{uuid4().hex[:8]}", clean_session=False))
    ready = threading.Event()
    ear.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
    ear.client.on_subscribe = lambda *_: ready.set()
    ear.client.on_message = lambda client, userdata, message: ear.heard.put(message)
    ear.client.reconnect_delay_set(1, 1)
    ear.client.connect(urlsplit(url).hostname or "", urlsplit(url).port or 0)
    ear.client.loop_start()
    assert ready.wait(10)
    try:
        yield ear
    finally:
        ear.client.disconnect()
        ear.client.loop_stop()


@pytest.fixture
def site() -> Callable[..., int]:
    """Register a hazard site with these values; return its number."""

    def site(conn: Connection[Any], code: str = "yz-1", **values: object) -> int:
        plain = {
            "code": code, "region": REGION, "name_zh": "张家崾岘滑坡", "name_en": "Zhangjia landslide",
            "type": "landslide", "mode": "actual", "rule": "landslide", "lon": 106.2, "lat": 36.0,
            "polygon": [[106.1, 36.0], [106.2, 36.0], [106.2, 35.9], [106.1, 36.0]], "threatened": 45,
        }  # fmt: skip
        register(conn, {"sites": [plain | values]})
        row = conn.execute("SELECT id FROM hazard_site WHERE code = %s", (code,)).fetchone()
        assert row is not None
        return int(row[0])

    return site


@pytest.fixture
def levelled() -> Callable[..., None]:
    """Emit what the assessing side emits when a level has changed, so many minutes after START."""

    def levelled(
        conn: Connection[Any], site: int, before: str, after: str, minutes: float, assessment: object = None
    ) -> None:
        body = {
            "site": site, "from": before, "to": after, "at": START + timedelta(minutes=minutes),
            "assessment": assessment,
        }  # fmt: skip
        row = conn.execute("SELECT code, region FROM hazard_site WHERE id = %s", (site,)).fetchone()
        code, region = row or ("gone", REGION)
        emit(conn, "levelled", subject=code, region=region, partition=partition_of(site), body=body)

    return levelled


@pytest.fixture
def connected() -> Callable[..., AbstractContextManager[Client]]:
    @contextmanager
    def connected(url: str) -> Iterator[Client]:
        client = outlet.connect(Settings(state=Path(), mqtt_url=url))
        deadline = time.monotonic() + 20
        while not client.is_connected():
            assert time.monotonic() < deadline, "no connection to the broker"
            time.sleep(0.01)
        try:
            yield client
        finally:
            client.disconnect()
            client.loop_stop()

    return connected


@pytest.fixture
def consumer() -> Callable[..., AbstractContextManager[None]]:
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

    return consumer


@pytest.fixture
def own_broker(state: Path) -> Settings:
    """The settings of a broker that the test starts and stops itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Settings(state=state, mqtt_port=server.getsockname()[1])


@pytest.fixture
def device() -> str:
    return f"phone-{uuid4().hex[:8]}"


@pytest.fixture
def issue() -> Callable[..., None]:
    def issue(conn: Connection[Any]) -> None:
        handle(conn, "issue", issuer(Office.of(Settings(state=Path()))))

    return issue


@pytest.fixture
def raise_level(
    site: Callable[..., int], levelled: Callable[..., None], issue: Callable[..., None]
) -> Callable[..., int]:
    """Register a site with these values and issue its first alert, orange; return the site's number."""

    def raise_level(conn: Connection[Any], **values: object) -> int:
        number = site(conn, **values)
        levelled(conn, number, "none", "orange", 0)
        issue(conn)
        return number

    return raise_level
