"""`liupan rejected`: look at the payloads in quarantine, and store them once their reason is gone."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from domain.reply import covered
from domain.settings import Settings
from domain.wire import encode
from ingest import codecs, past
from ingest.observations import make_partitions
from ingest.quarantine import unregistered
from ingest.registry import Registry
from ingest.resolve import Arrival, resolve
from ingest.store import POISON, keep, refused_because


def main(argv: list[str]) -> int:
    """List or replay; exit code 1 when a payload to replay still cannot be stored, or is not there."""
    args = _arguments(argv)
    settings = Settings.from_env()
    codecs.configure(settings)
    with psycopg.connect(settings.database(), autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        if args.command == "list":
            for row in listed(conn, args.device):
                print(encode(row).decode() if args.json else _line(row))
            return 0
        registry, failed = Registry(), 0
        for number in waiting(conn) if args.all else args.id:
            reason = replay(conn, registry, number)
            failed += bool(reason)
            if args.json:
                print(json.dumps({"id": number, "stored": not reason, "reason": reason}, ensure_ascii=False))
            else:
                print(f"{number}: {reason or 'stored'}")
    return 1 if failed else 0


def listed(conn: Connection[Any], device: str | None = None) -> list[dict[str, Any]]:
    """Return what is in quarantine, oldest first, with its payload in hexadecimal digits, secrets covered."""
    cursor = conn.cursor(row_factory=dict_row)
    rows = cursor.execute(
        "SELECT id, topic, device, reason, times, first_at, last_at, replayed_at, payload"
        " FROM rejected WHERE %s::text IS NULL OR device = %s ORDER BY id",
        (device, device),
    ).fetchall()
    return [{**row, "payload": covered(row["payload"]).hex()} for row in rows]


def waiting(conn: Connection[Any], unregistered: str | None = None) -> Sequence[int]:
    """Return the numbers of what has not been stored since it was refused, oldest first.

    With `unregistered` only what was refused because nobody had registered that device.
    """
    rows = conn.execute(
        "SELECT id FROM rejected WHERE replayed_at IS NULL"
        " AND (%(device)s::text IS NULL OR unregistered IS NOT NULL AND unregistered ? %(device)s)"
        " ORDER BY id",
        {"device": unregistered},
    ).fetchall()
    return [number for (number,) in rows]


def replay(conn: Connection[Any], registry: Registry, number: int) -> str:
    """Decode and store one payload as if it came now but with its time of receipt; return why not, or ''.

    The payload stays in quarantine: marked when all of it is stored, else with the reason of now.
    """
    row = conn.execute("SELECT topic, payload, first_at FROM rejected WHERE id = %s", (number,)).fetchone()
    if row is None:
        return "there is no payload of this number in quarantine"
    topic, payload, at = row
    decoded = codecs.read(topic, payload, at)
    arrival = Arrival(topic=topic, payload=payload, received_at=at, decoded=decoded)
    batch = resolve(conn, registry, [arrival], time.monotonic())
    registry.careful_until = float("inf")
    make_partitions(conn, registry, batch.columns)
    past.forget(registry, np.array(batch.columns.stream, np.int64))  # others store results of theirs, too
    try:
        with conn.transaction():
            [outcome], _ = keep(conn, registry, batch)
            _note(conn, number, outcome.reason, unregistered(batch.contents[0]))
    except POISON as error:
        reason = refused_because(error)
        _note(conn, number, reason, unregistered(batch.contents[0]))
        return reason
    return outcome.reason


def _note(conn: Connection[Any], number: int, reason: str, unknown: Jsonb | None) -> None:
    conn.execute(
        "UPDATE rejected SET replayed_at = CASE WHEN %(reason)s = '' THEN now() END,"
        "  reason = CASE WHEN %(reason)s = '' THEN reason ELSE %(reason)s END, unregistered = %(unknown)s"
        " WHERE id = %(id)s",
        {"reason": reason, "unknown": unknown, "id": number},
    )


def _line(row: dict[str, Any]) -> str:
    seen = f"{row['last_at']:%Y-%m-%d %H:%M:%S%z}"
    mark = " (stored since)" if row["replayed_at"] else ""
    return (
        f"{row['id']}  {seen}  {row['times']}x  {row['topic']}  {row['device'] or '-'}  {row['reason']}{mark}"
    )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="liupan rejected", description="Payloads in quarantine.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="show them with their reasons")
    listing.add_argument("--device", help="only those that this device seems to have sent")
    again = commands.add_parser("replay", help="decode and store them again")
    again.add_argument("id", type=int, nargs="*", help="number of a payload, as in the list")
    again.add_argument("--all", action="store_true", help="all that have not been stored since")
    for command in (listing, again):
        command.add_argument("--json", action="store_true", help="print one JSON object per line")
    args = parser.parse_args(argv)
    if args.command == "replay" and bool(args.id) == args.all:
        again.error("name payloads by their numbers, or say --all")
    return args
