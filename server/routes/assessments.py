"""Assessments: what the models said about a site at a time, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, LevelWord, Limit, Out, row, rows

router = APIRouter(prefix="/assessments", tags=["assessments"])


class Assessment(Out):
    """The models' answer at phenomenon time `at`; each model's exceedance ratio is 1 on its line."""

    id: UUID
    site: str
    region: str
    mode: str
    at: datetime
    level: LevelWord
    rule: str
    rule_version: int
    models: dict[str, Any]
    reason_zh: str
    reason_en: str
    assessed_at: datetime


QUERY: LiteralString = (
    "SELECT a.id, s.code AS site, a.region, s.mode, a.at, a.level, a.rule, a.rule_version, a.models,"
    " a.reason_zh, a.reason_en, a.assessed_at FROM assessment a JOIN hazard_site s ON s.id = a.site"
    " WHERE starts_with(a.region, %(region)s)"
)


@router.get("")
def list_assessments(
    conn: Db,
    caller: Reader,
    site: str | None = None,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Assessment]:
    """List assessments, the newest first."""
    return rows(
        conn,
        Assessment,
        QUERY + " AND (%(site)s::text IS NULL OR s.code = %(site)s)"
        " AND (%(after)s::uuid IS NULL OR a.id < %(after)s) ORDER BY a.id DESC LIMIT %(limit)s",
        {"region": caller.region, "site": site, "after": after, "limit": limit},
    )


@router.get("/{id}")
def show_assessment(conn: Db, caller: Reader, id: UUID) -> Assessment:
    """Show one assessment."""
    return row(
        conn,
        Assessment,
        QUERY + " AND a.id = %(id)s",
        {"region": caller.region, "id": id},
        f"assessment {id}",
    )
