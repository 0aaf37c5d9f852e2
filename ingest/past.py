"""What results are judged by, at hand: read from the database when a datastream is first touched.

It is a matter of what is stored and of nothing else, so it may be forgotten and read again at any time.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from domain.quality import DISTRUSTED, Flag
from ingest.columns import Ints
from ingest.quality import Judged, Past, empty
from ingest.registry import Registry
from ingest.series import NEIGHBOURS

READ = """
SELECT s.n - 1, heard.at, trusted.at, trusted.result, trusted.stuck, run.at, suspect.at, suspect.result
FROM unnest(%(stream)b::int[], %(stuck_us)b::bigint[]) WITH ORDINALITY AS s (id, stuck_us, n)
CROSS JOIN LATERAL (
    SELECT array_agg(us_of(phenomenon_time) ORDER BY phenomenon_time) AS at
    FROM (SELECT phenomenon_time FROM observation WHERE datastream = s.id AND flags & %(future)b = 0
          ORDER BY phenomenon_time DESC LIMIT %(heard)b) o) heard
CROSS JOIN LATERAL (
    SELECT array_agg(us_of(phenomenon_time) ORDER BY phenomenon_time) AS at,
        array_agg(result ORDER BY phenomenon_time) AS result, max(phenomenon_time) AS newest,
        min(result) = max(result) AND count(*) = %(trusted)b AS same,
        (array_agg(flags ORDER BY phenomenon_time DESC))[1] & %(stuck)b <> 0 AS stuck
    FROM (SELECT phenomenon_time, result, flags FROM observation
          WHERE datastream = s.id AND flags & %(distrusted)b = 0
          ORDER BY phenomenon_time DESC LIMIT %(trusted)b) o) trusted
-- the begin of a run of equal results that is longer than what was read: where it is not STUCK yet, not far
LEFT JOIN LATERAL (
    SELECT us_of(min(phenomenon_time)) AS at FROM observation
    WHERE trusted.same AND NOT trusted.stuck AND datastream = s.id AND flags & %(distrusted)b = 0
        AND phenomenon_time >= trusted.newest - s.stuck_us * interval '1 microsecond'
        AND phenomenon_time > coalesce((
            SELECT max(phenomenon_time) FROM observation
            WHERE datastream = s.id AND flags & %(distrusted)b = 0 AND result <> trusted.result[1]
                AND phenomenon_time >= trusted.newest - s.stuck_us * interval '1 microsecond'),
            '-infinity')) run ON true
LEFT JOIN LATERAL (
    SELECT us_of(phenomenon_time) AS at, result FROM observation
    WHERE datastream = s.id AND phenomenon_time > trusted.newest AND flags & %(distrusted)b = %(spike)b
    ORDER BY phenomenon_time DESC LIMIT 1) suspect ON true
"""


def past_of(conn: Connection[Any], registry: Registry, streams: Ints) -> Past:
    """Return what is known of these datastreams; reads what is not at hand, in one query."""
    missing = streams[~registry.past["there"][streams]]
    if len(missing):
        registry.past[missing] = _read(conn, missing, registry.limits["stuck_us"][missing])
    return registry.past[streams]


def note(registry: Registry, judged: Judged | None) -> None:
    """Take over what is known after a batch; call it when the batch has been committed."""
    if judged is not None:
        registry.past[judged.stream] = judged.past


def forget(registry: Registry, streams: Ints) -> None:
    """Have these datastreams read again: somebody else has stored results of theirs."""
    registry.past["there"][streams] = False


def _read(conn: Connection[Any], streams: Ints, stuck_us: Ints) -> Past:
    past = empty(len(streams))
    past["there"] = True
    for n, heard, at, result, stuck, run_us, suspect_us, suspect in conn.execute(
        READ,
        {"stream": streams.tolist(), "stuck_us": stuck_us.tolist(), "future": int(Flag.FUTURE),
         "spike": int(Flag.SPIKE), "stuck": int(Flag.STUCK), "distrusted": int(DISTRUSTED),
         "heard": NEIGHBOURS + 1, "trusted": NEIGHBOURS},
    ):  # fmt: skip
        record = past[n]
        if heard:
            record["heard"][-len(heard) :] = heard
        if at:
            place = slice(NEIGHBOURS - len(at), NEIGHBOURS)
            record["at"][place], record["result"][place] = at, result
            record["run_us"] = 0 if stuck else run_us or _run_us(at, result)
        if suspect_us is not None:
            record["at"][-1], record["result"][-1] = suspect_us, suspect
    return past


def _run_us(at: list[int], result: list[float]) -> int:
    """Return since when the last result is the same, of those that were read."""
    first = next((n for n in reversed(range(len(result))) if result[n] != result[-1]), -1) + 1
    return at[first]
