"""Inbox to database: collect messages, store them together, then tell each door and each phone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from queue import Empty
from threading import Event
from typing import Any, Protocol

from psycopg import Connection

from domain.settings import Settings
from ingest import codecs
from ingest.inbox import Inbox, Incoming
from ingest.registry import Registry
from ingest.resolve import Arrival, resolve
from ingest.store import REFUSED, Outcome, save

log = logging.getLogger(__name__)

#: how long to wait for a first message before asking whether to stop (s)
IDLE_S = 0.5
#: quarantine is told in the log at most this often (s); all of it is in the table
LOG_EVERY_S = 1.0
#: while the database takes nothing a batch is tried again after so long (s), in the end always after the last
#: of them; it is told this often (s)
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)
REFUSED_EVERY_S = 60.0


class Speaker(Protocol):
    """The way back to the broker and to phones."""

    def tell(self, device: str, stored: Mapping[str, object], /) -> None:
        """Tell the device what became of a message of its."""

    def flush(self) -> None:
        """Send what is still to be said of the batch."""


def run(conn: Connection[Any], inbox: Inbox, speaker: Speaker, settings: Settings, stop: Event) -> None:
    """Store what comes in until `stop` is set. psycopg.OperationalError: the database is lost."""
    registry = Registry()
    quarantine_pace, refused_pace = Pace(LOG_EVERY_S), Pace(REFUSED_EVERY_S)
    conn.execute("SET TIME ZONE 'UTC'")
    while not stop.is_set():
        batch = collect(inbox, settings.batch_rows, settings.batch_ms / 1000)
        if not batch:
            continue
        arrivals = [arrival for _, arrival in batch]
        outcomes = save_patiently(conn, registry, arrivals, stop, refused_pace)
        if outcomes is None:
            return
        answer(batch, outcomes, speaker)
        refused = [(a, o) for a, o in zip(arrivals, outcomes, strict=True) if o.reason]
        if refused and quarantine_pace.due():
            arrival, outcome = refused[0]
            topic, reason = arrival.topic, outcome.reason
            log.warning("%d payloads to quarantine; the first on %s: %s", len(refused), topic, reason)


@dataclass(slots=True)
class Pace:
    """Keeps something from happening more often than `every_s`."""

    every_s: float
    last_s: float = float("-inf")

    def due(self) -> bool:
        """Say whether it may happen now, and count it if so."""
        now = time.monotonic()
        if now - self.last_s <= self.every_s:
            return False
        self.last_s = now
        return True


def save_patiently(
    conn: Connection[Any], registry: Registry, arrivals: Sequence[Arrival], stop: Event, pace: Pace
) -> list[Outcome] | None:
    """Store the arrivals, however long the database takes nothing; return what became of each.

    Meanwhile nothing is acknowledged and the inbox fills, so all that comes waits outside. None: the process
    is to stop and nothing is stored; what has no acknowledgement comes again.
    """
    waits_s = chain(BACK_OFF_S, repeat(BACK_OFF_S[-1]))
    while True:
        try:
            return save(conn, registry, resolve(conn, registry, arrivals, time.monotonic()))
        except REFUSED as error:
            if pace.due():
                reason = str(error).partition("\n")[0]
                log.error(
                    "the database takes nothing: %s; nothing is acknowledged, it is tried again", reason
                )
        if stop.wait(next(waits_s)):
            return None


def collect(inbox: Inbox, rows: int, seconds: float) -> list[tuple[Incoming, Arrival]]:
    """Return messages, decoded: those of some time, or of as many rows; none when idle."""
    batch: list[tuple[Incoming, Arrival]] = []
    try:
        incoming = inbox.take(IDLE_S)
        time.sleep(seconds)
        while True:
            topic, payload, at = incoming.topic, incoming.payload, incoming.received_at
            decoded = codecs.read(topic, payload, at)
            arrival = Arrival(topic=topic, payload=payload, received_at=at, decoded=decoded)
            batch.append((incoming, arrival))
            rows -= max(1, len(decoded.readings) + len(decoded.numbered) + len(decoded.fixes))
            if rows <= 0:
                break
            incoming = inbox.take(0)
    except Empty:
        pass
    return batch


def answer(batch: Sequence[tuple[Incoming, Arrival]], outcomes: Sequence[Outcome], speaker: Speaker) -> None:
    """Tell each door that its message is stored, and each phone what became of what has an id."""
    for (incoming, arrival), outcome in zip(batch, outcomes, strict=True):
        incoming.done(outcome)
        if arrival.decoded.id is not None:
            state = "stored" if outcome.kept or not outcome.reason else "rejected"
            body = {"id": arrival.decoded.id, "kind": arrival.topic.rpartition("/")[2], "state": state}
            if outcome.reason:
                body["reason"] = outcome.reason
            speaker.tell(arrival.decoded.device, body)
    speaker.flush()
