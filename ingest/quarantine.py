"""Payloads that could not be read or used, kept whole with the reason, to be looked at and stored later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection

from domain.flow import emit
from ingest.resolve import Contents

#: at most this many problems are told of one payload, in at most this many characters
PROBLEMS, LENGTH = 10, 2000
#: as much of the name of a sender is kept beside them
NAME_LENGTH = 200


def quarantine(conn: Connection[Any], refused: Sequence[tuple[Contents, str]]) -> None:
    """Keep the payloads with their reasons, in the open transaction; the same bytes once, counted."""
    for contents, reason in refused:
        arrival = contents.arrival
        device = readable(arrival.decoded.device)[:NAME_LENGTH]
        new = conn.execute(
            "INSERT INTO rejected AS old (topic, payload, sha256, reason, device, first_at, last_at)"
            " VALUES (%s, %s, sha256(%s), %s, %s, %s, %s) ON CONFLICT (md5(topic), sha256) DO UPDATE"
            " SET times = old.times + 1, last_at = excluded.last_at, reason = excluded.reason,"
            "  replayed_at = NULL RETURNING times = 1",
            (arrival.topic, arrival.payload, arrival.payload, reason, device, *[arrival.received_at] * 2),
        ).fetchone()
        if new and new[0]:
            body = {"reason": reason, "device": device}
            emit(conn, "rejected", subject=arrival.topic, region=contents.region, body=body)


def reason_of(problems: Iterable[str]) -> str:
    """Return the problems as one reason that every table, log and phone can take; '' when there are none."""
    told = list(dict.fromkeys(problems))
    more = [f"and {len(told) - PROBLEMS} more"] if len(told) > PROBLEMS else []
    return readable("; ".join([*told[:PROBLEMS], *more]))[:LENGTH]


def readable(text: str) -> str:
    """Return the text with what cannot be shown or stored spelled out, as control characters are."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
