"""The door to the broker: refused, hung up on, told nothing; what it owes is said again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ingest import mqtt, packets
from ingest.inbox import Inbox
from ingest.store import ALL_KEPT


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(20)
        yield made


@pytest.fixture
def door(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[mqtt.Door]:
    monkeypatch.setattr(mqtt, "AGAIN_S", 0.05)
    monkeypatch.setattr(mqtt, "LOOK_S", 0.05)
    made = mqtt.connect(urlsplit(f"mqtt://127.0.0.1:{listener.getsockname()[1]}"), "door", Inbox())
    yield made
    made.close()


def accept(listener: socket.socket, answer: bytes = b"\x20\x02\0\0") -> socket.socket:
    """Return the next connection, its CONNECT read and answered."""
    sock, _ = listener.accept()
    sock.settimeout(20)
    assert sock.recv(1000).startswith(b"\x10")
    sock.sendall(answer)
    return sock


def read(sock: socket.socket, what: bytes) -> bytes:
    """Return what comes until it holds this."""
    data = b""
    while what not in data:
        more = sock.recv(1 << 16)
        assert more, f"the door hung up after {data!r}"
        data += more
    return data


def test_it_subscribes_and_acknowledges_what_is_stored(listener: socket.socket, door: mqtt.Door) -> None:
    with accept(listener) as broker:
        assert b"\x03$dp\x01" in read(broker, b"$dp")
        broker.sendall(packets.publish("$dp", b"{}", 513) + b"\x30\x07\0\x03$dp\x31\x32")
        first, second = door.inbox.take(20), door.inbox.take(20)
        assert [(each.topic, each.payload) for each in (first, second)] == [("$dp", b"{}"), ("$dp", b"12")]
        first.done(ALL_KEPT)
        second.done(ALL_KEPT)
        door.flush()
        assert read(broker, b"\x40").endswith(b"\x40\x02\x02\x01"), "only what wants it is acknowledged"


def test_after_a_lost_connection_only_the_new_one_is_acknowledged_and_what_is_owed_is_said_again(
    listener: socket.socket, door: mqtt.Door
) -> None:
    with accept(listener) as broker:
        read(broker, b"$dp")
        door.tell("ph-1", {"id": "a"})
        read(broker, b'{"id":"a"}')
        broker.sendall(packets.publish("$dp", b"old", 1))
        old = door.inbox.take(20)
    with accept(listener) as broker:
        again = read(broker, b'{"id":"a"}')
        assert b"\x3a" in again, "it is not marked as sent before"
        broker.sendall(packets.puback([int.from_bytes(again[-12:-10], "big")]))
        broker.sendall(packets.publish("$dp", b"new", 2))
        new = door.inbox.take(20)
        old.done(ALL_KEPT)
        new.done(ALL_KEPT)
        door.flush()
        assert read(broker, b"\x40") == b"\x40\x02\0\x02"
        assert door.told == {}
    with accept(listener) as broker:
        assert b'{"id"' not in read(broker, b"$dp")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x20\x02\0\x04", "bad user name or password"),
        (b"\x20\x02\0\x05", "not authorized"),
        (b"\x20\x02\0\x63", "no answer"),
        (b"", "no answer"),
    ],
)
def test_a_refusal_is_said_and_tried_again(
    listener: socket.socket, door: mqtt.Door, answer: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    accept(listener, answer).close()
    with accept(listener) as broker:
        read(broker, b"$dp")
    assert f"refuses the connection: {reason}" in caplog.text


@pytest.mark.parametrize("said", [b"\x30\xff\xff\xff\xff\x01", b"\x30\x03\0\x01\xff"])
def test_a_broker_that_talks_nonsense_is_left(
    listener: socket.socket, door: mqtt.Door, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with accept(listener) as broker:
        read(broker, b"$dp")
        broker.sendall(said)
        with accept(listener) as next_one:
            read(next_one, b"$dp")
    assert "lost the broker" in caplog.text


def test_a_broker_that_says_nothing_is_asked_and_then_left(
    listener: socket.socket, door: mqtt.Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with accept(listener) as sock:
        read(sock, b"$dp")
        monkeypatch.setattr(mqtt, "PING_S", 0.1)
        monkeypatch.setattr(mqtt, "DEAD_S", 0.5)
        assert packets.PINGREQ in read(sock, packets.PINGREQ)
        with accept(listener) as broker:
            read(broker, b"$dp")


def test_what_is_owed_is_bounded_and_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "UNACKNOWLEDGED", 3)
    door = mqtt.Door(broker=urlsplit("mqtt://nowhere"), client_id="x", inbox=Inbox())
    for number in range(5):
        door.tell("ph-1", {"id": str(number)})
    assert [payload for _, payload in door.told.values()] == [b'{"id":"2"}', b'{"id":"3"}', b'{"id":"4"}']


def test_refused_subscriptions_are_named(caplog: pytest.LogCaptureFixture) -> None:
    codes = bytes(packets.REFUSED if topic == "$dp" else 1 for topic in mqtt.topics())
    mqtt.check_subscribed(codes)
    assert "the broker refuses the subscription to $dp" in caplog.text


def test_closing_ends_its_thread(listener: socket.socket, door: mqtt.Door) -> None:
    with accept(listener) as broker:
        read(broker, b"$dp")
        threading.Timer(0.05, door.close).start()
        while broker.recv(1 << 16):
            pass
        assert door.thread is not None
        door.thread.join(20)
        assert not door.thread.is_alive()
