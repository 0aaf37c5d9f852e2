"""Incidents: emergencies being handled, the teams on them and the ways that these drove."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from server.caller import Officer, Reader
from server.geojson import Feature, FeatureCollection, line
from server.routes import Db, LevelWord, Limit, Out, row, rows
from server.routes import dispatches as dispatch_routes
from warning.response.incident import close_incident
from warning.response.tracking import route_driven

router = APIRouter(prefix="/incidents", tags=["incidents"])


class Incident(Out):
    """An emergency at a site; the note says why it has no team."""

    id: UUID
    site: str
    site_name_zh: str
    site_name_en: str
    lon: float
    lat: float
    region: str
    mode: str
    level: LevelWord
    alert: str | None
    opened_at: datetime
    closed_at: datetime | None
    note_zh: str
    note_en: str


class IncidentDetail(Incident):
    """An incident with its dispatches, each with its moves."""

    dispatches: list[dispatch_routes.Dispatch] = Field(default_factory=list)


QUERY: LiteralString = (
    "SELECT i.id, s.code AS site, s.name_zh AS site_name_zh, s.name_en AS site_name_en, s.lon, s.lat,"
    " i.region, i.mode, coalesce(l.level, 0) AS level, a.identifier AS alert, i.opened_at, i.closed_at,"
    " i.note_zh, i.note_en FROM incident i JOIN hazard_site s ON s.id = i.site"
    " LEFT JOIN level l ON l.site = i.site LEFT JOIN alert a ON a.id = i.alert"
    " WHERE starts_with(i.region, %(region)s)"
)


@router.get("")
def list_incidents(
    conn: Db,
    caller: Reader,
    open: bool | None = None,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Incident]:
    """List incidents, the newest first, with the present level of their sites."""
    return rows(
        conn,
        Incident,
        QUERY + " AND (%(open)s::boolean IS NULL OR (i.closed_at IS NULL) = %(open)s)"
        " AND (%(after)s::uuid IS NULL OR i.id < %(after)s) ORDER BY i.id DESC LIMIT %(limit)s",
        {"region": caller.region, "open": open, "after": after, "limit": limit},
    )


@router.get("/{id}")
def show_incident(conn: Db, caller: Reader, id: UUID) -> IncidentDetail:
    """Show one incident with its dispatches."""
    params = {"region": caller.region, "id": id}
    incident = row(conn, IncidentDetail, QUERY + " AND i.id = %(id)s", params, f"incident {id}")
    dispatches = rows(
        conn,
        dispatch_routes.Dispatch,
        dispatch_routes.QUERY + " AND d.incident = %(id)s ORDER BY d.id",
        params,
    )
    return incident.model_copy(update={"dispatches": dispatches})


@router.get("/{id}/routes")
def show_routes(conn: Db, caller: Reader, id: UUID) -> FeatureCollection:
    """Show the way that each team of the incident drove, from its order to the end of it."""
    features = []
    for dispatch in show_incident(conn, caller, id).dispatches:
        driven = route_driven(conn, dispatch.id)
        properties = {
            "dispatch": dispatch.id,
            "unit": dispatch.unit,
            "state": dispatch.state,
            "length_m": round(driven.length_m),
            "at": [point.at for point in driven.points],
        }
        geometry = line([[point.position for point in driven.points]])
        features.append(Feature(geometry=geometry, properties=properties))
    return FeatureCollection(features=features)


@router.post("/{id}/close")
def close(conn: Db, caller: Officer, id: UUID) -> IncidentDetail:
    """Close the incident and call back its teams."""
    if show_incident(conn, caller, id).closed_at is None:
        close_incident(conn, id, datetime.now(UTC))
    return show_incident(conn, caller, id)
