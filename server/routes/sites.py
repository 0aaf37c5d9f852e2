"""Hazard sites: what they are, how dangerous they are now, and what was last observed there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, LiteralString

from fastapi import APIRouter, Query
from pydantic import Field

from server.caller import Reader
from server.routes import Db, LevelWord, Limit, Out, row, rows
from server.routes.observations import Latest, list_latest

router = APIRouter(prefix="/sites", tags=["sites"])


class Site(Out):
    """A hazard site with its present level; `since` and `as_of` are phenomenon times."""

    code: str
    region: str
    name_zh: str
    name_en: str
    type: str
    mode: str
    rule: str
    lon: float
    lat: float
    threatened: int
    contact: str
    level: LevelWord
    since: datetime | None
    as_of: datetime | None


class SiteDetail(Site):
    """A hazard site with the ring of its threatened area and the newest results of its things."""

    polygon: list[tuple[float, float]]
    latest: list[Latest] = Field(default_factory=list)


#: the columns of Site
COLUMNS: LiteralString = (
    "s.code, s.region, s.name_zh, s.name_en, s.type, s.mode, s.rule, s.lon, s.lat, s.threatened, s.contact,"
    " coalesce(l.level, 0) AS level, l.since, l.as_of"
)


@router.get("")
def list_sites(
    conn: Db,
    caller: Reader,
    after: Annotated[str, Query(description="code of the last one of the page before")] = "",
    limit: Limit = 100,
) -> list[Site]:
    """List hazard sites by code, each with its level."""
    return rows(
        conn,
        Site,
        "SELECT " + COLUMNS + " FROM hazard_site s LEFT JOIN level l ON l.site = s.id"
        " WHERE starts_with(s.region, %(region)s) AND s.code > %(after)s ORDER BY s.code LIMIT %(limit)s",
        {"region": caller.region, "after": after, "limit": limit},
    )


@router.get("/{code}")
def show_site(conn: Db, caller: Reader, code: str) -> SiteDetail:
    """Show one hazard site, with the newest results of up to 500 of its things."""
    site = row(
        conn,
        SiteDetail,
        "SELECT " + COLUMNS + ", s.polygon FROM hazard_site s LEFT JOIN level l ON l.site = s.id"
        " WHERE starts_with(s.region, %(region)s) AND s.code = %(code)s",
        {"region": caller.region, "code": code},
        f"site {code}",
    )
    return site.model_copy(update={"latest": list_latest(conn, caller, site=code, limit=500)})
