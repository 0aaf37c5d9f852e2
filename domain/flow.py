"""What follows what, and the event log that makes it happen exactly once.

An event is one row of the table `event` for each consumer that must handle it: outbox and inbox in one.
A consumer's effect, the events that it emits and `done_at` commit together, so nothing is lost or done twice.
NOTIFY wakes a sleeping consumer once per transaction; polling each second is the net below it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.thing import PARTITIONS
from domain.wire import encode

if TYPE_CHECKING:
    from threading import Event as StopSign

    from psycopg import Connection, Cursor

log = logging.getLogger(__name__)

#: kind of event -> consumers that must each handle it once.
#: `live` is the feed of the HTTP server: it reads its rows and has nothing to do, they are born done.
ROUTES: Mapping[str, tuple[str, ...]] = {
    "observed": ("assess",),  # ingest: new observations of a partition's sites, packed
    "assessed": ("live",),  # warning: a model's line was crossed, or it spoke after a silence
    "levelled": ("issue", "live"),  # warning: the level of a site has changed
    "alerted": ("fan_out", "publish", "respond", "live"),  # warning: an Alert, Update or Cancel exists
    "connected": ("publish",),  # warning: a broker is there (again) and may have lost what it retained
    "due": ("deliver",),  # warning: one delivery to one recipient by one channel
    "delivered": ("live",),
    "opened": ("live",),  # warning: an incident was opened
    "dispatched": ("order", "live"),  # warning: a team has an order; it must reach its phone
    "unanswered": ("order",),  # warning: a team has not answered its order yet
    "moved": ("live",),  # warning: a dispatch went on to its next state
    "closed": ("live",),  # warning: an incident was closed
    "tracked": ("live",),  # ingest: new fixes of a device
    "answered": ("respond",),  # ingest: a phone answered an order or an alert
    "commanded": ("command", "live"),  # server: somebody asks a station to do something
    "unreplied": ("command",),  # warning: a station has not replied to its command yet
    "replied": ("command",),  # ingest: a station replied to a command
    "advanced": ("live",),  # warning: a command went on to its next state
    "patrolled": ("live",),  # ingest: a patrol began, went on or ended
    "reported": ("triage", "live"),  # ingest: a lead came in
    "device_reported": ("live",),  # ingest: a device said something of itself: an alarm, a zone entered
    "cased": ("live",),  # enforcement: a case was opened or moved
    "rejected": ("live",),  # ingest: a payload went to quarantine
    "silent": ("live",),  # ingest: datastreams of a thing have said nothing for too long
    "heard": ("live",),  # ingest: these speak again
    "claimed": ("replay",),  # server: a thing is new whose payloads wait in quarantine
}

#: a failed event waits this long (s) before its next try; after the last one it is set aside
BACK_OFF_S = (1, 5, 30, 120, 600)

#: at most this many events are handled in one transaction
TAKE = 50


#: a database that takes nothing is asked again after so long (s), and told in the log this often (s)
REFUSED_S, REFUSED_EVERY_S = 1.0, 60.0


class Refused(Exception):
    """The database takes nothing: it is full, has no memory left, or is read-only. No event is at fault."""


class Event(NamedTuple):
    """Something that happened, as one consumer finds it in the log."""

    id: int
    kind: str
    subject: str
    region: str
    partition: int
    body: dict[str, Any]
    packed: bytes | None
    at: datetime
    failures: int


#: handles some events of one consumer, oldest first, inside an open transaction; raises to have them retried
Handler = Callable[["Connection[Any]", Sequence[Event]], None]


class News(NamedTuple):
    """An event to be emitted: what it is about, and the GB/T 2260 code of its region.

    With `delay_s` it is handled that many seconds later at the earliest.
    """

    subject: str
    region: str = ""
    partition: int = 0
    body: Mapping[str, object] | None = None
    packed: bytes | None = None
    delay_s: float = 0


def emit(conn: Connection[Any], kind: str, subject: str, **about: Any) -> None:
    """Write one event as `emit_all` does; `about` are the other fields of News."""
    emit_all(conn, kind, [News(subject, **about)])


def emit_all(conn: Connection[Any], kind: str, news: Sequence[News]) -> None:
    """Write the events for each of their consumers into the open transaction; its commit wakes these.

    KeyError: no such kind in ROUTES.
    """
    subjects, regions, partitions, bodies, packed, delays = zip(*news, strict=True)
    conn.execute(
        "WITH written AS ("
        "  INSERT INTO event (kind, consumer, subject, region, partition, body, packed, not_before, done_at)"
        "  SELECT %s, consumer, subject, region, partition, body, packed,"
        "         now() + delay * interval '1 second', CASE WHEN consumer = 'live' THEN now() END"
        "  FROM unnest(%s::text[], %s::text[], %s::smallint[], %s::jsonb[], %b::bytea[], %s::float8[])"
        "   AS n (subject, region, partition, body, packed, delay), unnest(%s::text[]) AS consumer"
        "  RETURNING consumer)"
        " SELECT pg_notify('liupan_' || consumer, '') FROM (SELECT DISTINCT consumer FROM written) AS woken",
        (kind, list(subjects), list(regions), list(partitions),
         [encode(body or {}).decode() for body in bodies], list(packed), list(delays), list(ROUTES[kind])),
    )  # fmt: skip


def handle(
    conn: Connection[Any],
    consumer: str,
    handler: Handler,
    partitions: Sequence[int] | None = None,
    limit: int = TAKE,
    *,
    only: int | None = None,
) -> int:
    """Handle the oldest waiting events of the consumer in one transaction; return how many were taken.

    When the handler fails on several, they are handled one by one, so that a poison event stands alone.
    Refused: the database takes nothing; the events wait, and no failure is counted.
    `only` is the id of the one event to take, where it still waits.
    """
    events: list[Event] = []
    try:
        with conn.transaction():
            events += [Event(*row) for row in _take(conn, consumer, partitions, limit, only)]
            if events:
                handler(conn, events)
                _mark_done(conn, events)
    except Exception as error:  # kept with the event, counted, visible in `liupan doctor`
        if _takes_nothing(error):
            raise Refused(str(error).partition("\n")[0]) from error
        if conn.closed or not events:
            raise  # the database is gone: nothing can be noted, the events simply wait
        if len(events) == 1:
            _note_failure(conn, events[0], error)
        else:
            for event in events:
                handle(conn, consumer, handler, partitions, only=event.id)
    return len(events)


def consume(
    conn: Connection[Any],
    consumer: str,
    handler: Handler,
    stop: StopSign,
    partitions: Callable[[], Sequence[int] | None] = lambda: None,
) -> None:
    """Handle the consumer's events until `stop` is set; the connection must be in autocommit mode.

    `partitions` is asked before each take, so that a process can gain and lose some; None means all.
    It waits while the database takes nothing. A lost database raises psycopg.OperationalError: the process
    ends, and its supervisor starts it again.
    """
    conn.execute(f"LISTEN liupan_{consumer}")
    said_s = float("-inf")
    while not stop.is_set():
        try:
            taken = handle(conn, consumer, handler, partitions())
        except Refused as reason:
            if time.monotonic() - said_s > REFUSED_EVERY_S:
                said_s = time.monotonic()
                log.error("%s waits, the database takes nothing: %s; it is tried again", consumer, reason)
            stop.wait(REFUSED_S)
            continue
        if not taken:
            for _ in conn.notifies(timeout=1.0, stop_after=1):
                pass


def share_partitions(conn: Connection[Any], consumer: str) -> Callable[[], list[int]]:
    """Return a function that tells which partitions this process holds for the consumer, for `consume`.

    Each partition is held by one process, through an advisory lock of this connection; the processes that
    are alive share them evenly, and those of a dead one are taken over within two seconds.
    """
    held: set[int] = set()
    looked_at = float("-inf")
    lock_class, presence = _lock_class(conn, consumer), PARTITIONS
    conn.execute("SELECT pg_advisory_lock_shared(%s, %s)", (lock_class, presence))

    def holding() -> list[int]:
        nonlocal looked_at
        if time.monotonic() - looked_at < (2.0 if held else 0.2):
            return sorted(held)
        looked_at = time.monotonic()
        row = conn.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND classid::bigint = %s & 4294967295 AND objid = %s",
            (lock_class, presence),
        ).fetchone()
        alive = max(1, row[0] if row else 1)
        fair = -(-PARTITIONS // alive)
        for partition in sorted(held)[fair:]:
            conn.execute("SELECT pg_advisory_unlock(%s, %s)", (lock_class, partition))
            held.discard(partition)
        for partition in range(PARTITIONS):
            if len(held) < fair and partition not in held:
                got = conn.execute("SELECT pg_try_advisory_lock(%s, %s)", (lock_class, partition))
                if (answer := got.fetchone()) and answer[0]:
                    held.add(partition)
        return sorted(held)

    return holding


def _lock_class(conn: Connection[Any], consumer: str) -> int:
    row = conn.execute("SELECT hashtext(%s)", (f"liupan {consumer}",)).fetchone()
    return int(row[0]) if row else 0


def _take(
    conn: Connection[Any], consumer: str, partitions: Sequence[int] | None, limit: int, only: int | None
) -> Cursor[Any]:
    """Lock waiting events, oldest first."""
    return conn.execute(
        "SELECT id, kind, subject, region, partition, body, packed, created_at, failures FROM event"
        " WHERE consumer = %s AND done_at IS NULL AND set_aside_at IS NULL AND not_before <= now()"
        " AND (%s::int[] IS NULL OR partition = ANY(%s)) AND (%s::bigint IS NULL OR id = %s)"
        " ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
        (consumer, partitions, partitions, only, only, limit),
    )


def _takes_nothing(error: Exception) -> bool:
    """Say whether the database refuses everything: no disk or memory left (SQLSTATE 53...), or read-only."""
    state = getattr(error, "sqlstate", None) or ""
    return state.startswith("53") or state == "25006"


def _mark_done(conn: Connection[Any], events: Sequence[Event]) -> None:
    ids = [event.id for event in events]
    conn.execute("UPDATE event SET done_at = clock_timestamp() WHERE id = ANY(%s)", (ids,))


def _note_failure(conn: Connection[Any], event: Event, error: Exception) -> None:
    last = event.failures + 1 >= len(BACK_OFF_S)
    log.warning("event %d (%s of %s) failed%s: %r", event.id, event.kind, event.subject,
                ", set aside" if last else "", error)  # fmt: skip
    conn.execute(
        "UPDATE event SET failures = failures + 1, last_failure = %s,"
        " not_before = now() + %s * interval '1 second', set_aside_at = CASE WHEN %s THEN now() END"
        " WHERE id = %s AND done_at IS NULL",
        (f"{type(error).__name__}: {error}"[:2000], BACK_OFF_S[event.failures], last, event.id),
    )
