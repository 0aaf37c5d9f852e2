"""What must be done from time to time: partitions made ahead, old events deleted, stuck ones told.

It runs inside the server process; where several run, the one that holds the advisory lock does it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from psycopg import Connection

log = logging.getLogger(__name__)

#: handled events are kept this long: the live feed can go on from any of them
KEEP = timedelta(days=7)

#: rows of one deleting transaction
BATCH = 5000

#: an event that has been due for longer is told in the log
STUCK = timedelta(minutes=1)

EVERY = timedelta(minutes=10)


def schedule(database_url: str) -> BackgroundScheduler:
    """Start keeping house now and then; the caller shuts the scheduler down."""
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True})
    scheduler.add_job(
        keep_house,
        "interval",
        args=[database_url],
        seconds=EVERY.total_seconds(),
        next_run_time=datetime.now(UTC),
    )
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    scheduler.start()
    return scheduler


def keep_house(database_url: str) -> None:
    """Do all of it once, unless another process is doing it; without a database say so and go."""
    now = datetime.now(UTC)
    try:
        with psycopg.connect(database_url, autocommit=True, application_name="liupan-housekeeping") as conn:
            row = conn.execute("SELECT pg_try_advisory_lock(hashtext('liupan housekeeping'))").fetchone()
            if row and row[0]:
                make_partitions(conn, now)
                delete_old_events(conn, now - KEEP)
                for line in stuck(conn, now):
                    log.warning(line)
    except psycopg.OperationalError as error:
        log.warning("housekeeping is put off: %s", " ".join(str(error).split()))


def make_partitions(conn: Connection[Any], now: datetime) -> None:
    """Make the partitions of this month and the next one, so that ingest need not."""
    for month in (now, now.replace(day=1) + timedelta(days=32)):
        row = conn.execute("SELECT ensure_observation_partition(%s)", (month,)).fetchone()
        if row and row[0]:
            log.info("made the partition of %s for observations", month.strftime("%Y-%m"))


def delete_old_events(conn: Connection[Any], before: datetime) -> int:
    """Delete the events that were done before then, and note how far the live feed is gone; return how many.

    What waits or is set aside is never deleted.
    """
    total = 0
    while True:
        with conn.transaction():
            gone = conn.execute(
                "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE done_at < %s LIMIT %s)"
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
