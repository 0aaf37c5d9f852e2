"""The connection to the broker: a lasting session of a fixed name, every codec's topic subscribed by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import SplitResult, unquote

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from domain.wire import down_topic, encode
from ingest.codecs import PSEUDO, dr, load
from ingest.inbox import Inbox, Incoming
from ingest.store import Outcome

log = logging.getLogger(__name__)

KEEPALIVE_S = 30
#: `stored` messages on their way to the broker at a time
IN_FLIGHT = 1000


@dataclass(slots=True)
class Door:
    """The side of ingest that faces the broker; `connection` counts connections."""

    client: Client
    inbox: Inbox
    connection: int = 0

    def on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        """Let the message in, when there is room; this thread waits for it, and more wait at the broker.

        A retained reply is an old one, told again to all.
        """
        if message.retain and message.topic == dr.TOPIC:
            log.info("a retained reply on %s is ignored", message.topic)
            client.ack(message.mid, message.qos)
            return
        done = partial(self.acknowledge, message.mid, message.qos, self.connection)
        self.inbox.put(Incoming(message.topic, bytes(message.payload), datetime.now(UTC), done))

    def on_disconnect(self, *_: object) -> None:
        """Count: after a lost connection the broker sends again what it has no acknowledgement of."""
        self.connection += 1
        if not self.inbox.closed.is_set():
            log.warning("lost the broker")

    def acknowledge(self, mid: int, qos: int, connection: int, _outcome: Outcome) -> None:
        """Tell the broker that the message is kept, if it came on the connection of now."""
        if connection == self.connection:
            self.client.ack(mid, qos)

    def tell(self, device: str, stored: Mapping[str, object]) -> None:
        """Tell the phone what became of a message that had an id."""
        self.client.publish(down_topic(device, "stored"), encode(stored), qos=1)

    def close(self) -> None:
        """Let go of the broker and of whoever waits for room."""
        self.inbox.closed.set()
        self.client.disconnect()
        self.client.loop_stop()


def connect(broker: SplitResult, client_id: str, inbox: Inbox) -> Door:
    """Return a door that fills the inbox; it connects in the background, and again when it was cut off.

    It acknowledges only what it is told to. The broker keeps a session for `client_id`: what comes while
    nobody is connected waits there. The caller closes it.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True)
    if broker.username:
        client.username_pw_set(unquote(broker.username), unquote(broker.password or ""))
    if broker.scheme == "mqtts":
        client.tls_set()
    client.max_inflight_messages_set(IN_FLIGHT)
    client.reconnect_delay_set(min_delay=1, max_delay=2)
    client.on_connect, client.on_subscribe = _subscribe, _check_subscribed
    door = Door(client, inbox)
    client.on_message, client.on_disconnect = door.on_message, door.on_disconnect
    client.connect_async(
        broker.hostname or "", broker.port or (8883 if broker.scheme == "mqtts" else 1883), KEEPALIVE_S
    )
    client.loop_start()
    return door


def _topics() -> list[str]:
    topics = [topic for codec in load().values() for topic in codec.topics]
    return [topic for topic in topics if not topic.startswith(PSEUDO)]


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
