"""The live feed as Server-Sent Events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

import psycopg
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from psycopg_pool import ConnectionPool

from domain.wire import encode
from server.caller import Caller, Reader
from server.live import Cursor, Feed, Happened, read
from server.snapshot import snapshot

router = APIRouter(tags=["live"])

#: s of silence after which the client is told that the feed is alive
HEARTBEAT_S = 5.0

#: ms that a browser waits before it connects again
RECONNECT_MS = 2000


@router.get("/live", response_class=EventSourceResponse)
async def follow(
    request: Request, caller: Reader, last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Follow what happens, as Server-Sent Events.

    Without Last-Event-ID the first event is `snapshot` (reason `start`): levels and open incidents. With it
    the feed goes on behind that event, without a gap and without a repetition; when that is not possible any
    more it starts with a `snapshot` (reason `expired`). All other events are named by their kind. A silent
    feed says `: alive` every few seconds.
    """
    pool: ConnectionPool = request.app.state.pool
    feed: Feed = request.app.state.feed
    cursor = Cursor.of(last_event_id) if last_event_id else None
    reason, known, spoke_at = "expired" if last_event_id else "start", None, time.monotonic()
    yield ServerSentEvent(comment="liupan", retry=RECONNECT_MS)
    with feed.followed():
        while not feed.ending():
            ring, tail, before, page = feed.ring, feed.tail, cursor, list[ServerSentEvent]()
            # a new tail is of another database, perhaps: the cursor must be looked up there
            if cursor and tail and tail is known and cursor >= tail.start:
                page, cursor = _shown([row for row in tail.rows if row.cursor > cursor], caller, cursor)
            else:
                with suppress(psycopg.OperationalError):  # the database is away: the client stays and waits
                    page, cursor = await run_in_threadpool(_page, pool, caller, cursor, reason)
                    reason, known = "expired", tail
            if not page and time.monotonic() - spoke_at >= HEARTBEAT_S:
                page = [ServerSentEvent(comment="alive")]
            for event in page:
                yield event
                spoke_at = time.monotonic()
            if cursor == before:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ring.wait(), timeout=2)


def _shown(rows: list[Happened], caller: Caller, cursor: Cursor) -> tuple[list[ServerSentEvent], Cursor]:
    """Return those of the rows that the caller may see, and the cursor behind all of them."""
    page = [
        ServerSentEvent(event=row.kind, id=str(row.cursor), raw_data=row.data)
        for row in rows
        if row.visible(caller)
    ]
    return page, rows[-1].cursor if rows else cursor


def _page(
    pool: ConnectionPool, caller: Caller, cursor: Cursor | None, reason: str
) -> tuple[list[ServerSentEvent], Cursor]:
    """Return what is to be sent next, from the database, and the cursor behind it."""
    with pool.connection() as conn:
        rows = read(conn, cursor) if cursor else None
        if cursor and rows is not None:
            return _shown(rows, caller, cursor)
        cursor, state = snapshot(conn, caller.region)
    data = encode({"reason": reason, **state}).decode()
    return [ServerSentEvent(event="snapshot", id=str(cursor), raw_data=data)], cursor
