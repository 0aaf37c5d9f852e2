"""Collecting by rows and time, holding back when the database is slow, acknowledging what is stored."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from domain.settings import Settings
from domain.wire import up_topic
from ingest import batch, inbox, mqtt
from ingest.inbox import Inbox, Incoming
from ingest.resolve import Arrival
from ingest.store import ALL_KEPT, Outcome

AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)


def observations(first: int, many: int = 1) -> bytes:
    times = [(AT + timedelta(seconds=n)).isoformat() for n in range(first, first + many)]
    body = [{"datastream": "rain", "phenomenon_time": at, "result": 1} for at in times]
    return json.dumps({"observations": body}).encode()


def unheard(_: Outcome) -> None:
    """Whoever sent it does not care."""


def incoming(number: int, many: int = 1) -> Incoming:
    return Incoming(up_topic(f"st-{number}", "observation"), observations(number, many), AT, unheard)


def filled(*messages: Incoming) -> Inbox:
    made = Inbox()
    for message in messages:
        made.put(message)
    return made


def senders(collected: list[tuple[Incoming, Arrival]]) -> list[int]:
    return [int(message.topic.split("/")[3].removeprefix("st-")) for message, _ in collected]


def test_a_batch_ends_with_what_is_there() -> None:
    filled_box = filled(*(incoming(n) for n in range(5)))
    assert senders(batch.collect(filled_box, 1000, 0)) == [0, 1, 2, 3, 4]


def test_a_batch_ends_with_its_rows_and_the_rest_waits() -> None:
    filled_box = filled(incoming(0, 30), incoming(1, 30), incoming(2, 30), incoming(3))
    assert senders(batch.collect(filled_box, 50, 0)) == [0, 1]
    assert senders(batch.collect(filled_box, 50, 0)) == [2, 3]
    assert filled_box.messages.empty()


def test_payloads_without_rows_count_too() -> None:
    garbage = [Incoming("$dp", b"?", AT, unheard)] * 9
    assert len(batch.collect(filled(*garbage), 5, 0)) == 5


def test_what_comes_within_the_time_is_in_the_batch() -> None:
    filled_box = filled(incoming(0))
    timer = threading.Timer(0.05, filled_box.messages.put, [incoming(1)])
    timer.start()
    assert senders(batch.collect(filled_box, 1000, 0.5)) == [0, 1]
    timer.join()


def test_an_idle_inbox_gives_an_empty_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "IDLE_S", 0.01)
    assert batch.collect(Inbox(), 1000, 0) == []


def test_only_messages_of_this_connection_are_acknowledged() -> None:
    """After a reconnection the broker may have given the number of an old message to another one."""
    ours, theirs = socket.socketpair()
    door = mqtt.Door(broker=urlsplit("mqtt://nowhere"), client_id="x", inbox=Inbox(), sock=ours, connection=7)
    with ours, theirs:
        door.acknowledge(1, 6, ALL_KEPT)
        door.acknowledge(2, 7, ALL_KEPT)
        door.acknowledge(513, 7, ALL_KEPT)
        door.flush()
        assert theirs.recv(100) == b"\x40\x02\x00\x02\x40\x02\x02\x01"
        door.flush()
        door.tell("st-a", {"id": "1"})
        assert theirs.recv(1) == b"\x32", "an acknowledgement was sent twice"


@pytest.fixture
def publisher(broker: str) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(str(urlsplit(broker).hostname), int(urlsplit(broker).port or 1883))
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def test_a_slow_database_stops_the_reading_and_nothing_is_lost(
    registered_url: str, broker: str, publisher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(observations(0)) + inbox.OVERHEAD
    monkeypatch.setattr(inbox, "WAITING", 20 * size)
    settings = Settings(state=Path(), mqtt_url=broker, batch_rows=10)
    box, stop, subscribed = Inbox(), threading.Event(), threading.Event()
    monkeypatch.setattr(mqtt, "check_subscribed", lambda *_: subscribed.set())
    with psycopg.connect(registered_url, autocommit=True) as conn, psycopg.connect(registered_url) as other:
        door = mqtt.connect(settings.broker(), f"ingest-{uuid4().hex[:8]}", box)
        run = threading.Thread(target=batch.run, args=(conn, box, door, settings, stop))
        other.execute("LOCK TABLE observation IN ACCESS EXCLUSIVE MODE")
        run.start()
        assert subscribed.wait(30)
        for info in [
            publisher.publish(up_topic("st-a", "observation"), observations(n), 1) for n in range(300)
        ]:
            info.wait_for_publish(30)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert box.messages.qsize() <= 20, "more is read than may wait"
            time.sleep(0.01)
        assert (box.messages.qsize(), box.waiting) == (20, 20 * size)
        other.rollback()
        end = time.monotonic() + 30
        while conn_count(registered_url) < 300 and time.monotonic() < end:
            time.sleep(0.05)
        stop.set()
        run.join(30)
        door.close()
    assert conn_count(registered_url) == 300
    assert box.waiting == 0


def conn_count(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT count(*) FROM observation").fetchone()
        return int(row[0]) if row else 0


def test_a_full_inbox_lets_go_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "WAITING", 0)
    box = Inbox()
    reading = threading.Thread(target=box.put, args=(incoming(1),))
    reading.start()
    reading.join(0.05)
    assert reading.is_alive()
    box.closed.set()
    reading.join(10)
    assert not reading.is_alive()


def test_a_door_in_a_hurry_is_told_that_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "WAITING", 0)
    assert not Inbox().put(incoming(1), patience_s=0.01)
