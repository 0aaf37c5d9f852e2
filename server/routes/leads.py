"""Leads: suspected violations and dangers seen in the field, and their evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, row, rows

router = APIRouter(prefix="/leads", tags=["leads"])


class Lead(Out):
    """What an inspector saw, and the case that it became."""

    id: UUID
    device: str
    kind: str
    lon: float
    lat: float
    seen_at: datetime
    note: str
    region: str
    mode: str
    received_at: datetime
    case: UUID | None


class Evidence(Out):
    """A photo or file, sealed by its SHA-256 when it was captured."""

    id: UUID
    sha256: str
    media_type: str
    size: int
    captured_at: datetime
    lon: float | None
    lat: float | None


class LeadDetail(Lead):
    """A lead with its evidence."""

    evidence: list[Evidence]


COLUMNS: LiteralString = (
    " l.id, l.device, l.kind, l.lon, l.lat, l.seen_at, l.note, l.region, l.mode, l.received_at,"
    ' (SELECT c.id FROM enforcement_case c WHERE c.lead = l.id) AS "case"'
)


@router.get("")
def list_leads(
    conn: Db,
    caller: Reader,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Lead]:
    """List leads, the newest first (by the time in the id, which the phone made)."""
    return rows(
        conn,
        Lead,
        "SELECT" + COLUMNS + " FROM lead l WHERE starts_with(l.region, %(region)s)"
        " AND (%(after)s::uuid IS NULL OR l.id < %(after)s) ORDER BY l.id DESC LIMIT %(limit)s",
        {"region": caller.region, "after": after, "limit": limit},
    )


@router.get("/{id}")
def show_lead(conn: Db, caller: Reader, id: UUID) -> LeadDetail:
    """Show one lead with its evidence."""
    return row(
        conn,
        LeadDetail,
        "SELECT" + COLUMNS + ", coalesce((SELECT jsonb_agg(to_jsonb(e) ORDER BY e.id) FROM evidence e"
        " WHERE e.lead = l.id), '[]') AS evidence"
        " FROM lead l WHERE starts_with(l.region, %(region)s) AND l.id = %(id)s",
        {"region": caller.region, "id": id},
        f"lead {id}",
    )
