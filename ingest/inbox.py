"""What has come in and waits for the database: the doors (MQTT, HTTP, TCP) fill it, the batch empties it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from threading import Event, Lock
from typing import NamedTuple

from ingest.store import Outcome

#: while messages of this size (bytes) wait for the database nothing more is let in: more wait outside
WAITING = 16_000_000
#: what a message needs beside its payload, about (bytes)
OVERHEAD = 1000
#: how long a full inbox is left alone (s)
PAUSE_S = 0.005


class Incoming(NamedTuple):
    """A message, and whom to tell what became of it: `done` is called once, after the commit."""

    topic: str
    payload: bytes
    received_at: datetime
    done: Callable[[Outcome], None]


@dataclass(slots=True)
class Inbox:
    """Messages on their way from the doors to the database."""

    messages: SimpleQueue[Incoming] = field(default_factory=SimpleQueue)
    closed: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    #: size (bytes) of all that ever came in, and went out
    size_in: int = 0
    size_out: int = 0

    @property
    def waiting(self) -> int:
        """Size of the messages that wait (bytes)."""
        return self.size_in - self.size_out

    def put(self, incoming: Incoming, patience_s: float = float("inf")) -> bool:
        """Let the message in when there is room; False when there was none for so long (s)."""
        if self.waiting >= WAITING and not self._has_room_within(patience_s):
            return False
        with self.lock:
            self.size_in += len(incoming.payload) + OVERHEAD
        self.messages.put(incoming)
        return True

    def take(self, timeout_s: float) -> Incoming:
        """Return the oldest message, waiting for one that long; queue.Empty when there is none."""
        incoming = self.messages.get(timeout=timeout_s)
        self.size_out += len(incoming.payload) + OVERHEAD
        return incoming

    def _has_room_within(self, patience_s: float) -> bool:
        end = time.monotonic() + patience_s
        while self.waiting >= WAITING and not self.closed.is_set():
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE_S)
        return True
