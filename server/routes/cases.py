"""Enforcement cases and their moves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query

from server.caller import Reader
from server.routes import Db, Limit, Out, row, rows

router = APIRouter(prefix="/cases", tags=["cases"])


class Case(Out):
    """A case, opened from a lead, in one step of its process."""

    id: UUID
    number: str
    lead: UUID
    region: str
    mode: str
    step: str
    opened_at: datetime


class Move(Out):
    """A step that the case came into, and why."""

    step: str
    at: datetime
    reason: str


class CaseDetail(Case):
    """A case with its moves."""

    moves: list[Move]


COLUMNS: LiteralString = "c.id, c.number, c.lead, c.region, c.mode, c.step, c.opened_at"


@router.get("")
def list_cases(
    conn: Db,
    caller: Reader,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Case]:
    """List cases, the newest first."""
    return rows(
        conn,
        Case,
        "SELECT " + COLUMNS + " FROM enforcement_case c WHERE starts_with(c.region, %(region)s)"
        " AND (%(after)s::uuid IS NULL OR c.id < %(after)s) ORDER BY c.id DESC LIMIT %(limit)s",
        {"region": caller.region, "after": after, "limit": limit},
    )


@router.get("/{id}")
def show_case(conn: Db, caller: Reader, id: UUID) -> CaseDetail:
    """Show one case with its moves."""
    return row(
        conn,
        CaseDetail,
        "SELECT " + COLUMNS + ", coalesce((SELECT jsonb_agg(to_jsonb(m) ORDER BY m.at) FROM case_move m"
        " WHERE m.enforcement_case = c.id), '[]') AS moves"
        " FROM enforcement_case c WHERE starts_with(c.region, %(region)s) AND c.id = %(id)s",
        {"region": caller.region, "id": id},
        f"case {id}",
    )
