"""What phones say, into its tables: fixes, patrols, leads, answers, reports; each with its event.

A second send is absorbed by its key. The same key with other contents is refused: the first one stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from domain.flow import emit
from domain.lead import Evidence, Lead
from domain.patrol import Patrol
from domain.wire import encode
from ingest import device_report
from ingest.decoded import Answer
from ingest.registry import Sender
from ingest.resolve import Contents


class Refusal(NamedTuple):
    """Why a report of the payload at this place of the batch is not stored; `whole`: nothing of it is."""

    place: int
    reason: str
    whole: bool = True


def keep(conn: Connection[Any], batch: Sequence[Contents]) -> Iterator[Refusal]:
    """Store in the open transaction what phones say; yield what is refused."""
    _fixes(conn, batch)
    for contents in batch:
        for patrol, sender in contents.patrols:
            if not _patrol(conn, patrol, sender):
                yield Refusal(contents.place, _differs("patrol", patrol.id))
        for lead, sender in contents.leads:
            if not _lead(conn, lead, sender, contents.arrival.received_at):
                yield Refusal(contents.place, _differs("lead", lead.id))
            else:
                for evidence in lead.evidence:
                    if not _evidence(conn, lead.id, evidence):
                        yield Refusal(contents.place, _differs("evidence", evidence.id), whole=False)
        for answer, sender in contents.answers:
            if not _answer(conn, answer, sender, contents.arrival.received_at):
                yield Refusal(contents.place, _differs("answer", answer.id))
        for report, sender in contents.reports:
            if not device_report.store(conn, report, sender, contents.arrival.received_at):
                yield Refusal(contents.place, _differs("report", f"{report.kind} of {report.at}"))


def _differs(what: str, key: UUID | str) -> str:
    return f"{what} {key} is known with other contents: the first stays"


def _fixes(conn: Connection[Any], batch: Sequence[Contents]) -> None:
    fixes = [fix for contents in batch for fix, _ in contents.fixes]
    if not fixes:
        return
    regions = {fix.device: sender.region for contents in batch for fix, sender in contents.fixes}
    new = conn.execute(
        "INSERT INTO track_point (device, region, received_at, at, lon, lat, altitude_m, accuracy_m,"
        "  speed_m_s, course_deg, extra)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::float8[],"
        "  %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::jsonb[])"
        " ON CONFLICT DO NOTHING RETURNING device, at, lon, lat",
        (
            [fix.device for fix in fixes],
            [regions[fix.device] for fix in fixes],
            [contents.arrival.received_at for contents in batch for _ in contents.fixes],
            [fix.at for fix in fixes],
            [fix.position.lon for fix in fixes],
            [fix.position.lat for fix in fixes],
            [_real(fix.position.altitude_m) for fix in fixes],
            [_real(fix.accuracy_m) for fix in fixes],
            [_real(fix.speed_m_s) for fix in fixes],
            [_real(fix.course_deg) for fix in fixes],
            [encode(fix.extra).decode() if fix.extra else None for fix in fixes],
        ),
    ).fetchall()
    by_device: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for device, *place in new:
        by_device[device].append(tuple(place))
    for device, places in by_device.items():
        at, lon, lat = max(places)
        body = {"points": len(places), "last": {"at": at, "lon": lon, "lat": lat}}
        emit(conn, "tracked", subject=device, region=regions[device], body=body)


def _real(value: float | None) -> float | None:
    """Return the number without digits that nothing measures: 1e-50 is nothing that a `real` can hold."""
    return None if value is None else round(value, 6)


def _patrol(conn: Connection[Any], patrol: Patrol, sender: Sender) -> bool:
    """Store the patrol, or its end; False when another one has its id."""
    values = (patrol.device, patrol.inspector, patrol.started_at, patrol.ended_at)
    changed = conn.execute(
        "INSERT INTO patrol AS old (id, device, inspector, started_at, ended_at, region)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at"
        " WHERE old.ended_at IS NULL AND excluded.ended_at IS NOT NULL"
        " AND (old.device, old.inspector, old.started_at)"
        "   = (excluded.device, excluded.inspector, excluded.started_at) RETURNING id",
        (patrol.id, *values, sender.region),
    ).fetchone()
    if changed:
        times = {"started_at": patrol.started_at, "ended_at": patrol.ended_at}
        body = {"device": patrol.device, "inspector": patrol.inspector, "mode": sender.mode, **times}
        emit(conn, "patrolled", subject=str(patrol.id), region=sender.region, body=body)
        return True
    known = conn.execute(
        "SELECT device, inspector, started_at, ended_at FROM patrol WHERE id = %s", (patrol.id,)
    ).fetchone()
    if known and patrol.ended_at is None:  # its begin comes again, or comes behind its end
        known = (*known[:3], None)
    return known == values


def _lead(conn: Connection[Any], lead: Lead, sender: Sender, received_at: datetime) -> bool:
    """Store the lead; False when another one has its id."""
    place = lead.position
    values = (lead.device, lead.kind, place.lon, place.lat, lead.seen_at, lead.note)
    new = conn.execute(
        "INSERT INTO lead (id, device, kind, lon, lat, seen_at, note, region, mode, received_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
        (lead.id, *values, sender.region, sender.mode, received_at),
    ).fetchone()
    if new:
        body = {
            "kind": lead.kind,
            "device": lead.device,
            "mode": sender.mode,
            "lon": place.lon,
            "lat": place.lat,
        }
        emit(conn, "reported", subject=str(lead.id), region=sender.region, body=body)
        return True
    known = conn.execute(
        "SELECT device, kind, lon, lat, seen_at, note FROM lead WHERE id = %s", (lead.id,)
    ).fetchone()
    return known == values


def _evidence(conn: Connection[Any], lead: UUID, evidence: Evidence) -> bool:
    """Store the evidence of a lead; False when another one has its id."""
    place = evidence.position
    values: tuple[object, ...] = (
        lead,
        evidence.sha256,
        evidence.media_type,
        evidence.size,
        evidence.captured_at,
    )
    values += (place.lon, place.lat) if place else (None, None)
    conn.execute(
        "INSERT INTO evidence (id, lead, sha256, media_type, size, captured_at, lon, lat)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (evidence.id, *values),
    )
    known = conn.execute(
        "SELECT lead, sha256, media_type, size, captured_at, lon, lat FROM evidence WHERE id = %s",
        (evidence.id,),
    ).fetchone()
    return known == values


def _answer(conn: Connection[Any], answer: Answer, sender: Sender, received_at: datetime) -> bool:
    """Store the answer; False when another one has its id."""
    values = (answer.device, str(answer.subject), answer.state, answer.at)
    new = conn.execute(
        "INSERT INTO answer (id, device, subject, state, at, received_at)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
        (answer.id, *values, received_at),
    ).fetchone()
    if new:
        body = {"device": answer.device, "state": answer.state, "at": answer.at, "id": answer.id}
        emit(conn, "answered", subject=str(answer.subject), region=sender.region, body=body)
        return True
    known = conn.execute(
        "SELECT device, subject, state, at FROM answer WHERE id = %s", (answer.id,)
    ).fetchone()
    return known == values
