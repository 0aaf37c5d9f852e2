"""Alerts: what people were told, as rows, as CAP 1.2, and who has seen it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, LiteralString
from uuid import UUID

from fastapi import APIRouter, Query, Response

from server.caller import Reader
from server.routes import Db, LevelWord, Limit, Out, row, rows

router = APIRouter(prefix="/alerts", tags=["alerts"])

CAP_TYPE = "application/cap+xml"


class Alert(Out):
    """A CAP message; an Update or Cancel takes the place of the alert that it refers to."""

    identifier: str
    site: str
    region: str
    mode: str
    message_type: str
    level: LevelWord
    at: datetime
    sent: datetime
    expires: datetime
    refers_to: str | None
    assessment: UUID | None
    headline_zh: str
    headline_en: str
    instruction_zh: str
    instruction_en: str


class Receipt(Out):
    """Proof that a person saw it (`received`), or acts on it (`acting`)."""

    state: str
    at: datetime


class Delivery(Out):
    """The alert to one recipient by one channel."""

    id: UUID
    channel: str
    address: str
    created_at: datetime
    sent_at: datetime | None
    receipts: list[Receipt]


class AlertDetail(Alert):
    """An alert with its deliveries."""

    deliveries: list[Delivery]


class Cap(Out):
    """The CAP 1.2 XML of an alert."""

    cap: str


#: the columns of Alert
COLUMNS: LiteralString = (
    " a.identifier, s.code AS site, a.region, a.mode, a.message_type, a.level, a.at, a.sent, a.expires,"
    " (SELECT b.identifier FROM alert b WHERE b.id = a.refers_to) AS refers_to, a.assessment,"
    " a.headline_zh, a.headline_en, a.instruction_zh, a.instruction_en"
)

DELIVERIES: LiteralString = (
    " coalesce((SELECT jsonb_agg(to_jsonb(d) || jsonb_build_object('receipts', coalesce((SELECT"
    "   jsonb_agg(to_jsonb(r) ORDER BY r.at) FROM receipt r WHERE r.delivery = d.id), '[]'))"
    "   ORDER BY d.channel, d.address) FROM delivery d WHERE d.alert = a.id), '[]') AS deliveries"
)


@router.get("")
def list_alerts(
    conn: Db,
    caller: Reader,
    site: str | None = None,
    in_force: bool = False,
    after: Annotated[str | None, Query(description="identifier of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Alert]:
    """List alerts, the newest first; `in_force`: only the last word on each site, while it holds."""
    return rows(
        conn,
        Alert,
        "SELECT" + COLUMNS + " FROM alert a JOIN hazard_site s ON s.id = a.site"
        " WHERE starts_with(a.region, %(region)s) AND (%(site)s::text IS NULL OR s.code = %(site)s)"
        " AND (NOT %(in_force)s OR a.message_type <> 'Cancel' AND a.expires > %(now)s"
        "      AND a.id IN (SELECT id FROM newest_alert))"
        " AND (%(after)s::text IS NULL OR a.id < (SELECT id FROM alert WHERE identifier = %(after)s))"
        " ORDER BY a.id DESC LIMIT %(limit)s",
        {"region": caller.region, "site": site, "in_force": in_force, "now": datetime.now(UTC),
         "after": after, "limit": limit},
    )  # fmt: skip


@router.get("/{identifier}.xml", response_class=Response, responses={200: {"content": {CAP_TYPE: {}}}})
def show_cap(conn: Db, caller: Reader, identifier: str) -> Response:
    """Show an alert as CAP 1.2."""
    alert = row(
        conn,
        Cap,
        "SELECT cap FROM alert WHERE starts_with(region, %(region)s) AND identifier = %(identifier)s",
        {"region": caller.region, "identifier": identifier},
        f"alert {identifier}",
    )
    return Response(alert.cap, media_type=CAP_TYPE)


@router.get("/{identifier}")
def show_alert(conn: Db, caller: Reader, identifier: str) -> AlertDetail:
    """Show an alert with its deliveries and receipts."""
    return row(
        conn,
        AlertDetail,
        "SELECT" + COLUMNS + "," + DELIVERIES + " FROM alert a JOIN hazard_site s ON s.id = a.site"
        " WHERE starts_with(a.region, %(region)s) AND a.identifier = %(identifier)s",
        {"region": caller.region, "identifier": identifier},
        f"alert {identifier}",
    )
