"""Counts: how much is stored, and how much of it is doubtful."""

from __future__ import annotations

from typing import LiteralString

from fastapi import APIRouter

from server.caller import Reader
from server.errors import Forbidden
from server.routes import Db, Out, row

router = APIRouter(prefix="/counts", tags=["counts"])


class Counts(Out):
    """Rows of the whole installation.

    `observations` comes from the statistics that the database keeps beside its tables: counting some hundred
    million rows would take minutes. It lags a second behind, and begins anew when the database has crashed.
    """

    observations: int
    revisions: int
    flags: dict[str, int]
    rejected: int


QUERY: LiteralString = (
    "SELECT (SELECT coalesce(sum(pg_stat_get_tuples_inserted(inhrelid)), 0)::bigint FROM pg_inherits"
    "        WHERE inhparent = 'observation'::regclass) AS observations,"
    " (SELECT count(*) FROM observation_revision) AS revisions,"
    " (SELECT coalesce(jsonb_object_agg(reason, n), '{}')"
    "  FROM (SELECT reason, count(*) AS n FROM flag GROUP BY reason) f) AS flags,"
    " (SELECT count(*) FROM rejected) AS rejected"
)


@router.get("")
def show_counts(conn: Db, caller: Reader) -> Counts:
    """Show how much is stored; only to who sees all regions. Forbidden: for others."""
    if not caller.whole:
        raise Forbidden("the counts are those of the whole installation: ask without X-Liupan-Region")
    return row(conn, Counts, QUERY, {}, "table")
