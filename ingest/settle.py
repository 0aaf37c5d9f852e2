"""What became of replayed messages: what is stored, what the models said, which alerts followed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.alert import Level
from domain.geo import Position, length_m
from ingest.files import decoded
from ingest.records import Source

#: with no progress for this long (s) nothing more is expected
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many results, fixes and refused payloads of a source are there, and how many events wait."""

    results: int
    fixes: int
    refused: int
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The keys under which everything of a source must be found; a time is None where receipt makes it.

    `refused` are topic and SHA-256 of the payloads that no codec reads whole.
    """

    results: frozenset[tuple[str, str, datetime | None]]
    fixes: frozenset[tuple[str, datetime, float, float]]
    refused: frozenset[tuple[str, bytes]]

    @property
    def found(self) -> Found:
        """What is found when all is well."""
        return Found(results=len(self.results), fixes=len(self.fixes), refused=len(self.refused))


def expected(source: Source) -> Expected:
    """Return what the codecs read in the messages, each key once."""
    contents = [decoded(message) for message in source.messages]
    return Expected(
        results=frozenset(
            (reading.thing, reading.datastream, reading.phenomenon_time)
            for content in contents
            for reading in content.readings
            if not isinstance(reading.result, str)
        ),
        fixes=frozenset(
            (fix.device, fix.at, fix.position.lon, fix.position.lat)
            for content in contents
            for fix in content.fixes
        ),
        refused=frozenset(
            (message.topic, sha256(message.payload).digest())
            for message, content in zip(source.messages, contents, strict=True)
            if content.problems
        ),
    )


def wait(conn: Connection[Any], goal: Expected, began: datetime) -> Found:
    """Wait until all is stored and no event waits, or nothing moves; return what is found then.

    `began` is when the replay began, for results that are stamped with their receipt.
    """
    told, since = None, time.monotonic()
    while True:
        found = Found(
            results=_results(conn, goal, began),
            fixes=_fixes(conn, goal),
            refused=_refused(conn, goal),
            waiting=_waiting(conn),
        )
        if found != told:
            told, since = found, time.monotonic()
        if found == goal.found or time.monotonic() - since > PATIENCE_S:
            return found
        time.sleep(0.2)


def exceedances(conn: Connection[Any], source: Source) -> Iterator[dict[str, Any]]:
    """Yield for each site and model how many steps were assessed, and at how many it lay above its line."""
    yield from _dicts(conn).execute(
        "SELECT s.code AS site, m.key AS model, count(*) AS steps,"
        " count(*) FILTER (WHERE (m.value ->> 'ratio')::float8 > 1) AS exceeded"
        " FROM hazard_site s JOIN assessment a ON a.site = s.id CROSS JOIN jsonb_each(a.models) m"
        " WHERE s.code = ANY(%s) GROUP BY s.code, m.key ORDER BY s.code, m.key",
        (_sites(source),),
    )


def alerts(conn: Connection[Any], source: Source) -> Iterator[dict[str, Any]]:
    """Yield how many alerts of each kind and level the sites of this source have led to."""
    for row in _dicts(conn).execute(
        "SELECT s.code AS site, a.message_type, a.level, count(*) AS alerts"
        " FROM alert a JOIN hazard_site s ON s.id = a.site"
        " WHERE s.code = ANY(%s) GROUP BY s.code, a.message_type, a.level ORDER BY s.code, a.level DESC",
        (_sites(source),),
    ):
        yield {**row, "level": Level(row["level"]).word}


def refusals(conn: Connection[Any], source: Source, began: datetime) -> Iterator[dict[str, Any]]:
    """Yield which payloads of this source went to quarantine, and why."""
    yield from _dicts(conn).execute(
        "SELECT topic, reason, times FROM rejected WHERE last_at >= %s AND topic = ANY(%s) ORDER BY id",
        (began, sorted({message.topic for message in source.messages})),
    )


def track(conn: Connection[Any], source: Source) -> dict[str, Any]:
    """Return how long the stored track of the source's phone is, in m, piece by piece."""
    [phone] = source.registry["things"]
    lines = [
        [
            Position(lon=lon, lat=lat)
            for lon, lat in conn.execute(
                "SELECT lon, lat FROM track_point WHERE device = %s AND at BETWEEN %s AND %s ORDER BY at",
                (phone["code"], first, last),
            )
        ]
        for first, last in source.segments
    ]
    return {
        "device": phone["code"],
        "points": sum(map(len, lines)),
        "pieces": len(lines),
        "length_m": round(sum(map(length_m, lines))),
        "untimed": source.untimed,
    }


def _results(conn: Connection[Any], goal: Expected, began: datetime) -> int:
    things, names, times = _columns(goal.results, 3)
    return _count(
        conn.execute(
            "SELECT count(*) FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS k (thing, name, at)"
            " JOIN thing t ON t.code = k.thing JOIN datastream d ON d.thing = t.id AND d.name = k.name"
            " WHERE CASE WHEN k.at IS NULL THEN"
            "   EXISTS (SELECT FROM observation o WHERE o.datastream = d.id AND o.received_at >= %s"
            "           AND o.phenomenon_time >= %s)"
            " ELSE EXISTS (SELECT FROM observation o"
            "              WHERE o.datastream = d.id AND o.phenomenon_time = k.at) END",
            (things, names, times, began, began),
        ).fetchone()
    )


def _fixes(conn: Connection[Any], goal: Expected) -> int:
    return _count(
        conn.execute(
            "SELECT count(*) FROM unnest(%s::text[], %s::timestamptz[], %s::float8[], %s::float8[])"
            " AS k (device, at, lon, lat) JOIN track_point USING (device, at, lon, lat)",
            _columns(goal.fixes, 4),
        ).fetchone()
    )


def _refused(conn: Connection[Any], goal: Expected) -> int:
    return _count(
        conn.execute(
            "SELECT count(*) FROM unnest(%s::text[], %s::bytea[]) AS k (topic, sha256)"
            " JOIN rejected USING (topic, sha256)",
            _columns(goal.refused, 2),
        ).fetchone()
    )


def _waiting(conn: Connection[Any]) -> int:
    return _count(conn.execute("SELECT count(*) FROM waiting_event").fetchone())


def _columns(rows: frozenset[Any], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _count(row: Sequence[int] | None) -> int:
    return row[0] if row else 0


def _sites(source: Source) -> list[object]:
    return [site["code"] for site in source.registry.get("sites", [])]


def _dicts(conn: Connection[Any]) -> Any:
    return conn.cursor(row_factory=dict_row)
