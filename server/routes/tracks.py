"""Tracks: the stored fixes of a device, raw, as a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from domain.geo import Position, length_m, pieces
from domain.track_format import FORMATS
from server import track_file
from server.caller import Reader
from server.errors import NotFound
from server.geojson import Feature, line
from server.routes import Db, Moment, Out, row, rows

router = APIRouter(prefix="/tracks", tags=["tracks"])


class Device(Out):
    """Who was where."""

    code: str


class Fix(Out):
    """One fix."""

    at: datetime
    lon: float
    lat: float
    altitude_m: float | None

    @property
    def position(self) -> Position:
        """Where it is."""
        return Position(lon=self.lon, lat=self.lat, altitude_m=self.altitude_m)


def export(ending: str) -> Callable[..., StreamingResponse]:
    """Return the route's function for files with this ending."""
    form = FORMATS[ending]

    def export_track(
        request: Request,
        conn: Db,
        caller: Reader,
        device: str,
        start: Annotated[Moment, Query(alias="from")] = None,
        end: Annotated[Moment, Query(alias="to")] = None,
    ) -> StreamingResponse:
        """Write all fixes with from <= time < to as a file; synthetic tracks are labelled in it."""
        subject = track_file.find_subject(conn, device, caller.region)
        if subject is None:
            raise NotFound(f"there is no device {device}, or it lies in a region that you do not see")
        fixes = track_file.fixes(request.app.state.pool, device, caller.region, start, end)
        named = f"attachment; filename*=UTF-8''{quote(device, safe='')}.{ending}"
        return StreamingResponse(
            form.write(subject, fixes),
            media_type=form.media_type,
            headers={"Content-Disposition": named},
        )

    return export_track


for name in FORMATS:
    router.get(f"/{{device:path}}.{name}", name=f"export_{name}", response_class=StreamingResponse)(
        export(name)
    )


@router.get("/{device:path}")
def show_track(
    conn: Db,
    caller: Reader,
    device: str,
    start: Annotated[Moment, Query(alias="from", description="next page: the property `next`")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=2, le=50_000)] = 10_000,
) -> Feature:
    """Show the fixes with from <= time < to as a GeoJSON line, with its length in m.

    The line is interrupted, and the length not counted, where two fixes lie more than 2 km apart. `at` has
    the times of the fixes; `next` is null unless there are more than `limit` of them.
    """
    row(
        conn,
        Device,
        "SELECT code FROM thing WHERE code = %(device)s AND starts_with(region, %(region)s)",
        {"region": caller.region, "device": device},
        f"device {device}",
    )
    fixes = rows(
        conn,
        Fix,
        "SELECT at, lon, lat, altitude_m FROM track_point WHERE device = %(device)s"
        " AND starts_with(region, %(region)s) AND at >= coalesce(%(start)s, '-infinity'::timestamptz)"
        " AND at < coalesce(%(end)s, 'infinity'::timestamptz) ORDER BY at, lon, lat LIMIT %(limit)s + 1",
        {"region": caller.region, "device": device, "start": start, "end": end, "limit": limit},
    )
    shown, more = fixes[:limit], fixes[limit:]
    parts = pieces([fix.position for fix in shown])
    properties = {
        "device": device,
        "points": len(shown),
        "length_m": round(sum(length_m(part) for part in parts), 1),
        "at": [fix.at for fix in shown],
        "next": more[0].at if more else None,
    }
    return Feature(geometry=line(parts), properties=properties)
