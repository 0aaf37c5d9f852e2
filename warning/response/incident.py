"""Incidents and their dispatches: opened, staffed, moved and closed here and nowhere else.

Everything here takes one lock, so that two processes see each other's assignments; emergencies are rare
enough for that. Each function brings its own transaction, or joins the one that is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.alert import Level, MessageType
from domain.flow import emit
from domain.incident import DispatchState, check_move
from domain.thing import Mode
from domain.wire import new_id
from warning.response.assignment import rank, reasons

#: why an incident has no team, (Chinese, English)
NOBODY = ("没有空闲队伍，有队伍空出后再次建议", "no team is free; the next one that is will be proposed")

CLOSING = frozenset({DispatchState.DECLINED, DispatchState.DONE, DispatchState.CANCELLED})
OWN_MOVES = frozenset({DispatchState.PROPOSED, DispatchState.ORDERED, DispatchState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One dispatch with what its moves need to know."""

    id: UUID
    incident: UUID
    unit: str
    region: str
    mode: str
    state: str
    distance_m: float


def open_incident(conn: Connection[Any], alert: UUID, at: datetime) -> UUID | None:
    """Open the incident of the alert's site and propose a team; None when one is open there already.

    LookupError: no such alert.
    """
    with _alone(conn):
        row = conn.execute(
            "SELECT a.site, s.code, a.region, a.mode, a.level"
            " FROM alert a JOIN hazard_site s ON s.id = a.site WHERE a.id = %s",
            (alert,),
        ).fetchone()
        if row is None:
            raise LookupError(f"no alert {alert}")
        site, code, region, mode, level = row
        incident = new_id()
        opened = conn.execute(
            "INSERT INTO incident (id, site, alert, region, mode, opened_at) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (site) WHERE closed_at IS NULL DO NOTHING",
            (incident, site, alert, region, mode, at),
        ).rowcount
        if not opened:
            return None
        body = {"site": code, "mode": mode, "level": Level(level).word,
                "free_units": len(rank(conn, incident, at))}  # fmt: skip
        emit(conn, "opened", subject=str(incident), region=region, body=body)
        staff(conn, at)
        return incident


def staff(conn: Connection[Any], at: datetime) -> None:
    """Propose the nearest free team to each open incident without one, the gravest and oldest first.

    In an exercise the team is ordered at once; the real thing waits for `confirm`.
    """
    with _alone(conn):
        waiting = conn.execute(
            "SELECT i.id, i.region, i.mode FROM incident i LEFT JOIN newest_alert a ON a.site = i.site"
            " WHERE i.closed_at IS NULL AND NOT EXISTS (SELECT FROM dispatch d WHERE d.incident = i.id"
            "                                           AND (d.closed_at IS NULL OR d.state = 'done'))"
            " ORDER BY a.level DESC NULLS LAST, i.opened_at"
        ).fetchall()
        for incident, region, mode in waiting:
            note_zh, note_en = _propose(conn, incident, region, mode, at)
            conn.execute(
                "UPDATE incident SET note_zh = %s, note_en = %s WHERE id = %s", (note_zh, note_en, incident)
            )


def confirm(conn: Connection[Any], dispatch: UUID, at: datetime) -> None:
    """Order the proposed team; LookupError: no such dispatch, IllegalMove: it is not a proposal any more."""
    move(conn, dispatch, DispatchState.ORDERED, at)


def move(conn: Connection[Any], dispatch: UUID, state: DispatchState, at: datetime) -> None:
    """Bring a dispatch into its next state, and do what follows: the next team, the end of the incident.

    LookupError: no such dispatch; IllegalMove: the state cannot follow the present one.
    """
    with _alone(conn):
        order = _order(conn, dispatch)
        _step(conn, order, state, at)
        if state in CLOSING:
            close_if_over(conn, order.incident, at)
            staff(conn, at)


def close_if_over(conn: Connection[Any], incident: UUID, at: datetime) -> None:
    """Close the incident when its site's warning is cancelled and no team is ordered or at work."""
    with _alone(conn):
        over = conn.execute(
            "SELECT 1 FROM incident i JOIN newest_alert a ON a.site = i.site"
            " WHERE i.id = %s AND i.closed_at IS NULL AND a.message_type = %s AND NOT EXISTS"
            "  (SELECT FROM dispatch d WHERE d.incident = i.id AND d.closed_at IS NULL AND d.state <> %s)",
            (incident, MessageType.CANCEL, DispatchState.PROPOSED),
        ).fetchone()
        if over is not None:
            close_incident(conn, incident, at)


def close_incident(conn: Connection[Any], incident: UUID, at: datetime) -> None:
    """Close the incident and call back the teams that are still on it; LookupError when none is open."""
    with _alone(conn):
        row = conn.execute(
            "UPDATE incident SET closed_at = greatest(%s, opened_at), note_zh = '', note_en = ''"
            " WHERE id = %s AND closed_at IS NULL"
            " RETURNING region, mode, (SELECT code FROM hazard_site s WHERE s.id = site)",
            (at, incident),
        ).fetchone()
        if row is None:
            raise LookupError(f"no incident {incident} is open")
        still = conn.execute(
            "SELECT id FROM dispatch WHERE incident = %s AND closed_at IS NULL", (incident,)
        ).fetchall()
        for (dispatch,) in still:
            _step(conn, _order(conn, dispatch), DispatchState.CANCELLED, at)
        region, mode, site = row
        emit(conn, "closed", subject=str(incident), region=region, body={"site": site, "mode": mode})
        staff(conn, at)


@contextmanager
def _alone(conn: Connection[Any]) -> Iterator[None]:
    """Hold, until the transaction ends, the lock under which teams are assigned."""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('liupan response'))")
        yield


def _propose(conn: Connection[Any], incident: UUID, region: str, mode: str, at: datetime) -> tuple[str, str]:
    """Propose the nearest free team; return why there is none, or two empty texts."""
    candidates = rank(conn, incident, at)
    if not candidates:
        return NOBODY
    best, dispatch = candidates[0], new_id()
    conn.execute(
        "INSERT INTO dispatch (id, incident, unit, region, state, distance_m, reason_zh, reason_en)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (dispatch, incident, best.unit, region, DispatchState.PROPOSED, best.distance_m,
         *reasons(best, len(candidates))),
    )  # fmt: skip
    _tell(conn, _order(conn, dispatch), DispatchState.PROPOSED, at)
    if mode == Mode.EXERCISE:
        _step(conn, _order(conn, dispatch), DispatchState.ORDERED, at)
    return "", ""


def _order(conn: Connection[Any], dispatch: UUID) -> Order:
    with conn.cursor(row_factory=class_row(Order)) as cursor:
        order = cursor.execute(
            "SELECT d.id, d.incident, u.code AS unit, d.region, i.mode, d.state, d.distance_m"
            " FROM dispatch d JOIN incident i ON i.id = d.incident JOIN unit u ON u.id = d.unit"
            " WHERE d.id = %s",
            (dispatch,),
        ).fetchone()
    if order is None:
        raise LookupError(f"no dispatch {dispatch}")
    return order


def _step(conn: Connection[Any], order: Order, state: DispatchState, at: datetime) -> None:
    """Move one dispatch and tell it; a clock that is behind cannot close it before it was ordered."""
    check_move(DispatchState(order.state), state)
    conn.execute(
        "UPDATE dispatch SET state = %s,"
        " ordered_at = CASE WHEN %s THEN %s ELSE ordered_at END,"
        " closed_at = CASE WHEN %s THEN greatest(%s, ordered_at) END WHERE id = %s",
        (state, state == DispatchState.ORDERED, at, state in CLOSING, at, order.id),
    )
    _tell(conn, order, state, at)


def _tell(conn: Connection[Any], order: Order, state: DispatchState, at: datetime) -> None:
    conn.execute("INSERT INTO dispatch_move (dispatch, state, at) VALUES (%s, %s, %s)", (order.id, state, at))
    if state in OWN_MOVES:
        body = {"incident": order.incident, "unit": order.unit, "state": state,
                "distance_m": round(order.distance_m), "mode": order.mode}  # fmt: skip
        emit(conn, "dispatched", subject=str(order.id), region=order.region, body=body)
    else:
        body = {"unit": order.unit, "state": state, "at": at, "mode": order.mode}
        emit(conn, "moved", subject=str(order.id), region=order.region, body=body)
