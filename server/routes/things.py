"""Things: stations and phones, with their datastreams."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, LiteralString

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, row, rows

router = APIRouter(prefix="/things", tags=["things"])


class Thing(Out):
    """A station or a phone; `state` holds its last text results."""

    code: str
    kind: str
    name: str
    site: str | None
    region: str
    mode: str
    time_zone: str
    state: dict[str, Any]


class Datastream(Out):
    """One observed property of a thing; results outside valid_min..valid_max are marked.

    `silent_since`: when it was heard last, if it has said nothing for too long.
    """

    name: str
    observed_property: str
    unit: str
    valid_min: float | None
    valid_max: float | None
    silent_since: datetime | None


class ThingDetail(Thing):
    """A thing with its datastreams."""

    datastreams: list[Datastream]


#: the columns of Thing
COLUMNS: LiteralString = "t.code, t.kind, t.name, s.code AS site, t.region, t.mode, t.time_zone, t.state"


@router.get("")
def list_things(
    conn: Db,
    caller: Reader,
    site: str | None = None,
    after: Annotated[str, Query(description="code of the last one of the page before")] = "",
    limit: Limit = 100,
) -> list[Thing]:
    """List things by code."""
    return rows(
        conn,
        Thing,
        "SELECT " + COLUMNS + " FROM thing t LEFT JOIN hazard_site s ON s.id = t.site"
        " WHERE starts_with(t.region, %(region)s) AND (%(site)s::text IS NULL OR s.code = %(site)s)"
        " AND t.code > %(after)s ORDER BY t.code LIMIT %(limit)s",
        {"region": caller.region, "site": site, "after": after, "limit": limit},
    )


@router.get("/{code:path}")
def show_thing(conn: Db, caller: Reader, code: str) -> ThingDetail:
    """Show one thing; its code may contain slashes."""
    return row(
        conn,
        ThingDetail,
        "SELECT " + COLUMNS + ", coalesce((SELECT jsonb_agg("
        "   to_jsonb(d) || jsonb_build_object('silent_since', q.since) ORDER BY d.name)"
        "  FROM datastream d LEFT JOIN silence q ON q.datastream = d.id WHERE d.thing = t.id), '[]')"
        " AS datastreams"
        " FROM thing t LEFT JOIN hazard_site s ON s.id = t.site"
        " WHERE starts_with(t.region, %(region)s) AND t.code = %(code)s",
        {"region": caller.region, "code": code},
        f"thing {code}",
    )
