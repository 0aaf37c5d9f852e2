"""Changes of level become alerts: an Alert when a warning begins, then Updates, a Cancel when it ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from domain.alert import Level, MessageType
from domain.clock import parse_time
from domain.flow import Event, Handler, emit
from domain.thing import Mode
from domain.wire import new_id
from warning import cap
from warning.areas import load_site
from warning.wording import NOTES, Change, chinese, english

log = logging.getLogger(__name__)

#: national practice: a meteorological risk warning of a geohazard holds for a day
VALID_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The newest alert of a site."""

    id: UUID
    message_type: str
    mode: str
    level: int
    at: datetime
    cap: str

    @property
    def in_force(self) -> bool:
        """Whether people still act on it: however old, nobody has told them to stop."""
        return self.message_type != MessageType.CANCEL


def issuer(office: cap.Office) -> Handler:
    """Return the handler of `levelled`, issuing in the name of this office."""

    def issue(conn: Connection[Any], events: Sequence[Event]) -> None:
        # identifiers count up within a second: one issuer at a time, in any process
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('liupan alert identifiers'))")
        for event in events:
            _issue(conn, office, event)

    return issue


def _issue(conn: Connection[Any], office: cap.Office, event: Event) -> None:
    site = load_site(conn, event.body["site"])
    after, at = Level.of(event.body["to"]), parse_time(event.body["at"])
    last = _last(conn, site.id)
    if last and at < last.at:
        log.warning("level %s of %s at %s is older than its alert: not issued", after.word, site.code, at)
        return
    before = Level(last.level) if last and last.in_force else Level.NONE
    if after == before:
        return
    # a warning that began in another mode ends in it, and the next one begins anew
    continued = last if last and before and (after == Level.NONE or last.mode == site.mode) else None
    reason_zh, reason_en = _reasons(conn, event.body.get("assessment"))
    change = Change(
        site=site,
        mode=Mode(last.mode) if last and after == Level.NONE else site.mode,
        type=_type(continued, after),
        before=before,
        after=after,
        at=at,
        reason_zh=reason_zh,
        reason_en=reason_en,
    )
    _write(conn, office, event, change, continued)


def _type(continued: Last | None, after: Level) -> MessageType:
    if after == Level.NONE:
        return MessageType.CANCEL
    return MessageType.UPDATE if continued else MessageType.ALERT


def _last(conn: Connection[Any], site: int) -> Last | None:
    with conn.cursor(row_factory=class_row(Last)) as cursor:
        return cursor.execute(
            "SELECT id, message_type, mode, level, at, cap FROM newest_alert WHERE site = %s", (site,)
        ).fetchone()


def _reasons(conn: Connection[Any], assessment: str | None) -> tuple[str, str]:
    row = conn.execute("SELECT reason_zh, reason_en FROM assessment WHERE id = %s", (assessment,)).fetchone()
    return row or ("综合研判等级发生变化", "the assessed level has changed")


def _write(
    conn: Connection[Any], office: cap.Office, event: Event, change: Change, continued: Last | None
) -> None:
    site, sent = change.site, datetime.now(cap.BEIJING).replace(microsecond=0)
    row = conn.execute("SELECT count(*) FROM alert WHERE sent = %s", (sent,)).fetchone()
    zh, en = chinese(change, office.name_zh), english(change, office.name_en)
    message = cap.Message(
        identifier=cap.identifier(office, sent, row[0] if row else 0),
        sender=office.sender,
        sent=sent,
        expires=sent + VALID_FOR,
        mode=change.mode,
        type=change.type,
        level=change.after,
        note=NOTES[change.mode],
        references=cap.reference(continued.cap) if continued else "",
        contact=site.contact,
        ring=site.ring,
        geocode=site.geocode,
        infos=(zh, en),
    )
    alert = new_id()
    conn.execute(
        "INSERT INTO alert (id, identifier, site, region, mode, message_type, level, at, sent, expires,"
        " refers_to, assessment, headline_zh, headline_en, instruction_zh, instruction_en, cap)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (alert, message.identifier, site.id, site.region, change.mode, change.type, change.after, change.at,
         sent, message.expires, continued and continued.id, event.body.get("assessment"),
         zh.headline, en.headline, zh.instruction, en.instruction, cap.compose(message)),
    )  # fmt: skip
    body = {
        "identifier": message.identifier,
        "message_type": change.type,
        "level": change.after.word,
        "site": site.code,
        "mode": change.mode,
        "headline_zh": zh.headline,
        "headline_en": en.headline,
    }
    emit(conn, "alerted", subject=str(alert), region=site.region, partition=event.partition, body=body)
