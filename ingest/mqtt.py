"""The door to the broker: a lasting session of a fixed name, every codec's topic subscribed by name.

A client library makes several system calls for each message, and each gives the interpreter's lock away while
the other thread decodes. Here a thread reads what there is in one piece, and a batch is acknowledged in one;
what was measured stands in docs/decisions.md.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from urllib.parse import SplitResult, unquote

from domain.wire import down_topic, encode
from ingest import packets
from ingest.codecs import PSEUDO, dr, load
from ingest.inbox import Inbox, Incoming
from ingest.store import Outcome

log = logging.getLogger(__name__)

#: what the broker is promised (s), and how long we are silent before we say that we are there
KEEPALIVE_S, PING_S = 30, 15.0
#: a broker that takes or says nothing for so long (s) is gone
DEAD_S = 45.0
#: how long to wait before connecting again (s), and between two looks at the clock
AGAIN_S, LOOK_S = 1.0, 1.0
READ = 1 << 18
#: `stored` messages that wait for the broker's acknowledgement; older ones give way, phones ask again
UNACKNOWLEDGED = 10_000


@dataclass(slots=True, kw_only=True)
class Door:
    """The side of ingest that faces the broker; `connection` counts connections."""

    broker: SplitResult
    client_id: str
    inbox: Inbox
    connection: int = 0
    sock: socket.socket | None = None
    #: bytes are written, and an encrypted connection is read, by one thread at a time
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    #: messages of the batch that the broker is to hear of
    done: list[tuple[int, int]] = field(default_factory=list)
    told: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    mids: count[int] = field(default_factory=lambda: count(1))
    heard_s: float = 0.0
    said_s: float = 0.0
    #: the begin of a packet whose end has not come yet
    rest: bytes = b""

    def acknowledge(self, mid: int, connection: int, _outcome: Outcome) -> None:
        """Note that the message is kept: the broker hears at `flush`."""
        self.done.append((mid, connection))

    def tell(self, device: str, stored: Mapping[str, object]) -> None:
        """Tell the phone what became of a message that had an id; again until the broker acknowledges it."""
        mid = next(self.mids) % 0xFFFF + 1
        self.told[mid] = said = down_topic(device, "stored"), encode(stored)
        if len(self.told) > UNACKNOWLEDGED:
            for oldest in list(self.told)[:-UNACKNOWLEDGED]:
                self.told.pop(oldest, None)  # the reading thread pops too
        self._send(packets.publish(*said, mid))

    def flush(self) -> None:
        """Acknowledge a batch, as far as it came on the connection of now: on another one the broker may have
        given the number to another message.
        """
        with self.lock:
            self._write(packets.puback([mid for mid, on in self.done if on == self.connection]))
        self.done.clear()

    def close(self) -> None:
        """Let go of the broker and of whoever waits for room."""
        self.inbox.closed.set()
        self._send(packets.DISCONNECT)
        with self.lock:
            if self.sock is not None:
                with suppress(OSError):  # wakes the thread, which then ends
                    self.sock.shutdown(socket.SHUT_RDWR)
        if self.thread:
            self.thread.join()

    def run(self) -> None:
        """Stay connected until closed."""
        while not self.inbox.closed.is_set():
            try:
                self._connect()
                while not self.inbox.closed.is_set():
                    self._turn()
            except (OSError, ValueError) as error:
                if not self.inbox.closed.is_set():
                    log.warning("lost the broker: %s", error)
            self._drop()
            self.inbox.closed.wait(AGAIN_S)

    def _connect(self) -> None:
        url, secure = self.broker, self.broker.scheme == "mqtts"
        place = (url.hostname or "", url.port or (8883 if secure else 1883))
        sock = socket.create_connection(place, DEAD_S)
        try:
            if secure:
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=url.hostname)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            goes_on = self._greet(sock)
        except BaseException:
            sock.close()
            raise
        log.info("connected to the broker, %s", "session goes on" if goes_on else "new session")
        self.heard_s = self.said_s = time.monotonic()
        self.sock, self.rest = sock, b""
        self._send(packets.subscribe(topics()))
        for mid, said in list(self.told.items()):
            self._send(packets.publish(*said, mid, again=True))

    def _greet(self, sock: socket.socket) -> bool:
        """Open the session; tell whether there was one. ConnectionRefusedError: the broker says no."""
        user, password = (unquote(part or "") for part in (self.broker.username, self.broker.password))
        sock.sendall(packets.connect(self.client_id, user, password, KEEPALIVE_S))
        answer = sock.recv(4)
        if len(answer) < 4 or answer[3]:
            known = len(answer) == 4 and answer[3] < len(packets.REASONS)
            reason = packets.REASONS[answer[3]] if known else "no answer"
            raise ConnectionRefusedError(f"the broker refuses the connection: {reason}")
        return bool(answer[2] & 1)

    def _turn(self) -> None:
        """Read once, and let in what came."""
        self._keep_alive()
        sock = self.sock
        if sock is None:
            raise ConnectionError("the connection is closed")
        waiting = isinstance(sock, ssl.SSLSocket) and sock.pending()
        if not waiting and not select.select([sock], [], [], LOOK_S)[0]:
            return
        if isinstance(sock, ssl.SSLSocket):
            with self.lock:
                data = sock.recv(READ)
        else:
            data = sock.recv(READ)
        if not data:
            raise ConnectionError("it has hung up")
        self.heard_s = time.monotonic()
        data = self.rest + data
        read, at, connection = 0, datetime.now(UTC), self.connection
        for kind, begin, end in packets.split(data):
            read = end
            if kind & 0xF0 == packets.PUBLISH:
                self._let_in(packets.message(data, kind, begin, end), at, connection)
            elif kind == packets.PUBACK:
                self.told.pop(int.from_bytes(data[begin:end], "big"), None)
            elif kind == packets.SUBACK:
                check_subscribed(data[begin + 2 : end])
        self.rest = data[read:]

    def _let_in(self, message: packets.Message, at: datetime, connection: int) -> None:
        """Let the message in, when there is room: meanwhile nothing is read, and more wait at the broker.

        A retained reply is an old one, told again to all.
        """
        if message.retain and message.topic == dr.TOPIC:
            log.info("a retained reply on %s is ignored", message.topic)
            self._send(packets.puback([message.mid]) if message.mid else b"")
            return
        done = partial(self.acknowledge, message.mid, connection) if message.mid else nobody
        incoming = Incoming(message.topic, message.payload, at, done)
        while not self.inbox.put(incoming, LOOK_S):
            self.heard_s = time.monotonic()  # it is us who do not listen
            self._keep_alive()

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self.heard_s > DEAD_S:
            raise ConnectionError(f"it has said nothing for {DEAD_S:.0f} s")
        if now - self.said_s > PING_S:
            self._send(packets.PINGREQ)

    def _send(self, data: bytes) -> None:
        """Send, or leave it to the next connection: what the broker did not get, it asks for again."""
        with self.lock:
            self._write(data)

    def _write(self, data: bytes) -> None:
        """Write what there is; the caller holds the lock."""
        if self.sock is None or not data:
            return
        try:
            self.sock.sendall(data)
            self.said_s = time.monotonic()
        except OSError as error:
            log.warning("the broker takes nothing: %s", error)
            with suppress(OSError):  # the reading thread notices and connects anew
                self.sock.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        with self.lock:
            self.connection += 1
            if self.sock is not None:
                with suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
                self.sock.close()
                self.sock = None


def connect(broker: SplitResult, client_id: str, inbox: Inbox) -> Door:
    """Return a door that fills the inbox; it connects in the background, and again when it was cut off.

    It acknowledges only what it is told to. The broker keeps a session for `client_id`: what comes while
    nobody is connected waits there. The caller closes it.
    """
    door = Door(broker=broker, client_id=client_id, inbox=inbox)
    door.thread = threading.Thread(target=door.run, name="mqtt", daemon=True)
    door.thread.start()
    return door


def nobody(_outcome: Outcome) -> None:
    """Tell nobody: the message wanted no acknowledgement."""


def topics() -> list[str]:
    """Return the filters of all codecs that read MQTT."""
    every = [topic for codec in load().values() for topic in codec.topics]
    return [topic for topic in every if not topic.startswith(PSEUDO)]


def check_subscribed(codes: bytes) -> None:
    """Say in the log what is listened to, and what the broker refuses."""
    refused = [topic for topic, code in zip(topics(), codes, strict=True) if code == packets.REFUSED]
    if refused:
        log.error("the broker refuses the subscription to %s", ", ".join(refused))
    log.info("listening to %s", ", ".join(topic for topic in topics() if topic not in refused))
