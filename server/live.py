"""The live feed: each event exactly once and in one order, however often a client comes back.

Commits do not follow ids, so the feed goes by (transaction, id) and shows only transactions older than every
running one: nothing can appear behind a reader's back. A cursor "transaction.id" is all that a client needs.
One thread reads what is new, for all clients of the process; who is further behind reads the database.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection

from domain.wire import encode
from server.caller import Caller

log = logging.getLogger(__name__)

#: rows that are read at once, and that stay in memory for all clients: a slow one holds no more
PAGE = 200

#: s between two reads at least, so that a storm of events does not become a storm of queries
LULL_S = 0.02


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
    """One row of the feed; `data` is its JSON."""

    cursor: Cursor
    kind: str
    region: str
    data: str

    def visible(self, caller: Caller) -> bool:
        """Say whether the caller may see it; what belongs to no region only who sees all of them."""
        return self.region.startswith(caller.region) or (caller.whole and not self.region)


@dataclass(slots=True)
class Tail:
    """The newest rows: all of them that lie behind `start`."""

    start: Cursor
    rows: deque[Happened] = field(default_factory=deque)

    @property
    def end(self) -> Cursor:
        """The place behind the newest row."""
        return self.rows[-1].cursor if self.rows else self.start

    def extend(self, rows: list[Happened]) -> None:
        """Add rows that follow, and forget the oldest ones."""
        self.rows.extend(rows)
        while len(self.rows) > PAGE:
            self.start = self.rows.popleft().cursor


@dataclass(slots=True)
class Feed:
    """What all clients of this process share; touched by the event loop's thread only, except for `post`."""

    loop: asyncio.AbstractEventLoop
    #: says that the process is about to end
    ending: Callable[[], bool]
    #: None until the first look at the database
    tail: Tail | None = None
    #: set by the next news; take it before reading, so that none falls between
    ring: asyncio.Event = field(default_factory=asyncio.Event)
    clients: int = 0

    def post(self, tail: Tail, rows: list[Happened]) -> None:
        """Add rows to the tail, which becomes the feed's, and wake the clients; from any thread."""
        self.loop.call_soon_threadsafe(self._post, tail, rows)

    def _post(self, tail: Tail, rows: list[Happened]) -> None:
        tail.extend(rows)
        self.tail = tail
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
    """Post what is new when a commit tells of it, and look each second; survives a lost database.

    The second is the net below: a transaction that ends in silence may be the one that the feed waited for.
    """
    tail, end = None, Cursor(0, 0)
    while not stop.is_set():
        try:
            with psycopg.connect(database_url, autocommit=True, application_name="liupan-live") as conn:
                conn.execute("LISTEN liupan_live")
                while not stop.is_set():
                    rows = read(conn, end) if tail else None
                    if tail is None or rows is None:
                        end, rows = first(conn), list[Happened]()
                        tail = Tail(end)
                    end = rows[-1].cursor if rows else end
                    feed.post(tail, rows)
                    if len(rows) < PAGE:
                        stop.wait(LULL_S)
                        for _ in conn.notifies(timeout=1.0, stop_after=1):
                            pass
        except psycopg.OperationalError as error:
            log.warning("the live feed has lost the database: %s", " ".join(str(error).split()))
            stop.wait(1.0)


def read(conn: Connection[Any], cursor: Cursor) -> list[Happened] | None:
    """Return the next rows behind the cursor, of all regions; None when some may be deleted already."""
    rows = conn.execute(
        "SELECT e.xact::text AS number, e.id, kind, region, subject, created_at, body FROM event e"
        " WHERE consumer = 'live' AND (xact, id) > (%s::text::xid8, %s)"
        " AND xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.xact, e.id LIMIT %s",
        (cursor.xact, cursor.id, PAGE),
    ).fetchall()
    # looked at after the rows: whatever was deleted before they were read shows here
    floor = conn.execute(
        "SELECT xact::text, id, pg_snapshot_xmax(pg_current_snapshot())::text FROM feed_floor"
    ).fetchone()
    if floor is None or not Cursor(int(floor[0]), floor[1]) <= cursor <= Cursor(int(floor[2]), 0):
        return None
    return [
        Happened(
            cursor=Cursor(int(xact), id),
            kind=kind,
            region=region,
            data=encode({"subject": subject, "region": region, "at": at, "body": body}).decode(),
        )
        for xact, id, kind, region, subject, at, body in rows
    ]


def first(conn: Connection[Any]) -> Cursor:
    """Return the cursor before which everything has been committed, or never will be."""
    row = conn.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    return Cursor(int(row[0]) if row else 0, 0)
