"""The database side: each batch in one transaction, with its events; what cannot be used goes to quarantine.

Everything is absorbed by its key when it comes again, so a message may be delivered any number of times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection

from domain.flow import News, emit_all
from domain.thing import Observation
from domain.wire import pack
from ingest import reports
from ingest.quarantine import claim_late, quarantine, reason_of
from ingest.registry import Registry
from ingest.resolve import Contents

#: errors that one payload can cause by what it contains; anything else is ours, and ends the process
POISON = (psycopg.DataError, psycopg.IntegrityError, UnicodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an arrival: is anything of it stored, and why not the rest; '' when all of it is."""

    kept: bool
    reason: str


ALL_KEPT = Outcome(kept=True, reason="")


def save(conn: Connection[Any], registry: Registry, batch: Sequence[Contents]) -> list[Outcome]:
    """Store the batch and commit; return what became of each.

    A payload that the database refuses is found by halving the batch, each half a transaction of its own.
    psycopg.OperationalError: the database is gone, nothing of the batch (or of this half) is stored.
    """
    make_partitions(conn, registry, batch)
    try:
        with conn.transaction():
            outcomes = keep(conn, registry, batch)
            quarantine(conn, [(c, o.reason) for c, o in zip(batch, outcomes, strict=True) if o.reason])
        claim_late(conn, batch)
        return outcomes
    except POISON as error:
        registry.months.clear()  # in case a partition went away
        if len(batch) > 1:
            half = len(batch) // 2
            return save(conn, registry, batch[:half]) + save(conn, registry, batch[half:])
        outcome = Outcome(kept=False, reason=refused_because(error))
        with conn.transaction():
            quarantine(conn, [(batch[0], outcome.reason)])
        claim_late(conn, batch)
        return [outcome]


def keep(conn: Connection[Any], registry: Registry, batch: Sequence[Contents]) -> list[Outcome]:
    """Store what may be stored, with its events, in the open transaction; the partitions must be there."""
    refused: defaultdict[int, list[reports.Refusal]] = defaultdict(list)
    for refusal in reports.keep(conn, batch):
        refused[refusal.place].append(refusal)
    _observations(conn, registry, batch)
    _states(conn, batch)
    return [_outcome(contents, refused.get(index, [])) for index, contents in enumerate(batch)]


def make_partitions(conn: Connection[Any], registry: Registry, batch: Sequence[Contents]) -> None:
    """Make the partitions of all months in the batch, outside of its transaction.

    Making one takes a lock that every reader and writer of observations would wait for until the commit; and
    what was made in a transaction that is undone would be remembered wrongly.
    """
    for contents in batch:
        for _, at, _, _ in contents.observations:
            if (at.year, at.month) not in registry.months:
                conn.execute("SELECT ensure_observation_partition(%s)", (at,))
                registry.months.add((at.year, at.month))


def _observations(conn: Connection[Any], registry: Registry, batch: Sequence[Contents]) -> None:
    """Insert the observations that are new, and say so; keep what differs from what is known as a revision.

    Binary arrays in one statement: with 50 rows faster than COPY to a temporary table, with 5,000 as fast.
    """
    rows = [row for contents in batch for row in contents.observations]
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    new = (
        conn.cursor(binary=True)
        .execute(
            "INSERT INTO observation (datastream, phenomenon_time, result, received_at)"
            " SELECT * FROM unnest(%b::int[], %b::timestamptz[], %b::float8[], %b::timestamptz[])"
            " ON CONFLICT DO NOTHING RETURNING datastream, phenomenon_time, result",
            columns,
        )
        .fetchall()
    )
    if len(new) < len(rows):
        conn.execute(
            "INSERT INTO observation_revision (datastream, phenomenon_time, result, received_at)"
            " SELECT n.* FROM unnest(%b::int[], %b::timestamptz[], %b::float8[], %b::timestamptz[])"
            "  AS n (datastream, phenomenon_time, result, received_at)"
            " JOIN observation o USING (datastream, phenomenon_time)"
            " WHERE o.result <> n.result ON CONFLICT DO NOTHING",
            columns,
        )
    _emit_observed(conn, registry, new)


def _emit_observed(
    conn: Connection[Any], registry: Registry, new: Sequence[tuple[int, datetime, float]]
) -> None:
    by_partition: defaultdict[int, list[Observation]] = defaultdict(list)
    for datastream, at, result in new:
        by_partition[registry.partitions[datastream]].append(
            Observation(datastream=datastream, phenomenon_time=at, result=result)
        )
    if by_partition:
        news = [News("", partition=number, packed=pack(said)) for number, said in by_partition.items()]
        emit_all(conn, "observed", news)


def _states(conn: Connection[Any], batch: Sequence[Contents]) -> None:
    """Remember the last text result of each datastream with its time; an older one does not replace it."""
    for contents in batch:
        for thing, name, at, text in contents.states:
            conn.execute(
                "UPDATE thing SET state = state || jsonb_build_object(%(name)s::text,"
                "  jsonb_build_object('result', %(text)s::text, 'at', %(at)s::timestamptz))"
                " WHERE id = %(thing)s"
                " AND coalesce((state -> %(name)s ->> 'at')::timestamptz <= %(at)s, true)",
                {"name": name, "text": text, "at": at, "thing": thing},
            )


def refused_because(error: Exception) -> str:
    """Return why the database refuses a payload, of an error out of POISON."""
    return reason_of([f"the database refuses it: {str(error).partition(chr(10))[0]}"])


def _outcome(contents: Contents, refused: Sequence[reports.Refusal]) -> Outcome:
    if not contents.problems and not refused:
        return ALL_KEPT
    reason = reason_of([*contents.problems, *(refusal.reason for refusal in refused)])
    said = len(contents.fixes) + len(contents.patrols) + len(contents.leads) + len(contents.answers)
    size = len(contents.observations) + len(contents.states) + said
    return Outcome(kept=size > sum(refusal.whole for refusal in refused), reason=reason)
