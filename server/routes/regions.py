"""Administrative regions by GB/T 2260 code."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, row, rows

router = APIRouter(prefix="/regions", tags=["regions"])


class Region(Out):
    """A region; level 1 province, 2 city, 3 county, 4 township; its centre in WGS-84 degrees."""

    code: str
    parent: str | None
    level: int
    name_zh: str
    name_en: str
    lon: float
    lat: float


@router.get("")
def list_regions(
    conn: Db,
    caller: Reader,
    parent: str | None = None,
    after: Annotated[str, Query(description="code of the last one of the page before")] = "",
    limit: Limit = 100,
) -> list[Region]:
    """List regions by code."""
    return rows(
        conn,
        Region,
        "SELECT code, parent, level, name_zh, name_en, lon, lat FROM region"
        " WHERE starts_with(code, %(region)s) AND (%(parent)s::text IS NULL OR parent = %(parent)s)"
        " AND code > %(after)s ORDER BY code LIMIT %(limit)s",
        {"region": caller.region, "parent": parent, "after": after, "limit": limit},
    )


@router.get("/{code}")
def show_region(conn: Db, caller: Reader, code: str) -> Region:
    """Show one region."""
    return row(
        conn,
        Region,
        "SELECT code, parent, level, name_zh, name_en, lon, lat FROM region"
        " WHERE starts_with(code, %(region)s) AND code = %(code)s",
        {"region": caller.region, "code": code},
        f"region {code}",
    )
