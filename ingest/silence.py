"""Sensors that have gone silent, and that speak again: each told once, whatever restarts in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import psycopg
from psycopg import Connection

from domain.flow import News, emit_all
from domain.quality import Flag
from ingest.store import REFUSED

log = logging.getLogger(__name__)

#: s between two looks
EVERY_S = 60.0
#: a datastream is silent after so many of its intervals, and not before this time (s)
INTERVALS, LEAST_S = 3, 600

# What went unheard while nobody listened was no silence: time counts from `began` at the earliest. An
# exercise or a test is over when nothing of its mode is heard any more; its stations are not missed.
FALL_SILENT = """
WITH heard AS (
    SELECT d.id, d.name, t.code, t.region, t.mode, l.received_at,
        l.flags & %(spike)s <> 0 AS jumped, coalesce(d.expected_every_s, l.every_s) AS every_s,
        max(l.received_at) OVER (PARTITION BY t.mode) AS of_mode
    FROM latest l JOIN datastream d ON d.id = l.datastream JOIN thing t ON t.id = d.thing),
overdue AS (
    SELECT * FROM heard WHERE every_s IS NOT NULL
        AND greatest(received_at, %(began)s)
            + greatest(%(intervals)s * every_s, %(least_s)s) * interval '1 second' < %(now)s
        AND (mode = 'actual' OR of_mode > %(now)s - %(least_s)s * interval '1 second')),
noted AS (
    INSERT INTO silence (datastream, since)
    SELECT id, received_at FROM overdue ORDER BY id
    ON CONFLICT DO NOTHING RETURNING datastream)
SELECT code, region, mode, name, received_at, jumped FROM overdue JOIN noted ON noted.datastream = overdue.id
ORDER BY code, name
"""

SPEAK_AGAIN = """
WITH ended AS (
    DELETE FROM silence s USING latest l WHERE l.datastream = s.datastream AND l.received_at > s.since
    RETURNING s.datastream, s.since)
SELECT t.code, t.region, t.mode, d.name, ended.since, false
FROM ended JOIN datastream d ON d.id = ended.datastream JOIN thing t ON t.id = d.thing ORDER BY t.code, d.name
"""

#: code, region and mode of a thing, name of its datastream, since when that was silent, and whether its last
#: word was a jump that no other result confirmed or denied: it may be the slope that took the sensor away
Row = tuple[str, str, str, str, datetime, bool]


def run(database_url: str, stop: threading.Event) -> None:
    """Look once a minute until `stop` is set, and not while the database takes nothing.

    psycopg.OperationalError: the database is lost.
    """
    began = datetime.now(UTC)
    with psycopg.connect(database_url, autocommit=True, application_name="liupan-silence") as conn:
        while not stop.wait(EVERY_S):
            try:
                look(conn, began, datetime.now(UTC))
            except REFUSED as error:
                log.error("silence is not looked for: %s", str(error).partition("\n")[0])


def look(conn: Connection[Any], began: datetime, now: datetime) -> None:
    """Tell which datastreams speak again and which have fallen silent, one event for each thing; commits.

    `began`: since when somebody listens.
    """
    with conn.transaction():
        _tell(conn, "heard", conn.execute(SPEAK_AGAIN).fetchall())
        limits = {"intervals": INTERVALS, "least_s": LEAST_S, "began": began, "now": now,
                  "spike": int(Flag.SPIKE)}  # fmt: skip
        _tell(conn, "silent", conn.execute(FALL_SILENT, limits).fetchall())


def _tell(conn: Connection[Any], kind: str, rows: Iterable[Row]) -> None:
    news = []
    for (code, region, mode), streams in groupby(rows, key=lambda row: row[:3]):
        told = [row[3:] for row in streams]
        body = {
            "thing": code, "mode": mode, "since": min(at for _, at, _ in told).astimezone(UTC),
            "datastreams": [name for name, *_ in told],
            "jumped": [name for name, _, jumped in told if jumped],
        }  # fmt: skip
        news.append(News(code, region, body=body))
    if news:
        emit_all(conn, kind, news)
