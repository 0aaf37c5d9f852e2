"""What the tests of alerts and responses register, and how they say that a level has changed."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.flow import emit
from domain.thing import partition_of
from server.registry import register

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
