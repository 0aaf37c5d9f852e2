"""Files of stations, into their table; a second send is absorbed, the same bytes of another time are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.wire import new_id
from ingest.decoded import StationFile
from ingest.registry import Sender
from ingest.reports import Refusal
from ingest.resolve import Contents


def keep(conn: Connection[Any], batch: Sequence[Contents]) -> Iterator[Refusal]:
    """Store the files of the batch in the open transaction; yield what is refused."""
    for contents in batch:
        for file, sender, at in contents.files:
            if not _keep(conn, file, sender, at, contents.arrival.received_at):
                reason = f"file {file.name}: the same bytes are known with another time or description"
                yield Refusal(contents.place, f"{reason}: the first stays")


def _keep(
    conn: Connection[Any], file: StationFile, sender: Sender, at: datetime, received_at: datetime
) -> bool:
    """Insert the file unless it is there; tell whether what is there now says the same of it."""
    row = conn.execute(
        "WITH new AS (INSERT INTO station_file"
        "  (id, thing, name, media_type, at, description, data, received_at)"
        "  VALUES (%(id)s, %(thing)s, %(name)s, %(media_type)s, %(at)s, %(description)s, %(data)s,"
        "   %(received)s)"
        "  ON CONFLICT (thing, name, sha256) DO NOTHING RETURNING at, description)"
        " SELECT at, description FROM new UNION ALL SELECT at, description FROM station_file"
        " WHERE thing = %(thing)s AND name = %(name)s AND sha256 = encode(sha256(%(data)s), 'hex')",
        {
            "id": new_id(),
            "thing": sender.id,
            "name": file.name,
            "media_type": file.media_type,
            "at": at,
            "description": file.description,
            "data": file.data,
            "received": received_at,
        },
    ).fetchone()
    # a file whose time is not told has that of its receipt, which differs with each send
    return row is not None and (file.at is None or row[0] == at) and row[1] == file.description
