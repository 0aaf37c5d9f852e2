"""How things stand at one moment, and the place in the live feed that follows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.alert import Level
from server.live import Cursor, first


def snapshot(conn: Connection[Any], region: str) -> tuple[Cursor, dict[str, Any]]:
    """Return the cursor from which the feed goes on, and the levels and open incidents of the regions."""
    params = {"region": region}
    with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        start = first(conn)
        levels = cursor.execute(
            "SELECT s.code AS site, s.name_zh, s.name_en, s.region, s.mode, l.level, l.since, l.as_of"
            " FROM level l JOIN hazard_site s ON s.id = l.site"
            " WHERE starts_with(s.region, %(region)s) ORDER BY l.level DESC, s.code",
            params,
        ).fetchall()
        incidents = cursor.execute(
            "SELECT i.id, s.code AS site, s.name_zh, s.name_en, i.region, i.mode, i.opened_at, i.note_zh,"
            " i.note_en, coalesce((SELECT jsonb_agg(jsonb_build_object('id', d.id, 'unit', u.code,"
            "   'state', d.state) ORDER BY d.id) FROM dispatch d JOIN unit u ON u.id = d.unit"
            "   WHERE d.incident = i.id AND d.closed_at IS NULL), '[]') AS dispatches"
            " FROM incident i JOIN hazard_site s ON s.id = i.site"
            " WHERE i.closed_at IS NULL AND starts_with(i.region, %(region)s) ORDER BY i.id",
            params,
        ).fetchall()
    for row in levels:
        row["level"] = Level(row["level"]).word
    return start, {"as_of": datetime.now(UTC), "levels": levels, "incidents": incidents}
