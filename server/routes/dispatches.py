"""Dispatches: the order of one team, its moves, and the two that an officer makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

from fastapi import APIRouter

from domain.incident import DispatchState
from server.caller import Officer, Reader
from server.routes import Db, Out, row
from warning.response.incident import confirm, move

router = APIRouter(prefix="/dispatches", tags=["dispatches"])


class Move(Out):
    """A state that the dispatch came into."""

    state: str
    at: datetime


class Dispatch(Out):
    """A team and the incident that it is for; `distance_m` as the crow flies when it was proposed."""

    id: UUID
    incident: UUID
    unit: str
    unit_name_zh: str
    unit_name_en: str
    device: str
    region: str
    state: str
    distance_m: float
    reason_zh: str
    reason_en: str
    ordered_at: datetime | None
    closed_at: datetime | None
    moves: list[Move]


QUERY: LiteralString = (
    "SELECT d.id, d.incident, u.code AS unit, u.name_zh AS unit_name_zh, u.name_en AS unit_name_en,"
    " u.device, d.region, d.state, d.distance_m, d.reason_zh, d.reason_en, d.ordered_at, d.closed_at,"
    " coalesce((SELECT jsonb_agg(to_jsonb(m) ORDER BY m.at) FROM dispatch_move m WHERE m.dispatch = d.id),"
    "          '[]') AS moves"
    " FROM dispatch d JOIN unit u ON u.id = d.unit WHERE starts_with(d.region, %(region)s)"
)


@router.get("/{id}")
def show_dispatch(conn: Db, caller: Reader, id: UUID) -> Dispatch:
    """Show one dispatch."""
    return row(
        conn, Dispatch, QUERY + " AND d.id = %(id)s", {"region": caller.region, "id": id}, f"dispatch {id}"
    )


@router.post("/{id}/confirm")
def confirm_dispatch(conn: Db, caller: Officer, id: UUID) -> Dispatch:
    """Order the proposed team."""
    show_dispatch(conn, caller, id)
    confirm(conn, id, datetime.now(UTC))
    return show_dispatch(conn, caller, id)


@router.post("/{id}/cancel")
def cancel_dispatch(conn: Db, caller: Officer, id: UUID) -> Dispatch:
    """Take the proposal or the order back; the next free team is proposed while the incident is open."""
    show_dispatch(conn, caller, id)
    move(conn, id, DispatchState.CANCELLED, datetime.now(UTC))
    return show_dispatch(conn, caller, id)
