"""The registry as a file: what `liupan import` would read back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from server.caller import Reader
from server.exporting import exported
from server.routes import Db

router = APIRouter(prefix="/registry", tags=["registry"])

MEDIA = {"csv": "text/csv; charset=utf-8", "geojson": "application/geo+json"}

Kind = Literal["regions", "sites", "things", "datastreams", "units", "recipients"]


@router.get("/export", response_class=Response)
def export_registry(
    conn: Db,
    caller: Reader,
    format: Literal["csv", "geojson"] = "geojson",
    kind: Annotated[Kind | None, Query(description="only this list; a CSV then has its columns only")] = None,
) -> Response:
    """Return what is registered, as a file that can be imported again."""
    name = f"{kind or 'registry'}.{format}"
    return Response(
        exported(conn, format, caller.region, kind),
        media_type=MEDIA[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
