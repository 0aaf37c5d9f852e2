"""The stored track of a device for a file: page by page, so that a slow reader holds no connection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from domain.geo import Position
from domain.patrol import TrackPoint
from domain.track_format import Subject

PAGE = 5000


def find_subject(conn: Connection[Any], device: str, region: str) -> Subject | None:
    """Return the device as a file names it; None when there is none in the region."""
    row = conn.execute(
        "SELECT name, mode FROM thing WHERE code = %s AND starts_with(region, %s)", (device, region)
    ).fetchone()
    return None if row is None else Subject(device=device, name=row[0], mode=row[1])


def fixes(
    pool: ConnectionPool, device: str, region: str, start: datetime | None, end: datetime | None
) -> Iterator[TrackPoint]:
    """Yield the fixes with start <= time < end, in the order of their times."""
    place: tuple[object, ...] = (start, None, None)
    while True:
        with pool.connection() as conn:
            rows = conn.execute(
                "SELECT at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg, extra FROM track_point"
                " WHERE device = %s AND starts_with(region, %s)"
                " AND (at, lon, lat) > (coalesce(%s::timestamptz, '-infinity'),"
                "  coalesce(%s::float8, '-infinity'), coalesce(%s::float8, '-infinity'))"
                " AND at < coalesce(%s::timestamptz, 'infinity') ORDER BY at, lon, lat LIMIT %s",
                (device, region, *place, end, PAGE),
            ).fetchall()
        for at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg, extra in rows:
            yield TrackPoint(
                device=device,
                at=at,
                position=Position(lon=lon, lat=lat, altitude_m=altitude_m),
                accuracy_m=accuracy_m,
                speed_m_s=speed_m_s,
                course_deg=course_deg,
                extra=extra,
            )
        if len(rows) < PAGE:
            return
        place = rows[-1][:3]
