"""What the phone has said and heard, in SQLite: what is said stays until the server says that it is stored.

The screens write here and read here; the uplink, a process of its own, carries it over. Both may be killed
at any moment: the file is the only state.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from domain.wire import UP_KINDS, encode, new_id

#: kind -> how soon it must go, small numbers first
PRIORITY = {
    "status": 0,
    "lead": 1,
    "patrol": 2,
    "evidence": 2,
    "observation": 3,
    "health": 4,
    "track": 5,
    "chunk": 9,
}

#: s until a record that the server has not confirmed is sent again, by the number of attempts
RETRY_S = (5, 15, 60, 300)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id       TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    body     BLOB NOT NULL,
    priority INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'rejected')),
    reason   TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    said_at  REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (priority, id) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS inbox (
    id       TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    body     BLOB NOT NULL,
    heard_at REAL NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing said that the server has not confirmed yet; `body` is its payload."""

    id: str
    kind: str
    body: bytes


def open_outbox(path: Path) -> sqlite3.Connection:
    """Open the file, made where it is missing; a commit is on the disk when it returns."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(_SCHEMA)
    return db


def say(db: sqlite3.Connection, kind: str, message: Mapping[str, object]) -> UUID:
    """Keep the message until the server has stored it; return its id, made here where it has none.

    Saying the same id again changes nothing. Raises ValueError for an unknown kind.
    """
    if kind not in UP_KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(UP_KINDS)}")
    id = UUID(str(message["id"])) if "id" in message else new_id()
    db.execute(
        "INSERT INTO outbox (id, kind, body, priority, said_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (str(id), kind, encode({**message, "id": id}), PRIORITY[kind], time.time()),
    )
    return id


def due(db: sqlite3.Connection, now: float, limit: int) -> list[Record]:
    """Return what must be sent now (s since 1970), most urgent first, then oldest first."""
    rows = db.execute(
        "SELECT id, kind, body FROM outbox WHERE state = 'waiting' AND next_try <= ?"
        " ORDER BY priority, id LIMIT ?",
        (now, limit),
    )
    return [Record(id=id, kind=kind, body=body) for id, kind, body in rows]


def note_sent(db: sqlite3.Connection, id: str, now: float) -> None:
    """Note that the record is on its way; it is due again later unless the server confirms it."""
    db.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_try = ? + CASE attempts"
        " WHEN 0 THEN ? WHEN 1 THEN ? WHEN 2 THEN ? ELSE ? END WHERE id = ?",
        (now, *RETRY_S, id),
    )


def retry_now(db: sqlite3.Connection) -> None:
    """Make everything that waits due at once: the connection is new, so what was under way may be lost."""
    db.execute("UPDATE outbox SET next_try = 0 WHERE state = 'waiting'")


def settle(db: sqlite3.Connection, confirmation: Mapping[str, object]) -> None:
    """Take the server's `stored` message: the record it names is stored, or rejected for a reason.

    A record that is stored stays so, whatever comes later. Raises ValueError for any other state.
    """
    state = confirmation.get("state")
    if state not in ("stored", "rejected"):
        raise ValueError(f"state {state!r} of a confirmation is neither stored nor rejected")
    db.execute(
        "UPDATE outbox SET state = ?, reason = ? WHERE id = ? AND state <> 'stored'",
        (state, str(confirmation.get("reason") or ""), str(confirmation.get("id"))),
    )


def hear(db: sqlite3.Connection, kind: str, id: str, message: Mapping[str, object]) -> bool:
    """Keep what the platform told this phone; False when it was known already.

    A later message about the same alert or order (`id`) replaces the earlier one.
    """
    body = json.dumps(message, ensure_ascii=False, sort_keys=True).encode()
    changed = db.execute(
        "INSERT INTO inbox (id, kind, body, heard_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET body = excluded.body, heard_at = excluded.heard_at"
        " WHERE inbox.body <> excluded.body",
        (id, kind, body, time.time()),
    )
    return changed.rowcount > 0
