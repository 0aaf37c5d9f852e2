"""Enforcement cases: opened from a lead, moved along their process by one function."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.clock import aware
from domain.flow import emit
from domain.thing import Mode
from domain.wire import new_id
from enforcement.number import next_number
from enforcement.process import Process


def open_case(conn: Connection[Any], lead: UUID, process: Process, pattern: str, at: datetime) -> UUID | None:
    """Open the lead's case in the first step of the process; None when the lead has a case already.

    LookupError: no such lead.
    """
    with conn.transaction():
        # locked first and asked afterwards, so that two processes that hear of one lead open one case
        row = conn.execute(
            "SELECT region, mode FROM lead WHERE id = %s FOR NO KEY UPDATE", (lead,)
        ).fetchone()
        if row is None:
            raise LookupError(f"no lead {lead}")
        if conn.execute("SELECT 1 FROM enforcement_case WHERE lead = %s", (lead,)).fetchone():
            return None
        region, mode = row
        case, number = new_id(), next_number(conn, pattern, region, Mode(mode), at)
        conn.execute(
            "INSERT INTO enforcement_case (id, number, lead, region, mode, step, opened_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (case, number, lead, region, mode, process.first, at),
        )
        _record(conn, case, process.first, at, "")
        return case


def move_case(
    conn: Connection[Any], case: UUID, process: Process, step: str, *, reason: str, at: datetime
) -> None:
    """Move the case on to a step, for a reason that stays with it.

    LookupError: no such case; IllegalMove: the step cannot follow the present one; ValueError: no reason, or
    a time that is not after the move before.
    """
    if not reason.strip():
        raise ValueError("a move of a case needs its reason")
    with conn.transaction():
        row = conn.execute("SELECT step FROM enforcement_case WHERE id = %s FOR UPDATE", (case,)).fetchone()
        if row is None:
            raise LookupError(f"no case {case}")
        process.check_move(row[0], step)
        later = conn.execute(
            "SELECT 1 FROM case_move WHERE enforcement_case = %s AND at >= %s", (case, aware(at))
        ).fetchone()
        if later is not None:
            raise ValueError(f"the case has moved at or after {at.isoformat()}: moves go forward in time")
        conn.execute("UPDATE enforcement_case SET step = %s WHERE id = %s", (step, case))
        _record(conn, case, step, at, reason)


def _record(conn: Connection[Any], case: UUID, step: str, at: datetime, reason: str) -> None:
    conn.execute(
        "INSERT INTO case_move (enforcement_case, step, at, reason) VALUES (%s, %s, %s, %s)",
        (case, step, at, reason),
    )
    row = conn.execute(
        "SELECT number, lead, mode, region FROM enforcement_case WHERE id = %s", (case,)
    ).fetchone()
    if row is None:
        raise LookupError(f"no case {case}")
    number, lead, mode, region = row
    body = {"number": number, "lead": lead, "step": step, "mode": mode}
    emit(conn, "cased", subject=str(case), region=region, body=body)
