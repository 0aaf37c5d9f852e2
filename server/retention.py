"""Raw observations older than LIUPAN_RETENTION_MONTHS: whole months are dropped, never their rollups.

A month goes when its hours and days are complete, in the same transaction; from then on `rollup_state.floor`
keeps them as they are. What comes later for a dropped month is stored raw, and is neither in the rollups nor
ever dropped: `liupan doctor` counts these months.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql

from server import rollup

log = logging.getLogger(__name__)

#: rollups that are further behind (s) are waited for
BEHIND_S = 900.0

#: readers and writers wait at most so long for the drop; then it is put off
PATIENCE: LiteralString = "SET LOCAL lock_timeout = '2s'"


class _PutOff(Exception):
    """It must wait, for the reason that is told."""


def drop_old(conn: Connection[Any], months: int, now: datetime, *, timescaledb: bool) -> None:
    """Drop the months (TimescaleDB: chunks) that ended so many months ago.

    The connection must be in autocommit mode. What cannot be done now is put off with one line in the log.
    """
    old = conn.execute(
        "SELECT name, p.begin_time::text, p.end_time::text"
        " FROM observation_partition p, rollup_state s"
        " WHERE p.begin_time >= s.floor AND p.end_time <= %s - make_interval(months => %s)"
        " ORDER BY p.end_time",
        (now, months),
    ).fetchall()
    try:
        for name, begin, end in old:
            if timescaledb:
                _drop_chunk(conn, begin, end)
            else:
                _drop_partition(conn, name, begin, end)
            log.info("raw observations until %s are dropped (%s), their hours and days stay", end, name)
    except (_PutOff, psycopg.errors.LockNotAvailable) as reason:
        log.warning("raw observations are not dropped yet: %s", reason)


def _drop_partition(conn: Connection[Any], name: str, begin: str, end: str) -> None:
    """Drop a month when all that was ever told of it is rolled up."""
    rollup.keep_up(conn)
    if rollup.behind_s(conn) > BEHIND_S:
        raise _PutOff("the rollups are behind")
    _check_complete(conn, begin, end)
    with conn.transaction():
        # in the order in which a roll-up takes them, so that neither waits for the other for ever
        conn.execute("SELECT FROM rollup_state FOR UPDATE")
        conn.execute(PATIENCE)
        conn.execute("LOCK TABLE ONLY observation IN ACCESS EXCLUSIVE MODE")  # nobody writes any more
        rollup.roll_all(conn)
        conn.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        conn.execute("UPDATE rollup_state SET floor = %s::timestamptz", (end,))


def _drop_chunk(conn: Connection[Any], begin: str, end: str) -> None:
    """Drop a chunk when its hours are refreshed, and hold the policy off its time.

    Dropping tells the hours that their results have changed: a refresh that looked again would empty them.
    """
    job = conn.execute(
        "SELECT j.job_id, s.job_status = 'Running' FROM timescaledb_information.jobs j"
        " JOIN timescaledb_information.job_stats s USING (job_id)"
        " JOIN timescaledb_information.continuous_aggregates c"
        "  ON j.hypertable_name IN (c.view_name, c.materialization_hypertable_name)"
        " WHERE c.view_name = 'rollup_hour' AND j.proc_name = 'policy_refresh_continuous_aggregate'"
    ).fetchone()
    if job is not None:
        conn.execute(
            "SELECT alter_job(job_id, config => config || jsonb_build_object("
            "  'start_offset', (now() - %s::timestamptz)::text))"
            " FROM timescaledb_information.jobs WHERE job_id = %s",
            (end, job[0]),
        )
        if job[1]:
            raise _PutOff("the hours are just being refreshed")
    # not from before the floor, where the raw results are gone
    floor = conn.execute("SELECT nullif(floor, '-infinity')::text FROM rollup_state").fetchone() or (None,)
    conn.execute(
        "CALL refresh_continuous_aggregate('rollup_hour', %s::timestamptz,"
        " %s::timestamptz + interval '2 hours')",
        (*floor, end),
    )
    _check_complete(conn, begin, end)
    with conn.transaction():
        conn.execute(PATIENCE)
        conn.execute(
            "SELECT drop_chunks('observation', older_than => %s::timestamptz, newer_than => %s::timestamptz)",
            (end, begin),
        )
        conn.execute("UPDATE rollup_state SET floor = %s::timestamptz", (end,))


def _check_complete(conn: Connection[Any], begin: str, end: str) -> None:
    """Count what lies in the hours that touch no other month: _PutOff when the rollups know less or more."""
    row = conn.execute(
        "SELECT (SELECT count(*) FROM observation WHERE phenomenon_time > %(begin)s::timestamptz"
        "        AND phenomenon_time <= %(end)s::timestamptz - interval '1 hour'),"
        " (SELECT coalesce(sum(count + marked), 0)::bigint FROM observation_hour"
        "  WHERE begin_time >= %(begin)s::timestamptz"
        "  AND begin_time < %(end)s::timestamptz - interval '1 hour')",
        {"begin": begin, "end": end},
    ).fetchone()
    raw, rolled_up = row or (0, 0)
    if raw != rolled_up:
        raise _PutOff(
            f"from {begin} to {end} there are {raw} results and {rolled_up} in their hours;"
            " after a bulk load run SELECT fill_rollups()"
        )
