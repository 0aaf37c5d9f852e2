"""What devices say besides values and fixes, into its table, with its event: zones, alarms, states, cards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.flow import emit
from domain.wire import encode
from ingest.decoded import Report
from ingest.registry import Sender


def store(conn: Connection[Any], report: Report, sender: Sender, received_at: datetime) -> bool:
    """Store the report; False when another one has its key. One without a time is new when it differs.

    Cards and states come again with each connection (the broker retains them), without a time of their own.
    """
    place = report.position
    body = encode(report.body).decode()
    key = (report.device, report.kind, report.about)
    new = conn.execute(
        "INSERT INTO device_report (device, kind, about, at, lon, lat, body, region, mode, received_at)"
        " SELECT %s, %s, %s, %s, %s, %s, new.body, %s, %s, %s FROM (SELECT %s::jsonb AS body) new"
        " WHERE %s OR new.body IS DISTINCT FROM (SELECT body FROM device_report"
        "  WHERE (device, kind, about) = (%s, %s, %s) ORDER BY at DESC LIMIT 1)"
        " ON CONFLICT DO NOTHING RETURNING at",
        (*key, report.at or received_at, *((place.lon, place.lat) if place else (None, None)),
         sender.region, sender.mode, received_at, body, report.at is not None, *key),
    ).fetchone()  # fmt: skip
    if new:
        told = {"kind": report.kind, "about": report.about, "at": new[0], "mode": sender.mode}
        told |= {"lon": place.lon, "lat": place.lat} if place else {}
        emit(conn, "device_reported", subject=report.device, region=sender.region, body=told)
        return True
    known = conn.execute(
        "SELECT body = %s::jsonb FROM device_report"
        " WHERE (device, kind, about) = (%s, %s, %s) AND (at = %s OR %s::timestamptz IS NULL)"
        " ORDER BY at DESC LIMIT 1",
        (body, *key, report.at, report.at),
    ).fetchone()
    return known is not None and bool(known[0])
