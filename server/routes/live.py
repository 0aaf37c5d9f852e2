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
from server.live import Cursor, Feed, read, snapshot

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
    reason = "expired" if last_event_id else "start"
    spoke_at = time.monotonic()
    yield ServerSentEvent(comment="liupan", retry=RECONNECT_MS)
    with feed.followed():
        while not feed.ending():
            ring, before, page = feed.ring, cursor, list[ServerSentEvent]()
            with suppress(psycopg.OperationalError):  # the database is away: the client stays and waits
                page, cursor = await run_in_threadpool(_page, pool, caller, cursor, reason)
                reason = "expired"
            if not page and time.monotonic() - spoke_at >= HEARTBEAT_S:
                page = [ServerSentEvent(comment="alive")]
            for event in page:
                yield event
                spoke_at = time.monotonic()
            if cursor == before:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ring.wait(), timeout=2)


def _page(
    pool: ConnectionPool, caller: Caller, cursor: Cursor | None, reason: str
) -> tuple[list[ServerSentEvent], Cursor]:
    """Return what is to be sent next, and the cursor behind it."""
    with pool.connection() as conn:
        rows = read(conn, cursor, caller.region, caller.whole) if cursor else None
        if cursor is None or rows is None:
            cursor, state = snapshot(conn, caller.region)
            data = encode({"reason": reason, **state}).decode()
            return [ServerSentEvent(event="snapshot", id=str(cursor), raw_data=data)], cursor
    page = [
        ServerSentEvent(event=row.kind, id=str(row.cursor), raw_data=encode(row.event).decode())
        for row in rows
        if row.event is not None
    ]
    return page, rows[-1].cursor if rows else cursor
