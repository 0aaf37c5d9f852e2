"""Files of stations: pictures, raw GNSS observations, replies in bytes; each with the hash of its bytes."""

from __future__ import annotations

import mimetypes
from datetime import datetime
from typing import Annotated, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query, Response

from server.caller import Reader
from server.routes import Db, Limit, Out, row, rows

router = APIRouter(prefix="/station-files", tags=["station-files"])


class StationFile(Out):
    """One file; `at` is the time that the station tells, else that of its receipt; `size` is in bytes."""

    id: UUID
    thing: str
    name: str
    sha256: str
    media_type: str
    size: int
    at: datetime
    description: str
    received_at: datetime


class Contents(Out):
    """The bytes of a file, and what they are."""

    media_type: str
    sha256: str
    data: bytes


COLUMNS: LiteralString = (
    " f.id, t.code AS thing, f.name, f.sha256, f.media_type, f.size, f.at, f.description, f.received_at"
)


@router.get("")
def list_station_files(
    conn: Db,
    caller: Reader,
    thing: Annotated[str | None, Query(description="only files of this station")] = None,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[StationFile]:
    """List files, the newest first, by the time of their receipt."""
    return rows(
        conn,
        StationFile,
        "SELECT" + COLUMNS + " FROM station_file f JOIN thing t ON t.id = f.thing"
        " WHERE starts_with(t.region, %(region)s) AND (%(thing)s::text IS NULL OR t.code = %(thing)s)"
        " AND (%(after)s::uuid IS NULL OR f.id < %(after)s) ORDER BY f.id DESC LIMIT %(limit)s",
        {"region": caller.region, "thing": thing, "after": after, "limit": limit},
    )


@router.get("/{id}")
def show_station_file(conn: Db, caller: Reader, id: UUID) -> StationFile:
    """Show what is known of one file."""
    return row(
        conn,
        StationFile,
        "SELECT" + COLUMNS + " FROM station_file f JOIN thing t ON t.id = f.thing"
        " WHERE starts_with(t.region, %(region)s) AND f.id = %(id)s",
        {"region": caller.region, "id": id},
        f"station file {id}",
    )


@router.get("/{id}/data", response_class=Response)
def download_station_file(conn: Db, caller: Reader, id: UUID) -> Response:
    """Return the bytes as they came, to be saved: nobody's browser runs what a station sent."""
    found = row(
        conn,
        Contents,
        "SELECT f.media_type, f.sha256, f.data FROM station_file f JOIN thing t ON t.id = f.thing"
        " WHERE starts_with(t.region, %(region)s) AND f.id = %(id)s",
        {"region": caller.region, "id": id},
        f"station file {id}",
    )
    ending = mimetypes.guess_extension(found.media_type) or ".bin"
    headers = {
        "Content-Disposition": f'attachment; filename="{id}{ending}"',
        "ETag": f'"{found.sha256}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(found.data, media_type=found.media_type, headers=headers)
