"""What devices report of themselves: alarms, zones entered, lost connections, states, cards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, rows

router = APIRouter(prefix="/device-reports", tags=["device reports"])


class DeviceReport(Out):
    """One report: `kind` is its name in the device's protocol, `body` the JSON object as it came."""

    id: int
    device: str
    kind: str
    about: str
    at: datetime
    lon: float | None
    lat: float | None
    body: dict[str, Any]
    region: str
    mode: str
    received_at: datetime


@router.get("")
def list_device_reports(
    conn: Db,
    caller: Reader,
    device: str | None = None,
    kind: Annotated[
        str | None, Query(description="as alarm, transition, lwt, poi, status, join, log")
    ] = None,
    after: Annotated[int | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[DeviceReport]:
    """List reports, the last stored first."""
    return rows(
        conn,
        DeviceReport,
        "SELECT id, device, kind, about, at, lon, lat, body, region, mode, received_at FROM device_report"
        " WHERE starts_with(region, %(region)s) AND (%(device)s::text IS NULL OR device = %(device)s)"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " AND (%(after)s::bigint IS NULL OR id < %(after)s) ORDER BY id DESC LIMIT %(limit)s",
        {"region": caller.region, "device": device, "kind": kind, "after": after, "limit": limit},
    )
