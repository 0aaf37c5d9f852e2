"""The way a team drove: the fixes of its phone while the dispatch was open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.geo import Position, length_m
from domain.patrol import TrackPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Fixes in the order of their time, and the length in m of the line through them."""

    points: tuple[TrackPoint, ...]
    length_m: float


def route_driven(conn: Connection[Any], dispatch: UUID) -> Route:
    """Return the fixes from the order to its end, or until now; LookupError when there is no such dispatch.

    A dispatch that was never ordered has no route.
    """
    if conn.execute("SELECT 1 FROM dispatch WHERE id = %s", (dispatch,)).fetchone() is None:
        raise LookupError(f"no dispatch {dispatch}")
    rows = conn.execute(
        "SELECT p.device, p.at, p.lon, p.lat, p.altitude_m, p.accuracy_m, p.speed_m_s, p.course_deg"
        " FROM dispatch d JOIN unit u ON u.id = d.unit JOIN track_point p ON p.device = u.device"
        " WHERE d.id = %s AND p.at BETWEEN d.ordered_at AND coalesce(d.closed_at, 'infinity')"
        " ORDER BY p.at, p.lon, p.lat",
        (dispatch,),
    ).fetchall()
    points = tuple(
        TrackPoint(
            device=device,
            at=at,
            position=Position(lon=lon, lat=lat, altitude_m=altitude),
            accuracy_m=accuracy,
            speed_m_s=speed,
            course_deg=course,
        )
        for device, at, lon, lat, altitude, accuracy, speed, course in rows
    )
    return Route(points=points, length_m=length_m([point.position for point in points]))
