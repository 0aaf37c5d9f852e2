"""What `liupan doctor` looks at in the storage of observations: look-ups at any size, no scan of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import Connection

from server import rollup
from server.checks import Facts, row

#: marks are counted so far back: older ones may lie in compressed chunks
MARKS = timedelta(days=30)

#: bytes of the raw results, of their indexes, of hours and days; native, then TimescaleDB
SIZES: tuple[LiteralString, LiteralString] = (
    "SELECT coalesce(sum(pg_table_size(inhrelid)), 0)::bigint AS raw_bytes,"
    " coalesce(sum(pg_indexes_size(inhrelid)), 0)::bigint AS index_bytes,"
    " pg_total_relation_size('rollup_hour') + pg_total_relation_size('rollup_day') AS rollup_bytes,"
    " NULL::float AS compression_ratio FROM pg_inherits WHERE inhparent = 'observation'::regclass",
    "SELECT coalesce(total_bytes - index_bytes, 0) AS raw_bytes, coalesce(index_bytes, 0) AS index_bytes,"
    " (SELECT coalesce(sum(hypertable_size(format('%%I.%%I', materialization_hypertable_schema,"
    "   materialization_hypertable_name)::regclass)), 0)::bigint"
    "  FROM timescaledb_information.continuous_aggregates WHERE hypertable_name IS NOT NULL) AS rollup_bytes,"
    " (SELECT sum(before_compression_total_bytes)::float / nullif(sum(after_compression_total_bytes), 0)"
    "  FROM hypertable_compression_stats('observation')) AS compression_ratio"
    " FROM hypertable_detailed_size('observation')",
)


def observations(conn: Connection[Any], now: datetime) -> Facts:
    """Return oldest and newest phenomenon time, how long the newest was on its way (s), what is doubtful."""
    newest = conn.execute(
        "SELECT phenomenon_time, extract(epoch FROM received_at - phenomenon_time)::float FROM latest"
        " WHERE phenomenon_time <= %s ORDER BY phenomenon_time DESC LIMIT 1",
        (now,),
    ).fetchone()
    doubts = row(
        conn,
        "SELECT (SELECT count(*) FROM observation_revision) AS revisions,"
        " (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM"
        "   (SELECT reason, count(*) AS n FROM observation CROSS JOIN unnest(flag_words(flags)) AS reason"
        "    WHERE flags <> 0 AND phenomenon_time > %(since)s GROUP BY reason) f) AS flags",
        since=now - MARKS,
    )
    times = {"newest": newest[0], "lag_s": newest[1]} if newest else {"newest": None, "lag_s": None}
    return {"oldest": _oldest(conn), **times, **doubts}


def storage(conn: Connection[Any], now: datetime, *, timescaledb: bool) -> Facts:
    """Return sizes (bytes), partitions, how far rollups are behind (s), why nothing can be written."""
    behind = _refreshed_s_ago(conn) if timescaledb else rollup.behind_s(conn)
    return {
        **row(conn, SIZES[timescaledb]),
        **row(
            conn,
            "SELECT count(p.name) AS partitions,"
            " count(p.name) FILTER (WHERE p.begin_time < s.floor) AS late_partitions,"
            " coalesce(bool_or(date_trunc('month', %(now)s::timestamptz, 'UTC') + interval '1 month' <@"
            "   tstzrange(p.begin_time, p.end_time)) FILTER (WHERE p.name IS NOT NULL), false) AS next_ready,"
            " nullif(s.floor, '-infinity') AS floor"
            " FROM rollup_state s LEFT JOIN observation_partition p ON true GROUP BY s.floor",
            now=now,
        ),
        "rollups_behind_s": behind,
        "refuses": _refuses(conn),
    }


def _oldest(conn: Connection[Any]) -> datetime | None:
    """Return the oldest time, by a look-up for each datastream in the first partition that holds anything."""
    partitions = conn.execute(
        "SELECT begin_time::text, end_time::text FROM observation_partition ORDER BY begin_time"
    ).fetchall()
    for begin, end in partitions:
        found = conn.execute(
            "SELECT min(o.phenomenon_time) FROM datastream d CROSS JOIN LATERAL (SELECT phenomenon_time"
            "  FROM observation WHERE datastream = d.id AND phenomenon_time >= %s AND phenomenon_time < %s"
            "  ORDER BY phenomenon_time LIMIT 1) o",
            (begin, end),
        ).fetchone()
        if found and found[0]:
            return found[0]  # type: ignore[no-any-return]
    return None


def _refreshed_s_ago(conn: Connection[Any]) -> float | None:
    """Return how long ago the hours were last refreshed by TimescaleDB; None before the first time."""
    return row(  # type: ignore[no-any-return]
        conn,
        "SELECT extract(epoch FROM now() - nullif(max(last_successful_finish), '-infinity'))::float AS ago_s"
        " FROM timescaledb_information.job_stats JOIN timescaledb_information.jobs USING (job_id)"
        " WHERE proc_name = 'policy_refresh_continuous_aggregate'",
    )["ago_s"]


def _refuses(conn: Connection[Any]) -> str | None:
    """Write a megabyte and take it back; return why that cannot be done."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(
                "CREATE TABLE liupan_doctor AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)"
            )
    except psycopg.Error as error:
        if conn.closed:
            raise
        return str(error).partition("\n")[0]
    return None
