"""What `liupan doctor` looks at: each check is one look at one part, told as plain data."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import dict_row

from domain.settings import Settings
from server import ports, run_state
from server.migrate import SCHEMA
from warning.command import AT_ALL

Facts = dict[str, Any]

#: an event that has been due for longer (s) is overdue
OVERDUE_S = 60

#: so many revisions of a device in a day are no accident
MANY_REVISIONS = 10

#: of each list so many are shown
SHOWN = 20


def state_folder(settings: Settings) -> Facts:
    """Return where the state is, and how much room is left there (bytes)."""
    there = settings.state.exists()
    room = shutil.disk_usage(settings.state).free if there else None
    return {"path": str(settings.state), "exists": there, "free_bytes": room}


def processes(settings: Settings) -> Facts:
    """Return the processes that `liupan up` runs on the state folder: {name: {pid, alive}}."""
    run = run_state.read(settings.state) or {}
    return {name: {"pid": pid, "alive": _alive(pid)} for name, pid in run.get("pids", {}).items()}


def broker(settings: Settings) -> Facts:
    """Return whether the broker takes connections; `reachable` is None when no address is known."""
    if not settings.mqtt_url:
        return {"reachable": None}
    url = settings.broker()
    return {
        "reachable": ports.accepts(url.hostname or "", url.port or 1883),
        "address": url.netloc.split("@")[-1],
    }


def database(conn: Connection[Any]) -> Facts:
    """Return version, kind, size (bytes), the migrations that are missing, the longest transaction (s)."""
    names = {path.name for path in SCHEMA.glob("*.sql")}
    facts = row(
        conn,
        "SELECT current_setting('server_version') AS version,"
        " pg_database_size(current_database()) AS size_bytes,"
        " (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,"
        " (SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::float FROM pg_stat_activity"
        "  WHERE backend_xid IS NOT NULL) AS oldest_transaction_s,"
        " to_regclass('migration') IS NOT NULL AS migrated",
    )
    done: set[str] = set()
    if facts.pop("migrated"):
        done = {name for (name,) in conn.execute("SELECT name FROM migration")}
    other = "_native.sql" if facts["timescaledb"] else "_timescale.sql"
    missing = sorted(name for name in names - done if not name.endswith(other))
    return {"reachable": True, **facts, "schema": max(done, default=None), "missing_migrations": missing}


def events(conn: Connection[Any], now: datetime) -> Facts:
    """Return what waits by consumer, what fails and is tried again, and what is set aside."""
    return {
        "waiting": rows(
            conn,
            "SELECT consumer, count(*) AS waiting, count(*) FILTER (WHERE overdue) AS overdue,"
            " extract(epoch FROM max(%(now)s - not_before))::float AS oldest_s"
            " FROM (SELECT *, not_before < %(now)s - %(overdue)s AS overdue FROM waiting_event) e"
            " GROUP BY consumer ORDER BY consumer",
            now=now,
            overdue=timedelta(seconds=OVERDUE_S),
        ),
        "failing": rows(
            conn,
            "SELECT id, consumer, kind, subject, failures, last_failure, not_before AS next_try"
            " FROM waiting_event WHERE failures > 0 ORDER BY id LIMIT %(shown)s",
            shown=SHOWN,
        ),
        "set_aside_count": row(conn, "SELECT count(*) AS n FROM event WHERE set_aside_at IS NOT NULL")["n"],
        "set_aside": rows(
            conn,
            "SELECT id, consumer, kind, subject, failures, last_failure, set_aside_at FROM event"
            " WHERE set_aside_at IS NOT NULL ORDER BY set_aside_at LIMIT %(shown)s",
            shown=SHOWN,
        ),
    }


def quarantine(conn: Connection[Any]) -> list[Facts]:
    """Return how many payloads are rejected and not replayed yet, by reason, the most frequent first."""
    return rows(
        conn,
        "SELECT reason, count(*) AS payloads, sum(times)::bigint AS times, max(last_at) AS last_at"
        " FROM rejected WHERE replayed_at IS NULL GROUP BY reason ORDER BY payloads DESC, reason"
        " LIMIT %(shown)s",
        shown=SHOWN,
    )


def open_commands(conn: Connection[Any], now: datetime) -> list[Facts]:
    """Return the commands that were not sent within OVERDUE_S, or wait for a reply far too long."""
    return rows(
        conn,
        "SELECT c.id::text, t.code, c.name, c.state, c.tries, c.asked_at"
        " FROM command c JOIN thing t ON t.id = c.thing"
        " WHERE c.state = 'pending' AND c.asked_at < %(now)s - %(overdue)s"
        " OR c.state = 'sent' AND c.asked_at < %(now)s - %(unreplied)s ORDER BY c.asked_at LIMIT %(shown)s",
        now=now,
        overdue=timedelta(seconds=OVERDUE_S),
        unreplied=2 * AT_ALL,
        shown=SHOWN,
    )


def silent_stations(conn: Connection[Any], before: datetime) -> list[Facts]:
    """Return the actual stations whose newest observation came before then, or that never sent any, and those
    of which ingest misses some datastreams (these are named).
    """
    return rows(
        conn,
        "SELECT t.code, t.name, t.region, max(l.received_at) AS last,"
        " coalesce(array_agg(d.name ORDER BY d.name) FILTER (WHERE s.since IS NOT NULL), '{}') AS missed"
        " FROM thing t LEFT JOIN datastream d ON d.thing = t.id LEFT JOIN latest l ON l.datastream = d.id"
        " LEFT JOIN silence s ON s.datastream = d.id"
        " WHERE t.kind = 'station' AND t.mode = 'actual' GROUP BY t.id"
        " HAVING coalesce(max(l.received_at), '-infinity') < %(before)s OR count(s.since) > 0"
        " ORDER BY last NULLS FIRST, t.code",
        before=before,
    )


def shared_ids(conn: Connection[Any], now: datetime) -> list[Facts]:
    """Return the devices that told many different results for the same times, in different payloads at once.

    One station that repeats itself repeats its results; two that use one id, or a forger, do not. Counted are
    results of the last day that came within a minute of the first one, which each payload stamps as received.
    """
    return rows(
        conn,
        "SELECT t.code, t.name, t.region, count(*) AS revisions, max(r.received_at) AS last"
        " FROM observation_revision r JOIN observation o USING (datastream, phenomenon_time)"
        " JOIN datastream d ON d.id = r.datastream JOIN thing t ON t.id = d.thing"
        " WHERE r.received_at BETWEEN %(now)s - interval '1 day' AND %(now)s"
        " AND r.received_at > o.received_at AND r.received_at <= o.received_at + interval '1 minute'"
        " GROUP BY t.id HAVING count(*) >= %(many)s ORDER BY revisions DESC, t.code LIMIT %(shown)s",
        now=now,
        many=MANY_REVISIONS,
        shown=SHOWN,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True


def rows(conn: Connection[Any], query: LiteralString, **params: object) -> list[Facts]:
    """Return what the query finds, each row by its columns' names."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, params).fetchall()


def row(conn: Connection[Any], query: LiteralString, **params: object) -> Facts:
    """Return the one row that the query finds."""
    return rows(conn, query, **params)[0]
