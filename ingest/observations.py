"""Observations into their table, copied with their marks; the newest of each datastream; events."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from psycopg import Connection

from domain.flow import News, emit_all
from domain.quality import Flag
from ingest.columns import Columns, Ints, Rows
from ingest.past import forget, past_of
from ingest.quality import OF_VALUES, Judged, judge
from ingest.registry import Registry

COPY = "COPY observation (datastream, phenomenon_time, result, received_at, flags) FROM STDIN (FORMAT BINARY)"


class KnownKey(Exception):
    """Some observation of the batch is stored already: the batch must be stored carefully."""


def make_partitions(conn: Connection[Any], registry: Registry, columns: Columns) -> None:
    """Make the partitions of all months in the batch, outside of its transaction.

    Making one takes a lock that every reader and writer of observations would wait for until the commit; and
    what was made in a transaction that is undone would be remembered wrongly.
    """
    times = np.array(columns.at_us, "datetime64[us]").astype("datetime64[M]")
    for month in set(times.astype(np.int64).tolist()) - registry.months:
        first = np.datetime64(month, "M").astype("datetime64[s]")
        conn.execute("SELECT ensure_observation_partition(%s::timestamptz)", (f"{first}Z",))
        registry.months.add(month)


def store(conn: Connection[Any], registry: Registry, columns: Columns, *, careful: bool) -> Judged | None:
    """Store the observations that are new, and say so; keep what differs from what is known as a revision.

    Nearly always all of them are new, and COPY takes them at once. KnownKey: some are not; then the whole
    batch must be tried again with `careful`, which looks first. What is returned is to be noted (`past.note`)
    after the commit.
    """
    if not columns.stream:
        return None
    rows, again = _without_repeats(Rows.of(columns))
    if careful:
        known = _known(conn, rows)
        forget(registry, rows.stream[known])
        rows, again = rows.only(~known), [*again, rows.only(known)]
    judged = _store_new(conn, registry, rows) if len(rows) else None
    _revise(conn, [each for each in again if len(each)])
    return judged


def _store_new(conn: Connection[Any], registry: Registry, rows: Rows) -> Judged:
    streams = np.unique(rows.stream)
    judged = judge(rows, past_of(conn, registry, streams), registry.limits[streams])
    rows.flags[:] = judged.flags
    try:
        with conn.cursor().copy(COPY) as copy:
            copy.write(rows.copied())
    except psycopg.errors.UniqueViolation:
        raise KnownKey from None
    _note_latest(conn, rows, judged)
    told = rows if not len(judged.freed) else rows.and_also(_free(conn, judged))
    partitions = registry.partition[told.stream]
    parts = [(number, told.only(partitions == number)) for number in np.unique(partitions).tolist()]
    emit_all(conn, "observed", [News("", partition=n, packed=part.packed()) for n, part in parts])
    return judged


def _free(conn: Connection[Any], judged: Judged) -> Rows:
    """Take SPIKE back from the suspects that are believed now; return them as they are stored from now on.

    One that somebody else has freed is not returned: it has been told already.
    """
    freed = conn.execute(
        "UPDATE observation o SET flags = (o.flags & ~(%b::smallint)) | n.flags"
        " FROM unnest(%b::int[], %b::bigint[], %b::smallint[]) AS n (stream, at_us, flags)"
        " WHERE o.datastream = n.stream"
        " AND o.phenomenon_time = to_timestamp(0) + n.at_us * interval '1 microsecond'"
        " AND o.flags & %b::smallint <> 0"
        " RETURNING o.datastream, us_of(o.phenomenon_time), o.result, us_of(o.received_at), o.flags",
        (int(OF_VALUES), judged.stream[judged.freed].tolist(), judged.freed_at_us.tolist(),
         judged.freed_flags.tolist(), int(Flag.SPIKE)),
    ).fetchall()  # fmt: skip
    return Rows.told(freed)


def _without_repeats(rows: Rows) -> tuple[Rows, list[Rows]]:
    """Return the first result of each key in the batch, ordered by key, and the repeats."""
    order = np.lexsort((rows.at_us, rows.stream))
    rows = rows.only(order)
    repeated = np.zeros(len(rows), np.bool_)
    repeated[1:] = (np.diff(rows.stream) == 0) & (np.diff(rows.at_us) == 0)
    return (rows.only(~repeated), [rows.only(repeated)]) if repeated.any() else (rows, [])


def _known(conn: Connection[Any], rows: Rows) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell for each row whether its key is stored."""
    found = conn.execute(
        "SELECT n - 1 FROM unnest(%b::int[], %b::bigint[]) WITH ORDINALITY AS k (datastream, us, n)"
        " JOIN observation o ON o.datastream = k.datastream"
        " AND o.phenomenon_time = to_timestamp(0) + us * interval '1 microsecond'",
        (rows.stream.tolist(), rows.at_us.tolist()),
    ).fetchall()
    known = np.zeros(len(rows), np.bool_)
    known[[n for (n,) in found]] = True
    return known


def _revise(conn: Connection[Any], again: list[Rows]) -> None:
    """Keep the results that differ from the ones that are stored, or will be with this batch."""
    for rows in again:
        conn.execute(
            "INSERT INTO observation_revision (datastream, phenomenon_time, result, received_at)"
            " SELECT n.stream, n.at, n.result, n.received FROM (SELECT stream,"
            "   to_timestamp(0) + at_us * interval '1 microsecond' AS at, result,"
            "   to_timestamp(0) + received_us * interval '1 microsecond' AS received"
            "  FROM unnest(%b::int[], %b::bigint[], %b::float8[], %b::bigint[])"
            "   AS u (stream, at_us, result, received_us)) n"
            " JOIN observation o ON o.datastream = n.stream AND o.phenomenon_time = n.at"
            " WHERE o.result <> n.result ON CONFLICT DO NOTHING",
            [column.tolist() for column in (rows.stream, rows.at_us, rows.result, rows.received_us)],
        )


def _note_latest(conn: Connection[Any], rows: Rows, judged: Judged) -> None:
    """Bring `latest` up to date; `rows` are ordered by key."""
    rows = rows.only((rows.flags & int(Flag.FUTURE)) == 0)
    last: Ints = np.flatnonzero(np.diff(rows.stream, append=-1))
    newest = rows.only(last)
    every_us = judged.every_us[np.searchsorted(judged.stream, newest.stream)]
    conn.execute(
        "INSERT INTO latest AS l (datastream, phenomenon_time, result, flags, received_at, every_s)"
        " SELECT stream, to_timestamp(0) + at_us * interval '1 microsecond', result, flags,"
        "  to_timestamp(0) + received_us * interval '1 microsecond', nullif(every_us, 0) / 1e6"
        " FROM unnest(%b::int[], %b::bigint[], %b::float8[], %b::smallint[], %b::bigint[], %b::bigint[])"
        "  AS n (stream, at_us, result, flags, received_us, every_us)"
        " ON CONFLICT (datastream) DO UPDATE SET phenomenon_time = excluded.phenomenon_time,"
        "  result = excluded.result, flags = excluded.flags, received_at = excluded.received_at,"
        "  every_s = excluded.every_s"
        " WHERE l.phenomenon_time <= excluded.phenomenon_time",
        [column.tolist() for column in
         (newest.stream, newest.at_us, newest.result, newest.flags, newest.received_us, every_us)],
    )  # fmt: skip
