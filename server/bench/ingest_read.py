"""Reads of `liupan bench ingest` over many stored rows, loaded as a year of 100,000 datastreams leaves them.

In the order of time, as ingest would have written them: each hour has a result of one datastream, and the
others take turns. So the year of that one lies between all others' rows, and the newest of each is recent.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

THINGS, STREAMS_OF_ONE = 1000, 100
HOURS = 365 * 24
LEAST_ROWS = THINGS * STREAMS_OF_ONE + HOURS
#: nobody has two results in an hour
MOST_ROWS = (THINGS * STREAMS_OF_ONE) * HOURS

#: a row of COPY ... (FORMAT BINARY): the number of fields, then for each its size and its bytes
ROW = struct.Struct(">hiiiqidiqih")
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
HOUR_US, SECOND_US = 3_600_000_000, 1_000_000

TRIES = 5


def measure(conn: Connection[Any], rows: int) -> dict[str, object]:
    """Load the rows and return how fast they went in, and the best time (ms) of some tries of each read.

    ValueError: so many rows cannot be spread over a year of the datastreams.
    """
    if not LEAST_ROWS <= rows <= MOST_ROWS:
        raise ValueError(f"--rows must lie between {LEAST_ROWS} and {MOST_ROWS}, not {rows}")
    streams = _register(conn)
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    started = time.monotonic()
    _load(conn, streams, rows, begin)
    load_s = time.monotonic() - started
    conn.execute("SELECT fill_latest()")
    conn.execute("ANALYZE observation, latest")
    stored = conn.execute("SELECT count(*) FROM observation").fetchone()

    def latest() -> int:
        query = "SELECT datastream, phenomenon_time, result, flags FROM latest WHERE datastream >= %s"
        return len(conn.execute(query, (streams[0],), binary=True).fetchall())

    def year() -> int:
        query = (
            "SELECT phenomenon_time, result, flags FROM observation"
            " WHERE datastream = %s AND phenomenon_time >= %s ORDER BY phenomenon_time"
        )
        return len(conn.execute(query, (streams[0], begin), binary=True).fetchall())

    return {
        "stored_rows": stored[0] if stored else 0,
        "load_rows_per_s": round(rows / load_s),
        "latest_ms": _best_ms(latest, len(streams)),
        "year_ms": _best_ms(year, HOURS),
    }


def _register(conn: Connection[Any]) -> list[int]:
    """Register the things and return the numbers of their datastreams, in order."""
    conn.execute(
        "INSERT INTO thing (code, kind, name, region, mode)"
        " SELECT 'bench-read-' || n, 'station', 'bench', (SELECT min(code) FROM region), 'test'"
        " FROM generate_series(1, %s) n",
        (THINGS,),
    )
    found = conn.execute(
        "INSERT INTO datastream (thing, name) SELECT id, 'value-' || n FROM thing, generate_series(1, %s) n"
        " WHERE starts_with(code, 'bench-read-') RETURNING id",
        (STREAMS_OF_ONE,),
    )
    return sorted(id for (id,) in found)


def _load(conn: Connection[Any], streams: Sequence[int], rows: int, begin: datetime) -> None:
    for day in range(0, 400, 27):
        conn.execute("SELECT ensure_observation_partition(%s)", (begin + timedelta(days=min(day, 365)),))
    blocks = _blocks(streams, rows, (begin - EPOCH_2000) // timedelta(microseconds=1))
    with conn.cursor().copy(
        "COPY observation (datastream, phenomenon_time, result, received_at, flags)"
        " FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.write(HEADER)
        for block in blocks:
            copy.write(block)
        copy.write(TRAILER)


def _blocks(streams: Sequence[int], rows: int, begin_us: int) -> Iterator[bytes]:
    """Yield an hour of rows at a time; times are microseconds since 2000."""
    one, others = streams[0], streams[1:]
    total, pack = rows - HOURS, ROW.pack
    for hour in range(HOURS):
        at = begin_us + hour * HOUR_US
        block = [pack(5, 4, one, 8, at, 8, hour / 8, 8, at + SECOND_US, 2, 0)]
        for turn in range(hour * total // HOURS, (hour + 1) * total // HOURS):
            place = turn % len(others)
            seen = at + (place % 3600) * SECOND_US
            block.append(pack(5, 4, others[place], 8, seen, 8, place / 8, 8, seen + SECOND_US, 2, 0))
        yield b"".join(block)


def _best_ms(read: Callable[[], int], expected: int) -> float:
    """Return the shortest time of some reads; RuntimeError when one does not find what is there."""
    best = float("inf")
    for _ in range(TRIES):
        begin = time.perf_counter()
        found = read()
        best = min(best, time.perf_counter() - begin)
        if found != expected:
            raise RuntimeError(f"{found} rows were read instead of {expected}")
    return round(1000 * best, 1)
