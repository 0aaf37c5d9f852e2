"""The connections of stations: read, handed over frame by frame, answered when stored; each bounded."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from selectors import EVENT_READ, EVENT_WRITE

from ingest.codecs._sl651_packets import Waiting, late
from ingest.inbox import Inbox, Incoming
from ingest.protocols import Protocol
from ingest.store import Outcome

log = logging.getLogger(__name__)

#: connections at a time; one more takes the place of the one that has been silent for longest
LINES = 500
#: who is silent for so long (s) is cut off
IDLE_S = 600.0
#: bytes read at a time; bytes of one connection that may wait for the database, and for its own reading
PIECE, OWED, UNREAD = 4096, 1_000_000, 65_536
#: bytes of packets that may wait on all connections for the rest of their texts
PACKETS = 64_000_000
#: after so many bytes that are no frame, or broken frames, in a row nobody speaks the protocol here
GARBAGE, BROKEN = 65_536, 10
#: rest (s) after a connection that could not be taken in, as when too many files are open
PAUSE_S = 0.05


@dataclass(slots=True, eq=False)
class Line:
    """A connection, and all that waits on its two sides."""

    sock: socket.socket
    peer: str
    protocol: Protocol
    heard_s: float
    rest: bytes = b""
    unsent: bytes = b""
    waiting: Waiting = field(default_factory=Waiting)
    #: bytes that wait for the database
    owed: int = 0
    #: bytes and frames since the last sound frame that were none
    garbage: int = 0
    broken: int = 0
    #: the station has said all it wants to say
    ended: bool = False
    watched: int = 0


@dataclass(slots=True, kw_only=True)
class Door:
    """The side of ingest that faces the stations; all of it belongs to one thread but `stored`."""

    inbox: Inbox
    selector: selectors.BaseSelector
    #: a byte through this pair of sockets wakes the thread
    waker: socket.socket
    woken: socket.socket
    lines: set[Line] = field(default_factory=set)
    answers: SimpleQueue[tuple[Line, bytes]] = field(default_factory=SimpleQueue)

    def accept(self, listening: socket.socket, protocol: Protocol) -> None:
        """Take a new connection in, in place of the most silent one when there are too many."""
        try:
            sock, address = listening.accept()
        except OSError as error:
            log.warning("a station could not connect: %s", error)
            time.sleep(PAUSE_S)
            return
        sock.setblocking(False)
        line = Line(sock, f"{address[0]}:{address[1]}", protocol, time.monotonic())
        if len(self.lines) >= LINES:
            self.close(min(self.lines, key=lambda each: each.heard_s), "a new connection needs its place")
        self.lines.add(line)
        self.watch(line)

    def watch(self, line: Line) -> None:
        """Wait for what can be done with the connection: read, unless too much of it waits, and write."""
        wanted = EVENT_WRITE if line.unsent else 0
        if not line.ended and line.owed < OWED:
            wanted |= EVENT_READ
        if wanted and line.watched:
            self.selector.modify(line.sock, wanted, line)
        elif wanted:
            self.selector.register(line.sock, wanted, line)
        elif line.watched:
            self.selector.unregister(line.sock)
        line.watched = wanted

    def read(self, line: Line) -> None:
        """Read one piece, and hand over the frames that end in it."""
        try:
            piece = line.sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            return self.close(line, str(error))
        if not piece:
            line.ended = True
            return self.settle(line)
        line.heard_s = time.monotonic()
        buffer = line.rest + piece
        frames, line.rest = line.protocol.split(buffer)
        line.garbage += len(buffer) - len(line.rest) - sum(map(len, frames))
        for frame in frames:
            if line.protocol.is_sound(frame):
                line.garbage = line.broken = 0
            else:
                line.broken += 1
            payloads, reply = line.protocol.join(line.waiting, frame, line.heard_s)
            line.unsent += reply
            self.hand_over(line, payloads)
            if line.waiting.size and sum(each.waiting.size for each in self.lines) > PACKETS:
                self.hand_over(line, late(line.waiting, line.heard_s, 0))
            if line.broken >= BROKEN:
                break
        if line.garbage >= GARBAGE or line.broken >= BROKEN:
            return self.close(line, f"it does not speak {line.protocol.name}")
        self.settle(line)

    def hand_over(self, line: Line, payloads: list[bytes]) -> None:
        """Put payloads into the inbox; when it is full all stations wait, as the database is behind."""
        for payload in payloads:
            topic = f"tcp/{line.protocol.name}/{line.protocol.station_of(payload)}"
            line.owed += len(payload)
            done = partial(self.stored, line, payload)
            self.inbox.put(Incoming(topic, payload, datetime.now(UTC), done))

    def stored(self, line: Line, payload: bytes, _outcome: Outcome) -> None:
        """Have the payload answered; called by the storing thread, after the commit, wherever it is kept."""
        self.answers.put((line, payload))
        with suppress(OSError):  # it is awake already, or gone
            self.waker.send(b"\0")

    def answer(self) -> None:
        """Answer what has been stored."""
        with suppress(BlockingIOError):
            self.woken.recv(PIECE)
        with suppress(Empty):
            while True:
                line, payload = self.answers.get_nowait()
                line.owed -= len(payload)
                if line in self.lines:
                    line.unsent += line.protocol.answer(payload)
                    self.settle(line)

    def settle(self, line: Line) -> None:
        """Send what can be sent, and end a connection that is done or does not listen."""
        try:
            while line.unsent and (sent := line.sock.send(line.unsent)):
                line.unsent = line.unsent[sent:]
        except BlockingIOError:
            pass
        except OSError as error:
            return self.close(line, str(error))
        if len(line.unsent) > UNREAD:
            return self.close(line, "it does not read its answers")
        if line.ended and not line.owed and not line.unsent:
            return self.close(line, "")
        self.watch(line)

    def sweep(self, now_s: float) -> None:
        """Cut off who is silent, and hand over packets that wait for others in vain."""
        for line in list(self.lines):
            self.hand_over(line, late(line.waiting, now_s))
            if now_s - line.heard_s > IDLE_S:
                self.close(line, "silent for too long")

    def close(self, line: Line, reason: str) -> None:
        """End a connection; packets that wait on it are handed over as they are, and nobody is answered."""
        if line.watched:
            self.selector.unregister(line.sock)
        line.sock.close()
        self.lines.discard(line)
        self.hand_over(line, late(line.waiting, line.heard_s, 0))
        if reason:
            log.info("%s station at %s cut off: %s", line.protocol.name, line.peer, reason)

    def close_all(self) -> None:
        """End all connections."""
        for line in list(self.lines):
            self.close(line, "")
