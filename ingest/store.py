"""The database side: each batch in one transaction, with its events; what cannot be used goes to quarantine.

Everything is absorbed by its key when it comes again, so a message may be delivered any number of times.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection

from ingest import observations, past, replies, reports, station_files
from ingest.quality import Judged
from ingest.quarantine import claim_late, quarantine, reason_of
from ingest.registry import Registry
from ingest.resolve import SAID, Batch, Contents

#: errors that one payload can cause by what it contains; anything else is ours, and ends the process
POISON = (psycopg.DataError, psycopg.IntegrityError, UnicodeError)
#: the database is there and takes nothing: it is full, has no memory left, or is read-only
REFUSED = (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory, psycopg.errors.ReadOnlySqlTransaction)
#: after a batch with known keys the next ones are looked at more closely for so long (s)
CAREFUL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an arrival: is anything of it stored, and why not the rest; '' when all of it is.

    `keys` are those of `Contents`: where each numbered result is stored.
    """

    kept: bool
    reason: str
    keys: tuple[tuple[int, int] | None, ...] = ()


ALL_KEPT = Outcome(kept=True, reason="")


def save(conn: Connection[Any], registry: Registry, batch: Batch) -> list[Outcome]:
    """Store the batch and commit; return what became of each.

    A payload that the database refuses is found by halving the batch, each half a transaction of its own.
    psycopg.OperationalError: the database is gone, nothing of the batch (or of this half) is stored.
    """
    observations.make_partitions(conn, registry, batch.columns)
    try:
        with conn.transaction():
            outcomes, judged = _keep_and_quarantine(conn, registry, batch)
        past.note(registry, judged)
        claim_late(conn, batch.contents)
        return outcomes
    except observations.KnownKey:
        registry.careful_until = time.monotonic() + CAREFUL_S
        return save(conn, registry, batch)
    except POISON as error:
        registry.months.clear()  # in case a partition went away
        if len(batch) > 1:
            half = len(batch) // 2
            return [
                *save(conn, registry, batch.part(0, half)),
                *save(conn, registry, batch.part(half, len(batch))),
            ]
        outcome = Outcome(kept=False, reason=refused_because(error))
        with conn.transaction():
            quarantine(conn, [(batch.contents[0], outcome.reason)])
        claim_late(conn, batch.contents)
        return [outcome]


def keep(conn: Connection[Any], registry: Registry, batch: Batch) -> tuple[list[Outcome], Judged | None]:
    """Store what may be stored, with its events, in the open transaction; the partitions must be there.

    Return what became of each, and what `past.note` is to be told after the commit.
    """
    rich = [contents for contents in batch.contents if contents.is_rich]
    refused: defaultdict[int, list[reports.Refusal]] = defaultdict(list)
    for refusal in (*reports.keep(conn, rich), *station_files.keep(conn, rich)):
        refused[refusal.place].append(refusal)
    careful = time.monotonic() < registry.careful_until
    judged = observations.store(conn, registry, batch.columns, careful=careful)
    _states(conn, rich)
    replies.keep(conn, rich)
    outcomes = [ALL_KEPT] * len(batch)
    for contents in rich:
        outcomes[contents.place] = _outcome(contents, refused.get(contents.place, ()))
    return outcomes, judged


def _keep_and_quarantine(
    conn: Connection[Any], registry: Registry, batch: Batch
) -> tuple[list[Outcome], Judged | None]:
    outcomes, judged = keep(conn, registry, batch)
    refused = [(batch.contents[n], outcome.reason) for n, outcome in enumerate(outcomes) if outcome.reason]
    quarantine(conn, refused)
    return outcomes, judged


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
    if not contents.problems and not refused and not contents.keys:
        return ALL_KEPT
    reason = reason_of([*contents.problems, *(refusal.reason for refusal in refused)])
    size = contents.observations + len(contents.states) + len(contents.files)
    size += sum(len(getattr(contents, name)) for name in SAID)
    kept = size > sum(refusal.whole for refusal in refused)
    return Outcome(kept=kept, reason=reason, keys=tuple(contents.keys))
