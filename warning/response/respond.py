"""The handler of `alerted` and `answered`: incidents open and close, phones report how far they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.alert import Level, MessageType
from domain.clock import parse_time
from domain.flow import Event
from domain.incident import ANSWERS, DispatchState, IllegalMove
from warning.response.incident import close_if_over, move, open_incident

log = logging.getLogger(__name__)

#: the level from which a team goes out
RESPOND_FROM = Level.ORANGE

RECEIPTS = frozenset({"received", "acting"})


def respond(conn: Connection[Any], events: Sequence[Event]) -> None:
    """Handle the events in their order. An answer that makes no sense is logged and absorbed: it cannot
    become better by trying again.
    """
    for event in events:
        if event.kind == "alerted":
            _alerted(conn, event, datetime.now(UTC))
        else:
            _answered(conn, event)


def _alerted(conn: Connection[Any], event: Event, at: datetime) -> None:
    if event.body["message_type"] == MessageType.CANCEL:
        row = conn.execute(
            "SELECT i.id FROM incident i JOIN alert a ON a.site = i.site"
            " WHERE a.id = %s AND i.closed_at IS NULL",
            (event.subject,),
        ).fetchone()
        if row:
            close_if_over(conn, row[0], at)
    elif Level.of(event.body["level"]) >= RESPOND_FROM and not _cancelled(conn, event.subject):
        open_incident(conn, UUID(event.subject), at)


def _cancelled(conn: Connection[Any], alert: str) -> bool:
    """Tell whether the site's warning has ended meanwhile: then this event was retried and comes late."""
    row = conn.execute(
        "SELECT newest.message_type = 'Cancel' FROM alert JOIN newest_alert newest USING (site)"
        " WHERE alert.id = %s",
        (alert,),
    ).fetchone()
    return row is not None and bool(row[0])


def _answered(conn: Connection[Any], event: Event) -> None:
    device, state = event.body["device"], event.body["state"]
    try:
        subject, at = UUID(event.subject), parse_time(event.body["at"])
        if state in RECEIPTS:
            _receive(conn, subject, device, state, at)
        elif state in ANSWERS:
            _check_device(conn, subject, device)
            move(conn, subject, DispatchState(state), at)
        else:
            raise ValueError("no such state of a dispatch or a delivery")
    except (ValueError, LookupError, IllegalMove) as error:
        log.warning("answer %r of %s about %s ignored: %s", state, device, event.subject, error)


def _receive(conn: Connection[Any], delivery: UUID, device: str, state: str, at: datetime) -> None:
    known = conn.execute(
        "SELECT 1 FROM delivery WHERE id = %s AND channel = 'mqtt' AND address = %s", (delivery, device)
    ).fetchone()
    if known is None:
        raise LookupError("no such delivery to this device")
    conn.execute(
        "INSERT INTO receipt (delivery, state, at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (delivery, state, at),
    )


def _check_device(conn: Connection[Any], dispatch: UUID, device: str) -> None:
    own = conn.execute(
        "SELECT 1 FROM dispatch d JOIN unit u ON u.id = d.unit WHERE d.id = %s AND u.device = %s",
        (dispatch, device),
    ).fetchone()
    if own is None:
        raise LookupError("no such dispatch of this device")
