"""Payloads that could not be read or used, kept whole with the reason, to be looked at and stored later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.flow import News, emit, emit_all
from domain.thing import Reading
from ingest.decoded import Decoded
from ingest.resolve import Contents

#: at most this many problems are told of one payload, in at most this many characters
PROBLEMS, LENGTH = 10, 2000
#: as much of the name of a sender is kept beside them
NAME_LENGTH = 200
#: at most this many datastreams of an unregistered sender are told
DATASTREAMS = 100


def quarantine(conn: Connection[Any], refused: Sequence[tuple[Contents, str]]) -> None:
    """Keep the payloads with their reasons, in the open transaction; the same bytes once, counted."""
    for contents, reason in refused:
        arrival = contents.arrival
        device = readable(arrival.decoded.device)[:NAME_LENGTH]
        unknown = unregistered(contents)
        new = conn.execute(
            "INSERT INTO rejected AS old"
            " (topic, payload, sha256, reason, device, unregistered, first_at, last_at)"
            " VALUES (%s, %s, sha256(%s), %s, %s, %s, %s, %s)"
            " ON CONFLICT (md5(topic), sha256) DO UPDATE"
            " SET times = old.times + 1, last_at = excluded.last_at, reason = excluded.reason,"
            "  unregistered = excluded.unregistered, replayed_at = NULL RETURNING times = 1",
            (arrival.topic, arrival.payload, arrival.payload, reason, device, unknown,
             *[arrival.received_at] * 2),
        ).fetchone()  # fmt: skip
        if new and new[0]:
            body = {"reason": reason, "device": device}
            emit(conn, "rejected", subject=arrival.topic, region=contents.region, body=body)


def claim_late(conn: Connection[Any], batch: Sequence[Contents]) -> None:
    """Tell of senders that were registered while the committed batch was on its way to quarantine.

    Whoever registers a device has what waits by then replayed; a payload that was resolved before and
    committed after that would wait for ever.
    """
    if codes := sorted(set().union(*(contents.unregistered for contents in batch))):
        rows = conn.execute("SELECT code, region FROM thing WHERE code = ANY(%s)", (claimable(codes),))
        if news := [News(code, region=region) for code, region in rows.fetchall()]:
            emit_all(conn, "claimed", news)


def unregistered(contents: Contents) -> Jsonb | None:
    """Return what was read of each sender that nobody has registered; None when all are."""
    decoded = contents.arrival.decoded
    people = decoded.fixes or decoded.patrols or decoded.leads or decoded.answers
    told: dict[str, dict[str, Any]] = {}
    for code in claimable(contents.unregistered):
        own = {reading.datastream: reading for reading in decoded.readings if reading.thing == code}
        told[code] = {
            "kind": "phone" if code == decoded.device and people else "station",
            "datastreams": [_datastream(r) for r in own.values() if _is_number(r.result)][:DATASTREAMS],
        }
        told[code] |= _place(decoded if code == decoded.device else Decoded(), own)
    return Jsonb(told) if told else None


def claimable(codes: Iterable[str]) -> list[str]:
    """Return the codes that a thing may have and a table can hold."""
    return [code for code in codes if code.isprintable() and len(code) <= NAME_LENGTH]


def _datastream(reading: Reading) -> dict[str, object]:
    name, unit = readable(reading.datastream)[:NAME_LENGTH], readable(reading.unit or "")[:NAME_LENGTH]
    return {"name": name, "unit": unit, "result": reading.result}


def _place(decoded: Decoded, own: Mapping[str, Reading]) -> dict[str, float | str]:
    """Return the newest place that a sender tells of itself, as a fix or in its status, if any."""
    if decoded.fixes:
        position = max(decoded.fixes, key=lambda fix: fix.at).position
        return {"lon": position.lon, "lat": position.lat}
    ends = {name.rpartition("/")[2]: reading.result for name, reading in own.items()}
    lon, lat = ends.get("lon", ""), ends.get("lat", "")
    return {"lon": lon, "lat": lat} if _is_number(lon) and _is_number(lat) else {}


def _is_number(result: float | str) -> bool:
    return not isinstance(result, str) and math.isfinite(result)


def reason_of(problems: Iterable[str]) -> str:
    """Return the problems as one reason that every table, log and phone can take; '' when there are none."""
    told = list(dict.fromkeys(problems))
    more = [f"and {len(told) - PROBLEMS} more"] if len(told) > PROBLEMS else []
    return readable("; ".join([*told[:PROBLEMS], *more]))[:LENGTH]


def readable(text: str) -> str:
    """Return the text with what cannot be shown or stored spelled out, as control characters are."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
