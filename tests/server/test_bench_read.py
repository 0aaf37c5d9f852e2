"""The load of the reading bench is what it says, and the figures come from what was read."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import Connection

from server.bench import ingest_read


def test_a_year_of_one_and_turns_of_the_others(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"THINGS": 3, "STREAMS_OF_ONE": 5, "LEAST_ROWS": 8775}.items():
        monkeypatch.setattr(ingest_read, name, value)
    with psycopg.connect(database_url, autocommit=True) as conn:
        figures = ingest_read.measure(conn, 12_000)
        counts = conn.execute("SELECT count(*) FROM observation GROUP BY datastream ORDER BY 1").fetchall()
    assert figures["stored_rows"] == 12_000
    assert [count for (count,) in counts] == [231] * 8 + [232] * 6 + [8760], "3240 results of 14 others"
    assert all(isinstance(figures[name], float) for name in ("latest_ms", "year_ms"))


def test_so_few_rows_are_refused(conn: Connection[Any]) -> None:
    with pytest.raises(ValueError, match="--rows must lie between 108760 and "):
        ingest_read.measure(conn, 1000)
