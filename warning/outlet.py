"""The way out to the broker: one connection of the process, and batches that wait to be acknowledged."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from domain.settings import Settings

log = logging.getLogger(__name__)

KEEPALIVE_S = 15

#: a broker that has not acknowledged a batch within this time is taken for dead
ACKNOWLEDGED_WITHIN_S = 5.0

#: s until what a phone has not answered is sent again, by the number of times that it was sent before; the
#: last one goes on. They grow, because the broker keeps every repeat for a phone that is offline.
AGAIN_S = (15, 60, 300, 900)


def connect(settings: Settings) -> Client:
    """Return a client that connects in the background, and again whenever the connection is lost.

    ValueError when the broker's address cannot be read. The caller ends it with `disconnect` and `loop_stop`.
    """
    url = settings.broker()
    client = Client(CallbackAPIVersion.VERSION2, f"liupan-warning-{uuid4().hex[:8]}", userdata=0)
    if url.username:
        client.username_pw_set(unquote(url.username), unquote(url.password or ""))
    if url.scheme == "mqtts":
        client.tls_set()
    client.max_inflight_messages_set(1000)
    client.reconnect_delay_set(min_delay=1, max_delay=2)
    client.on_connect = _log_connect
    client.on_disconnect = _log_disconnect
    client.connect_async(
        url.hostname or "", url.port or (8883 if url.scheme == "mqtts" else 1883), KEEPALIVE_S
    )
    client.loop_start()
    return client


@dataclass(slots=True, kw_only=True)
class Outlet:
    """One batch of messages on its way to the broker: publish each, then wait for all."""

    client: Client
    waiting: list[MQTTMessageInfo] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1 without waiting; ConnectionError when there is no broker."""
        if not self.client.is_connected():
            raise ConnectionError("not connected to the broker")
        self.waiting.append(self.client.publish(topic, payload, qos=1, retain=retain))

    def settle(self) -> None:
        """Wait until the broker has acknowledged everything; TimeoutError when it does not.

        paho sends again by itself when the connection comes back within that time. After it the connection
        is cut and what was not acknowledged is dropped: the event log sends it again, and nothing stale is
        left to overtake it.
        """
        deadline = time.monotonic() + ACKNOWLEDGED_WITHIN_S
        for info in self.waiting:
            info.wait_for_publish(max(0.0, deadline - time.monotonic()))
        missing = sum(not info.is_published() for info in self.waiting)
        if missing:
            self.client.drop_out_messages()
            _cut(self.client)
            raise TimeoutError(
                f"the broker did not acknowledge {missing} of {len(self.waiting)} messages"
                f" within {ACKNOWLEDGED_WITHIN_S:.0f} s"
            )


def when_connected(client: Client) -> Callable[[], list[int] | None]:
    """Return, for `domain.flow.consume`, what can be worked on: everything with a broker, nothing without.

    So an event waits for a broker that is away, and none of its tries is wasted on it.
    """
    return lambda: None if client.is_connected() else []


def again_s(tries: int) -> int:
    """Return after how many seconds to send again what was sent `tries` times before this one."""
    return AGAIN_S[min(tries, len(AGAIN_S) - 1)]


def connections(client: Client) -> int:
    """Return how many times the client has been connected."""
    return int(client.user_data_get())


def _cut(client: Client) -> None:
    if isinstance(sock := client.socket(), socket.socket):
        sock.shutdown(socket.SHUT_RDWR)  # paho's own thread notices and connects anew


def _log_connect(
    client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
) -> None:
    if reason.is_failure:
        log.error("the broker at %s:%s refused the connection: %s", client.host, client.port, reason)
    else:
        client.user_data_set(userdata + 1)
        log.info("connected to the broker at %s:%s", client.host, client.port)


def _log_disconnect(client: Client, userdata: Any, *_: Any) -> None:
    log.warning("lost the broker at %s:%s", client.host, client.port)
