"""Hours and days of each datastream (views observation_hour, _day), kept up to date without TimescaleDB.

What has changed is told by the `observed` events, read in the order of the live feed below the oldest running
transaction: their hours are calculated anew from the raw results. So data that are late, out of order or
marked again correct the rollups, and a crash repeats at most what it had not committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from domain.wire import unpack_places

#: events of one transaction
PAGE = 500

HOUR_US = 3_600_000_000


def keep_up(conn: Connection[Any]) -> int:
    """Roll up all that is committed and not rolled up yet, page by page; return the hours calculated."""
    total = 0
    while True:
        events, hours = _roll_page(conn)
        total += hours
        if events < PAGE:
            return total


def roll_all(conn: Connection[Any]) -> None:
    """Roll up every event that is visible in the open transaction.

    The place does not move: a transaction that still runs may come to lie before the events that are seen.
    """
    events = conn.execute(
        "SELECT packed FROM event e JOIN rollup_state s ON (e.xact, e.id) > (s.xact, s.id)"
        " WHERE kind = 'observed'"
    )
    _recalculate(conn, (packed for (packed,) in events))


def behind_s(conn: Connection[Any]) -> float:
    """Return how long the oldest event that is not rolled up has been waiting (s); 0 without any."""
    row = conn.execute(
        "SELECT extract(epoch FROM clock_timestamp() - created_at)::float FROM event"
        " WHERE kind = 'observed' AND (xact, event.id) > (SELECT xact, id FROM rollup_state)"
        " ORDER BY xact, event.id LIMIT 1"
    ).fetchone()
    return float(row[0]) if row else 0.0


def _roll_page(conn: Connection[Any]) -> tuple[int, int]:
    """Roll up some events; return how many, and how many hours were calculated."""
    with conn.transaction():
        place = conn.execute("SELECT xact::text, id FROM rollup_state FOR UPDATE").fetchone()
        events = conn.execute(
            "SELECT e.xact::text AS number, e.id, packed FROM event e"
            " WHERE kind = 'observed' AND (xact, id) > (%s::text::xid8, %s)"
            " AND xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.xact, e.id LIMIT %s",
            (*(place or ()), PAGE),
        ).fetchall()
        if not events:
            return 0, 0
        hours = _recalculate(conn, (packed for _, _, packed in events))
        conn.execute("UPDATE rollup_state SET xact = %s::text::xid8, id = %s", events[-1][:2])
    return len(events), hours


def _recalculate(conn: Connection[Any], packed: Iterable[bytes | None]) -> int:
    changed = {
        (stream, (at_us - 1) // HOUR_US) for each in packed for stream, at_us in unpack_places(each or b"")
    }
    streams, hours = [stream for stream, _ in changed], [hour for _, hour in changed]
    row = conn.execute("SELECT roll_up(%b::int[], %b::int[])", (streams, hours)).fetchone()
    return int(row[0]) if row else 0
