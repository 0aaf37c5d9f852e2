"""Observations: the newest of each datastream; the series of one, with what is doubtful; hours and days."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, LiteralString

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Moment, Out, row, rows

router = APIRouter(prefix="/observations", tags=["observations"])


class Revision(Out):
    """A different result that came for the same time; the first one stands."""

    result: float
    received_at: datetime


class Observation(Out):
    """One result; flags say what is doubtful about it: no model uses one that is `range`, `future`, `spike`
    or `stale`; `stuck`, `rate`, `reset` and `gap` only inform.
    """

    phenomenon_time: datetime
    result: float
    received_at: datetime
    flags: list[str]
    revisions: list[Revision]


class Latest(Observation):
    """The newest result of a datastream, in its unit."""

    thing: str
    site: str | None
    datastream: str
    observed_property: str
    unit: str


#: the columns of Observation, of a row `o` of table observation
COLUMNS: LiteralString = (
    " o.phenomenon_time, o.result, o.received_at,"
    " flag_words(o.flags) AS flags,"
    " coalesce((SELECT jsonb_agg(jsonb_build_object('result', r.result, 'received_at', r.received_at)"
    "                            ORDER BY r.received_at) FROM observation_revision r"
    "           WHERE r.datastream = o.datastream AND r.phenomenon_time = o.phenomenon_time),"
    "          '[]') AS revisions"
)


class Rollup(Out):
    """The results of (begin_time, begin_time + 1 h or 1 d]; numbers are null where every result is marked.

    `marked` results (`range`, `future`, `spike` or `stale`) are in none of the other numbers.
    """

    begin_time: datetime
    count: int
    marked: int
    min: float | None
    max: float | None
    mean: float | None
    sum: float | None
    last: float | None
    last_time: datetime | None


class Every(StrEnum):
    """How long one rollup is; a day begins at midnight in Beijing (UTC+8)."""

    HOUR = "1h"
    DAY = "1d"


VIEWS: dict[Every, LiteralString] = {Every.HOUR: "observation_hour", Every.DAY: "observation_day"}


class Datastream(Out):
    """A datastream's number, by which results are kept."""

    id: int


@router.get("/latest")
def list_latest(
    conn: Db,
    caller: Reader,
    site: str | None = None,
    thing: str | None = None,
    after: Annotated[str, Query(description="thing of the last one of the page before")] = "",
    limit: Limit = 100,
) -> list[Latest]:
    """List the newest result of every datastream that has any, of at most `limit` things."""
    return rows(
        conn,
        Latest,
        "SELECT t.code AS thing, s.code AS site, d.name AS datastream, d.observed_property, d.unit,"
        + COLUMNS
        + " FROM (SELECT t.* FROM thing t LEFT JOIN hazard_site s ON s.id = t.site"
        "       WHERE starts_with(t.region, %(region)s) AND t.code > %(after)s"
        "       AND (%(site)s::text IS NULL OR s.code = %(site)s)"
        "       AND (%(thing)s::text IS NULL OR t.code = %(thing)s) ORDER BY t.code LIMIT %(limit)s) t"
        " LEFT JOIN hazard_site s ON s.id = t.site JOIN datastream d ON d.thing = t.id"
        " JOIN latest o ON o.datastream = d.id"
        " ORDER BY t.code, d.name",
        {"region": caller.region, "site": site, "thing": thing, "after": after, "limit": limit},
    )


@router.get("")
def list_series(
    conn: Db,
    caller: Reader,
    thing: str,
    datastream: str,
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to", description="next page: the last time of this one")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[Observation]:
    """List one datastream's results with from <= phenomenon time < to, the newest first."""
    return rows(
        conn,
        Observation,
        "SELECT" + COLUMNS + " FROM observation o WHERE o.datastream = %(id)s"
        " AND o.phenomenon_time >= coalesce(%(start)s, '-infinity'::timestamptz)"
        " AND o.phenomenon_time < coalesce(%(end)s, 'infinity'::timestamptz)"
        " ORDER BY o.phenomenon_time DESC LIMIT %(limit)s",
        {"id": _series(conn, caller, thing, datastream).id, "start": start, "end": end, "limit": limit},
    )


@router.get("/rollup")
def list_rollup(
    conn: Db,
    caller: Reader,
    thing: str,
    datastream: str,
    every: Every = Every.HOUR,
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to", description="next page: the last begin of this one")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[Rollup]:
    """List one datastream's hours or days with from <= begin < to, the newest first."""
    return rows(
        conn,
        Rollup,
        "SELECT begin_time, count, marked, min, max, mean, sum, last, last_time FROM "
        + VIEWS[every]
        + " WHERE datastream = %(id)s"
        " AND begin_time >= coalesce(%(start)s, '-infinity'::timestamptz)"
        " AND begin_time < coalesce(%(end)s, 'infinity'::timestamptz)"
        " ORDER BY begin_time DESC LIMIT %(limit)s",
        {"id": _series(conn, caller, thing, datastream).id, "start": start, "end": end, "limit": limit},
    )


def _series(conn: Db, caller: Reader, thing: str, datastream: str) -> Datastream:
    """Return the datastream that somebody asks for; NotFound when he does not see any such."""
    return row(
        conn,
        Datastream,
        "SELECT d.id FROM datastream d JOIN thing t ON t.id = d.thing"
        " WHERE starts_with(t.region, %(region)s) AND t.code = %(thing)s AND d.name = %(name)s",
        {"region": caller.region, "thing": thing, "name": datastream},
        f"datastream {datastream} of {thing}",
    )
