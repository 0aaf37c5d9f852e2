"""Saying messages over MQTT when they are due: the simulator and the replay share this publisher."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from queue import Empty, SimpleQueue
from urllib.parse import SplitResult

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

#: at most this many messages wait for the broker's acknowledgement
WINDOW = 500
#: a broker that acknowledges nothing for this long (s) is given up
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to be said: when, on which topic, which bytes."""

    at: datetime
    topic: str
    payload: bytes


#: messages in the order of their times
Script = Iterator[Message]
#: answers to a message that came from the platform: (topic, payload, now) -> what is said next
React = Callable[[str, bytes, datetime], Script]


@dataclass
class Line:
    """A connection to the broker that counts what it was asked to say and what the broker has taken."""

    client: Client
    heard: SimpleQueue[tuple[str, bytes]] = field(default_factory=SimpleQueue)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WINDOW))
    said: int = 0
    taken: int = 0

    def say(self, message: Message, *, qos: int = 1, retain: bool = False) -> None:
        """Publish, waiting while the window is full; TimeoutError when the broker stays silent."""
        if not self.room.acquire(timeout=PATIENCE_S):
            raise TimeoutError(f"the broker has acknowledged nothing for {PATIENCE_S:.0f} s")
        self.client.publish(message.topic, message.payload, qos=qos, retain=retain)
        self.said += 1

    def close(self) -> None:
        """Wait until the broker has taken everything, then hang up; TimeoutError when it does not."""
        waited_since, taken = time.monotonic(), self.taken
        while self.taken < self.said:
            time.sleep(0.01)
            if self.taken > taken:
                waited_since, taken = time.monotonic(), self.taken
            if time.monotonic() - waited_since > PATIENCE_S:
                raise TimeoutError(f"{self.said - self.taken} messages were not taken by the broker")
        self.client.disconnect()
        self.client.loop_stop()


def connect(broker: SplitResult, name: str, listen: Sequence[str] = ()) -> Line:
    """Return a line to the broker that listens on these topics; ConnectionError when nobody answers.

    The session is clean: what the simulated phones miss while they are away, they miss.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=True)
    client.max_inflight_messages_set(WINDOW)
    if broker.username:
        client.username_pw_set(broker.username, broker.password)
    if broker.scheme == "mqtts":
        client.tls_set()
    line, ready = Line(client), threading.Event()

    def on_connect(
        client: Client, userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            log.error("the broker refuses %s: %s", name, code)
            return
        if listen:
            client.subscribe([(topic, 1) for topic in listen])
        else:
            ready.set()

    def on_publish(*_: object) -> None:
        line.taken += 1
        line.room.release()

    def on_message(client: Client, userdata: object, message: MQTTMessage) -> None:
        line.heard.put((message.topic, bytes(message.payload)))

    client.on_connect, client.on_publish, client.on_message = on_connect, on_publish, on_message
    client.on_subscribe = lambda *_: ready.set()
    port = broker.port or (8883 if broker.scheme == "mqtts" else 1883)
    try:
        client.connect(broker.hostname or "", port)
    except OSError as error:
        raise ConnectionError(f"no broker answers at {broker.hostname}:{port}: {error}") from error
    client.loop_start()
    if not ready.wait(10):
        client.loop_stop()
        raise ConnectionError(f"the broker at {broker.hostname}:{port} does not let {name} in")
    return line


def play(line: Line, scripts: Sequence[Script], react: React, linger_s: float = 0.0) -> None:
    """Say the messages of all scripts when they are due by the clock, and whatever `react` answers.

    Returns when all scripts have ended and nothing was heard or said for `linger_s`.
    """
    order, waiting = count(), list[tuple[datetime, int, Message, Script]]()

    def take(script: Script) -> None:
        if (message := next(script, None)) is not None:
            heapq.heappush(waiting, (message.at, next(order), message, script))

    for script in scripts:
        take(script)
    quiet_since = time.monotonic()
    while waiting or time.monotonic() - quiet_since < linger_s:
        pause = (waiting[0][0] - datetime.now(UTC)).total_seconds() if waiting else 0.2
        try:
            topic, payload = line.heard.get(timeout=max(0.0, min(pause, 0.2)))
        except Empty:
            if not waiting or pause > 0:
                continue
            _, _, message, script = heapq.heappop(waiting)
            line.say(message)
            take(script)
        else:
            take(react(topic, payload, datetime.now(UTC)))
        quiet_since = time.monotonic()
