"""Which team to send: the free ones, ranked by great-circle distance from their last fix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.geo import Position, distance_m


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A free unit and how far it is from the site, in m; `fix_age` is None when it never told a fix."""

    unit: int
    name_zh: str
    name_en: str
    distance_m: float
    fix_age: timedelta | None


def rank(conn: Connection[Any], incident: UUID, at: datetime) -> list[Candidate]:
    """Return the units that are free for this incident, the nearest first.

    Free is a unit that is available, has no open dispatch, and was not asked for this incident before.
    A team whose phone belongs to an exercise or a test is never free for the real thing. One that has told
    no fix is taken to stand at its station.
    """
    rows = conn.execute(
        "SELECT u.id, u.name_zh, u.name_en, coalesce(fix.lon, u.lon), coalesce(fix.lat, u.lat), fix.at,"
        " s.lon, s.lat"
        " FROM incident i JOIN hazard_site s ON s.id = i.site CROSS JOIN unit u"
        " JOIN thing t ON t.code = u.device LEFT JOIN LATERAL"
        "  (SELECT lon, lat, at FROM track_point WHERE device = u.device ORDER BY at DESC LIMIT 1) fix"
        " ON true"
        " WHERE i.id = %s AND u.available AND (i.mode <> 'actual' OR t.mode = 'actual')"
        " AND NOT EXISTS (SELECT FROM dispatch d"
        "                 WHERE d.unit = u.id AND (d.closed_at IS NULL OR d.incident = i.id))",
        (incident,),
    ).fetchall()
    candidates = [
        Candidate(
            unit=unit,
            name_zh=name_zh,
            name_en=name_en,
            distance_m=distance_m(Position(lon=lon, lat=lat), Position(lon=site_lon, lat=site_lat)),
            fix_age=at - fixed_at if fixed_at else None,
        )
        for unit, name_zh, name_en, lon, lat, fixed_at, site_lon, site_lat in rows
    ]
    return sorted(candidates, key=lambda c: (c.distance_m, c.unit))


def reasons(candidate: Candidate, free: int) -> tuple[str, str]:
    """Return why this one of `free` units was chosen: (Chinese, English)."""
    km = candidate.distance_m / 1000
    if candidate.fix_age is None:
        fix_zh, fix_en = "无定位，按驻地计算", "no fix known, measured from its station"
    else:
        minutes = max(0, round(candidate.fix_age.total_seconds() / 60))
        fix_zh, fix_en = f"定位于{minutes}分钟前", f"its fix is {minutes} min old"
    return (
        f"{free}支空闲队伍中最近：{candidate.name_zh}，直线距离{km:.1f}公里，{fix_zh}",
        f"nearest of {free} free: {candidate.name_en}, {km:.1f} km as the crow flies, {fix_en}",
    )
