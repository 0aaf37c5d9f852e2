"""Quarantine: payloads that could not be read or used, whole, with the reason."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from domain.reply import covered
from server.caller import Reader
from server.routes import Db, Limit, Out, rows

router = APIRouter(prefix="/rejected", tags=["rejected"])


class Rejected(Out):
    """One payload in hexadecimal, apikeys covered; the same bytes on the same topic came `times` times."""

    id: int
    topic: str
    payload: Annotated[str, BeforeValidator(lambda payload: covered(payload).hex())]
    sha256: str
    reason: str
    device: str
    times: int
    first_at: datetime
    last_at: datetime
    replayed_at: datetime | None


@router.get("")
def list_rejected(
    conn: Db,
    caller: Reader,
    after: Annotated[int | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Rejected]:
    """List what was rejected, the newest first; what no known thing sent only to who sees all regions."""
    return rows(
        conn,
        Rejected,
        "SELECT j.id, j.topic, j.payload, encode(j.sha256, 'hex') AS sha256,"
        " j.reason, j.device, j.times, j.first_at, j.last_at, j.replayed_at"
        " FROM rejected j LEFT JOIN thing t ON t.code = j.device"
        " WHERE CASE WHEN t.region IS NULL THEN %(whole)s ELSE starts_with(t.region, %(region)s) END"
        " AND (%(after)s::bigint IS NULL OR j.id < %(after)s) ORDER BY j.id DESC LIMIT %(limit)s",
        {"region": caller.region, "whole": caller.whole, "after": after, "limit": limit},
    )
