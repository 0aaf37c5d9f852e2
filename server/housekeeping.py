"""What must be done from time to time: partitions ahead, rollups, what is old deleted, what is stuck told.

It runs inside the server process; where several run, the one that holds the advisory lock does it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from psycopg import Connection

from server import retention, rollup
from server.migrate import has_timescaledb

log = logging.getLogger(__name__)

#: handled events are kept this long: the live feed can go on from any of them
KEEP = timedelta(days=7)

#: rows of one deleting transaction
BATCH = 5000

#: an event that has been due for longer is told in the log
STUCK = timedelta(minutes=1)

EVERY = timedelta(minutes=10)

#: hours and days are behind their results by about this; each hour that was touched is calculated anew from
#: its rows, which each 20 s took a fifth of a core at 5,000 results/s
ROLL_UP_EVERY = timedelta(minutes=5)

#: months whose partitions are there: this one and those to come
MONTHS_AHEAD = 3


def schedule(database_url: str, retention_months: int) -> BackgroundScheduler:
    """Start keeping house now and then; the caller shuts the scheduler down."""
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True})
    for job, args, every in (
        (keep_house, [database_url, retention_months], EVERY),
        (roll_up, [database_url], ROLL_UP_EVERY),
    ):
        seconds, now = every.total_seconds(), datetime.now(UTC)
        scheduler.add_job(job, "interval", args=args, seconds=seconds, next_run_time=now)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    scheduler.start()
    return scheduler


def keep_house(database_url: str, retention_months: int = 0) -> None:
    """Do all of it once, unless another process is doing it; without a database say so and go.

    Raw observations of more than `retention_months` ago are dropped; 0: never.
    """
    now = datetime.now(UTC)
    with _put_off(), _connect(database_url) as conn:
        row = conn.execute("SELECT pg_try_advisory_lock(hashtext('liupan housekeeping'))").fetchone()
        if row and row[0]:
            make_partitions(conn, now)
            delete_old_events(conn, now - KEEP)
            if retention_months:
                retention.drop_old(conn, retention_months, now, timescaledb=has_timescaledb(conn))
            for line in stuck(conn, now):
                log.warning(line)


def roll_up(database_url: str) -> None:
    """Bring hours and days up to date, where TimescaleDB does not; without a database say so and go."""
    with _put_off(), _connect(database_url) as conn:
        if not has_timescaledb(conn):
            rollup.keep_up(conn)


@contextmanager
def _put_off() -> Iterator[None]:
    """Tell in one line of a database that is away, full or read-only; the next time comes."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        log.warning("housekeeping is put off: %s", " ".join(str(error).split()))


def _connect(database_url: str) -> Connection[Any]:
    return psycopg.connect(database_url, autocommit=True, application_name="liupan-housekeeping")


def make_partitions(conn: Connection[Any], now: datetime) -> None:
    """Make the partitions of this month and the next ones, so that ingest need not."""
    for ahead in range(MONTHS_AHEAD):
        years, months = divmod(now.month - 1 + ahead, 12)
        month = now.replace(year=now.year + years, month=months + 1, day=1)
        row = conn.execute("SELECT ensure_observation_partition(%s)", (month,)).fetchone()
        if row and row[0]:
            log.info("made the partition of %s for observations", month.strftime("%Y-%m"))


def delete_old_events(conn: Connection[Any], before: datetime) -> int:
    """Delete the events that were done before then, and note how far the live feed is gone; return how many.

    What waits or is set aside is never deleted, nor what has not been rolled up.
    """
    total = 0
    while True:
        with conn.transaction():
            gone = conn.execute(
                "DELETE FROM event WHERE id IN (SELECT e.id FROM event e, rollup_state s WHERE done_at < %s"
                "  AND (kind <> 'observed' OR (e.xact, e.id) <= (s.xact, s.id)) LIMIT %s)"
                " RETURNING xact::text, id, consumer",
                (before, BATCH),
            ).fetchall()
            feed = [(int(xact), id) for xact, id, consumer in gone if consumer == "live"]
            if feed:
                xact, id = max(feed)
                conn.execute(
                    "UPDATE feed_floor SET xact = %(xact)s::text::xid8, id = %(id)s"
                    " WHERE (xact, id) < (%(xact)s::text::xid8, %(id)s)",
                    {"xact": xact, "id": id},
                )
        total += len(gone)
        if len(gone) < BATCH:
            return total


def stuck(conn: Connection[Any], now: datetime) -> list[str]:
    """Return a sentence for each consumer that has events which should be handled by now, or set aside."""
    rows = conn.execute(
        "SELECT consumer, count(*) FILTER (WHERE set_aside_at IS NULL), count(set_aside_at) FROM event"
        " WHERE done_at IS NULL AND (not_before < %s OR set_aside_at IS NOT NULL)"
        " GROUP BY consumer ORDER BY consumer",
        (now - STUCK,),
    ).fetchall()
    return [f"{consumer}: {late} events overdue, {aside} set aside; see `liupan doctor`"
            for consumer, late, aside in rows]  # fmt: skip
