"""Rescue teams: where they are and what they are doing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, rows

router = APIRouter(prefix="/units", tags=["units"])


class Unit(Out):
    """A team at its newest fix, or at its station when it has none; its open dispatch, if any."""

    code: str
    name_zh: str
    name_en: str
    region: str
    mode: str
    device: str
    available: bool
    lon: float
    lat: float
    fixed_at: datetime | None
    dispatch: UUID | None
    state: str | None


@router.get("")
def list_units(
    conn: Db,
    caller: Reader,
    after: Annotated[str, Query(description="code of the last one of the page before")] = "",
    limit: Limit = 100,
) -> list[Unit]:
    """List teams by code."""
    return rows(
        conn,
        Unit,
        "SELECT u.code, u.name_zh, u.name_en, u.region, t.mode, u.device, u.available,"
        " coalesce(p.lon, u.lon) AS lon, coalesce(p.lat, u.lat) AS lat, p.at AS fixed_at,"
        " d.id AS dispatch, d.state FROM unit u JOIN thing t ON t.code = u.device"
        " LEFT JOIN dispatch d ON d.unit = u.id AND d.closed_at IS NULL"
        " LEFT JOIN LATERAL (SELECT lon, lat, at FROM track_point WHERE device = u.device"
        "                    ORDER BY at DESC LIMIT 1) p ON true"
        " WHERE starts_with(u.region, %(region)s) AND u.code > %(after)s ORDER BY u.code LIMIT %(limit)s",
        {"region": caller.region, "after": after, "limit": limit},
    )
