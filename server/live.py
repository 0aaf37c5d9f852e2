"""The live feed: each event exactly once and in one order, however often a client comes back.

Commits do not follow ids, so the feed goes by (transaction, id) and shows only transactions older than every
running one: nothing can appear behind a reader's back. A cursor "transaction.id" is all that a client needs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from domain.alert import Level

log = logging.getLogger(__name__)

#: rows that are read at once: what a slow client can hold in memory
PAGE = 200

#: s between two wake-ups at least, so that a storm of events does not become a storm of queries
LULL_S = 0.05


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the feed: behind the row with this transaction and id."""

    xact: int
    id: int

    @classmethod
    def of(cls, text: str) -> Cursor | None:
        """Read a cursor as a client sends it back; None when it is none of ours."""
        xact, _, id = text.partition(".")
        if not (xact.isascii() and xact.isdigit() and id.isascii() and id.isdigit()):
            return None
        return cls(int(xact), int(id)) if int(xact) < 2**64 and int(id) < 2**63 else None

    def __str__(self) -> str:
        return f"{self.xact}.{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One row of the feed; `event` is None where it lies outside of the reader's region."""

    cursor: Cursor
    kind: str
    event: dict[str, Any] | None


@dataclass(slots=True)
class Feed:
    """What all clients of this process share: the bell that wakes them, and their number."""

    loop: asyncio.AbstractEventLoop
    #: says that the process is about to end
    ending: Callable[[], bool]
    #: set by the next ring; take it before reading, so that no ring falls between
    ring: asyncio.Event = field(default_factory=asyncio.Event)
    clients: int = 0

    def wake(self) -> None:
        """Ring the bell; may be called from any thread."""
        self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        rung, self.ring = self.ring, asyncio.Event()
        rung.set()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Count a client in for the length of the block."""
        self.clients += 1
        try:
            yield
        finally:
            self.clients -= 1


def listen(database_url: str, feed: Feed, stop: threading.Event) -> None:
    """Wake the clients when something is new, and each second; survives a database that goes away.

    The second is the net below: a transaction that ends in silence may be the one that the feed waited for.
    """
    while not stop.is_set():
        try:
            with psycopg.connect(database_url, autocommit=True, application_name="liupan-live") as conn:
                conn.execute("LISTEN liupan_live")
                while not stop.is_set():
                    feed.wake()
                    stop.wait(LULL_S)
                    for _ in conn.notifies(timeout=1.0, stop_after=1):
                        pass
        except psycopg.OperationalError as error:
            log.warning("the live feed has lost the database: %s", " ".join(str(error).split()))
            stop.wait(1.0)


def read(conn: Connection[Any], cursor: Cursor, region: str, whole: bool) -> list[Happened] | None:
    """Return the next rows behind the cursor; None when some of them may be deleted already.

    `whole`: the reader also sees what belongs to no region.
    """
    rows = conn.execute(
        "SELECT e.xact::text AS number, e.id, kind,"
        " CASE WHEN starts_with(region, %(region)s) OR (region = '' AND %(whole)s)"
        "  THEN jsonb_build_object('subject', subject, 'region', region, 'at', created_at, 'body', body) END"
        " FROM event e WHERE consumer = 'live' AND (xact, id) > (%(xact)s::text::xid8, %(id)s)"
        " AND xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.xact, e.id LIMIT %(page)s",
        {"region": region, "whole": whole, "xact": cursor.xact, "id": cursor.id, "page": PAGE},
    ).fetchall()
    # looked at after the rows: whatever was deleted before they were read shows here
    floor = conn.execute(
        "SELECT xact::text, id, pg_snapshot_xmax(pg_current_snapshot())::text FROM feed_floor"
    ).fetchone()
    if floor is None or not Cursor(int(floor[0]), floor[1]) <= cursor <= Cursor(int(floor[2]), 0):
        return None
    return [Happened(cursor=Cursor(int(xact), id), kind=kind, event=event) for xact, id, kind, event in rows]


def snapshot(conn: Connection[Any], region: str) -> tuple[Cursor, dict[str, Any]]:
    """Return how things stand, and the cursor from which the feed goes on: levels and open incidents."""
    params = {"region": region}
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # all transactions below are in what follows, so the feed starts with this one
        seen = cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xact").fetchone()
        levels = cursor.execute(
            "SELECT s.code AS site, s.name_zh, s.name_en, s.region, s.mode, l.level, l.since, l.as_of"
            " FROM level l JOIN hazard_site s ON s.id = l.site"
            " WHERE starts_with(s.region, %(region)s) ORDER BY l.level DESC, s.code",
            params,
        ).fetchall()
        incidents = cursor.execute(
            "SELECT i.id, s.code AS site, s.name_zh, s.name_en, i.region, i.mode, i.opened_at, i.note_zh,"
            " i.note_en, coalesce((SELECT jsonb_agg(jsonb_build_object('id', d.id, 'unit', u.code,"
            "   'state', d.state) ORDER BY d.id) FROM dispatch d JOIN unit u ON u.id = d.unit"
            "   WHERE d.incident = i.id AND d.closed_at IS NULL), '[]') AS dispatches"
            " FROM incident i JOIN hazard_site s ON s.id = i.site"
            " WHERE i.closed_at IS NULL AND starts_with(i.region, %(region)s) ORDER BY i.id",
            params,
        ).fetchall()
    for row in levels:
        row["level"] = Level(row["level"]).word
    state = {"as_of": datetime.now(UTC), "levels": levels, "incidents": incidents}
    return Cursor(int(seen["xact"]) if seen else 0, 0), state
