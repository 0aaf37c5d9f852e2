"""The connection to the broker: a lasting session of a fixed name, every codec's topic subscribed by name."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple
from urllib.parse import SplitResult, unquote

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.codecs import dr, load

log = logging.getLogger(__name__)

KEEPALIVE_S = 30
#: `stored` messages on their way to the broker at a time
IN_FLIGHT = 1000
#: while messages of this size (bytes) wait for the database nothing is read: more wait at the broker
WAITING = 16_000_000
#: what a message needs beside its payload, about (bytes)
OVERHEAD = 1000
#: how long a full inbox is left alone (s)
PAUSE_S = 0.005


class Incoming(NamedTuple):
    """A message, and what its acknowledgement needs; `mid` names it on this connection only."""

    topic: str
    payload: bytes
    received_at: datetime
    mid: int
    qos: int
    connection: int


@dataclass(slots=True)
class Inbox:
    """Messages on their way from the network thread to the database; when full, it stops that thread."""

    messages: SimpleQueue[Incoming] = field(default_factory=SimpleQueue)
    connection: int = 0
    closed: Event = field(default_factory=Event)
    #: size (bytes) of all that ever came in, written by the network thread, and went out, by the other one
    size_in: int = 0
    size_out: int = 0

    @property
    def waiting(self) -> int:
        """Size of the messages that wait (bytes)."""
        return self.size_in - self.size_out

    def take(self, timeout_s: float) -> Incoming:
        """Return the oldest message, waiting for one that long; queue.Empty when there is none."""
        incoming = self.messages.get(timeout=timeout_s)
        self.size_out += len(incoming.payload) + OVERHEAD
        return incoming

    def on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        """Let the message in, when there is room; a retained reply is an old one, told again to all."""
        if message.retain and message.topic == dr.TOPIC:
            log.info("a retained reply on %s is ignored", message.topic)
            client.ack(message.mid, message.qos)
            return
        while self.waiting >= WAITING and not self.closed.is_set():
            time.sleep(PAUSE_S)
        self.size_in += len(message.payload) + OVERHEAD
        at, payload = datetime.now(UTC), bytes(message.payload)
        self.messages.put(Incoming(message.topic, payload, at, message.mid, message.qos, self.connection))

    def on_disconnect(self, *_: object) -> None:
        """Count connections: after a lost one the broker sends again what it has no acknowledgement of."""
        self.connection += 1
        if not self.closed.is_set():
            log.warning("lost the broker")


def connect(broker: SplitResult, client_id: str, inbox: Inbox) -> Client:
    """Return a client that fills the inbox; it connects in the background, and again when it was cut off.

    It acknowledges only what it is told to. The broker keeps a session for `client_id`: what comes while
    nobody is connected waits there. The caller ends it with `disconnect` and `loop_stop`.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True)
    if broker.username:
        client.username_pw_set(unquote(broker.username), unquote(broker.password or ""))
    if broker.scheme == "mqtts":
        client.tls_set()
    client.max_inflight_messages_set(IN_FLIGHT)
    client.reconnect_delay_set(min_delay=1, max_delay=2)
    client.on_connect, client.on_subscribe = _subscribe, _check_subscribed
    client.on_message, client.on_disconnect = inbox.on_message, inbox.on_disconnect
    client.connect_async(
        broker.hostname or "", broker.port or (8883 if broker.scheme == "mqtts" else 1883), KEEPALIVE_S
    )
    client.loop_start()
    return client


def _topics() -> list[str]:
    return [codec.topic for codec in load().values()]


def _subscribe(
    client: Client, _: object, flags: ConnectFlags, code: ReasonCode, __: Properties | None
) -> None:
    if code.is_failure:
        log.error("the broker refuses the connection: %s", code)
        return
    log.info("connected to the broker, %s", "session goes on" if flags.session_present else "new session")
    client.subscribe([(topic, 1) for topic in _topics()])


def _check_subscribed(
    _: Client, __: object, ___: int, codes: list[ReasonCode], ____: Properties | None
) -> None:
    refused = [topic for topic, code in zip(_topics(), codes, strict=True) if code.is_failure]
    if refused:
        log.error("the broker refuses the subscription to %s", ", ".join(refused))
    log.info("listening to %s", ", ".join(topic for topic in _topics() if topic not in refused))
