"""Reads of `liupan bench ingest` over many stored rows."""

from __future__ import annotations

from typing import Any

from psycopg import Connection


def measure(conn: Connection[Any], rows: int) -> dict[str, object]:
    """Return figures."""
    return {"stored_rows": rows}
