"""Counts: how much is stored, and how much of it is doubtful."""

from __future__ import annotations

from typing import LiteralString

from fastapi import APIRouter

from server.caller import Reader
from server.routes import Db, Out, row

router = APIRouter(prefix="/counts", tags=["counts"])


class Counts(Out):
    """Rows, by what they are.

    `observations` is null for who sees only a part of the installation. It comes from the statistics that the
    database keeps beside its tables, as counting a hundred million rows would take minutes: it lags a second
    behind, and begins anew when the database has crashed.
    """

    observations: int | None
    revisions: int
    flags: dict[str, int]
    rejected: int


QUERY: LiteralString = (
    "WITH seen AS (SELECT d.id FROM datastream d JOIN thing t ON t.id = d.thing"
    "              WHERE starts_with(t.region, %(region)s))"
    " SELECT CASE WHEN %(whole)s THEN"
    "  (SELECT coalesce(sum(pg_stat_get_tuples_inserted(inhrelid)), 0)::bigint FROM pg_inherits"
    "   WHERE inhparent = 'observation'::regclass) END AS observations,"
    " (SELECT count(*) FROM observation_revision r JOIN seen ON seen.id = r.datastream) AS revisions,"
    " (SELECT coalesce(jsonb_object_agg(reason, n), '{}')"
    "  FROM (SELECT reason, count(*) AS n FROM observation o JOIN seen ON seen.id = o.datastream"
    "        CROSS JOIN unnest(flag_words(o.flags)) AS reason WHERE o.flags <> 0 GROUP BY reason) counted)"
    "  AS flags,"
    " (SELECT count(*) FROM rejected j LEFT JOIN thing t ON t.code = j.device"
    "  WHERE CASE WHEN t.region IS NULL THEN %(whole)s ELSE starts_with(t.region, %(region)s) END)"
    "  AS rejected"
)


@router.get("")
def show_counts(conn: Db, caller: Reader) -> Counts:
    """Show how much is stored."""
    return row(conn, Counts, QUERY, {"region": caller.region, "whole": caller.whole}, "table")
