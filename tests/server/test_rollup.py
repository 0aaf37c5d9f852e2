"""Hours and days equal what is calculated directly, whatever came when, and after a crash in the middle."""

from __future__ import annotations

import random
import re
import struct
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import Connection

from domain.flow import News, emit_all
from domain.quality import DISTRUSTED, Flag
from server import checks_storage, rollup
from server.migrate import SCHEMA, has_timescaledb

BEIJING = timedelta(hours=8)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PACKED = struct.Struct("<iqdh")


class Result(NamedTuple):
    stream: int
    at: datetime
    result: float
    flags: int = 0


def store(conn: Connection[Any], results: Sequence[Result]) -> None:
    """Store as ingest does: rows and their event in one transaction; a known key gets new flags."""
    with conn.transaction():
        for month in {each.at.replace(day=1, hour=0, minute=0) for each in results}:
            conn.execute("SELECT ensure_observation_partition(%s)", (month,))
        for each in results:
            conn.execute(
                "INSERT INTO observation VALUES (%s, %s, %s, now(), %s)"
                " ON CONFLICT (datastream, phenomenon_time) DO UPDATE SET flags = excluded.flags",
                each,
            )
        packed = b"".join(
            PACKED.pack(stream, (at - EPOCH) // MICROSECOND, result, flags)
            for stream, at, result, flags in results
        )
        emit_all(conn, "observed", [News("", packed=packed)])


def bring_up_to_date(conn: Connection[Any]) -> None:
    """Do what the scheduler does: ours, or TimescaleDB's policies, which may be at it already."""
    if not has_timescaledb(conn):
        rollup.keep_up(conn)
        return
    jobs = conn.execute(
        "SELECT job_id FROM timescaledb_information.jobs"
        " WHERE proc_name = 'policy_refresh_continuous_aggregate' ORDER BY job_id"
    ).fetchall()
    for job in jobs:
        for _ in range(100):
            try:
                conn.execute("CALL run_job(%s)", job)
                break
            except psycopg.errors.LockNotAvailable:
                time.sleep(0.1)


def begin_of(at: datetime, length: timedelta) -> datetime:
    """The hour or the day of Beijing that a result belongs to: (begin, begin + length]."""
    shift = BEIJING if length == DAY else timedelta()
    return EPOCH - shift + (at - EPOCH + shift - MICROSECOND) // length * length


def directly(results: Sequence[Result], length: timedelta) -> dict[tuple[int, datetime], tuple[Any, ...]]:
    groups = defaultdict(list)
    for each in results:
        groups[each.stream, begin_of(each.at, length)].append(each)
    answer = {}
    for place, members in groups.items():
        good = sorted((m.at, m.result) for m in members if not m.flags & DISTRUSTED)
        values = [value for _, value in good]
        numbers: list[Any] = [None] * 6
        if good:
            (last_time, last), total = good[-1], sum(values)
            numbers = [min(values), max(values), total / len(values), total, last, last_time]
        answer[place] = (len(good), len(members) - len(good), *numbers)
    return answer


def rolled_up(conn: Connection[Any], view: str) -> dict[tuple[int, datetime], tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = conn.execute(
        "SELECT datastream, begin_time, count, marked, min, max, mean, sum, last, last_time"
        f" FROM observation_{view}"
    ).fetchall()
    return {(stream, begin): tuple(rest) for stream, begin, *rest in rows}


def check(conn: Connection[Any], results: Sequence[Result]) -> None:
    assert rolled_up(conn, "hour") == directly(results, HOUR)
    assert rolled_up(conn, "day") == directly(results, DAY)


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        yield conn


@pytest.fixture
def native(db: Connection[Any]) -> Connection[Any]:
    if has_timescaledb(db):
        pytest.skip("TimescaleDB keeps its rollups itself")
    return db


def made_up(seed: int, count: int) -> list[Result]:
    """Results of three datastreams over three months in any order; quarters, so that sums are exact."""
    chance = random.Random(seed)  # noqa: S311
    first = datetime(2026, 5, 30, 14, tzinfo=UTC)
    made = {}
    for _ in range(count):
        at = first + timedelta(minutes=10 * chance.randrange(6 * 24 * 40))
        at += chance.choice((timedelta(), timedelta(), MICROSECOND, -MICROSECOND))
        flags = chance.choice((0, 0, 0, *Flag, Flag.STUCK | Flag.SPIKE))
        stream = chance.randrange(1, 4)
        made[stream, at] = Result(stream, at, chance.randrange(-400, 400) / 4, int(flags))
    results = list(made.values())
    chance.shuffle(results)
    return results


def test_random_batches_with_late_data(db: Connection[Any]) -> None:
    results = made_up(7, 900)
    for begin in range(0, len(results), 150):
        store(db, results[begin : begin + 150])
        bring_up_to_date(db)
        check(db, results[: begin + 150])


def test_an_hour_ends_with_its_full_hour_and_a_day_with_midnight_in_beijing(db: Connection[Any]) -> None:
    sharp = datetime(2026, 7, 1, 16, tzinfo=UTC)  # midnight in Beijing, and ten o'clock nowhere else
    store(db, [Result(1, sharp, 1), Result(1, sharp + MICROSECOND, 2), Result(1, sharp + HOUR, 4)])
    bring_up_to_date(db)
    hours, days = rolled_up(db, "hour"), rolled_up(db, "day")
    assert {begin: row[5] for (_, begin), row in hours.items()} == {sharp - HOUR: 1, sharp: 6}
    assert {begin: row[5] for (_, begin), row in days.items()} == {sharp - DAY: 1, sharp: 6}


def test_a_result_that_is_marked_later_or_no_more_corrects_its_hour(db: Connection[Any]) -> None:
    results = made_up(3, 200)
    store(db, results)
    bring_up_to_date(db)
    marked_again = [
        each._replace(flags=0 if each.flags & DISTRUSTED else int(Flag.SPIKE)) for each in results
    ]
    store(db, marked_again[:100])
    bring_up_to_date(db)
    check(db, marked_again[:100] + results[100:])


def test_every_result_distrusted_leaves_no_number(db: Connection[Any]) -> None:
    at = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    store(db, [Result(1, at, 9999, int(Flag.RANGE))])
    bring_up_to_date(db)
    for view in ("hour", "day"):
        assert list(rolled_up(db, view).values()) == [(0, 1, None, None, None, None, None, None)]


@pytest.mark.parametrize("storage", ["native", "timescale"])
def test_the_mask_in_the_schema_is_that_of_the_domain(storage: str) -> None:
    masks = re.findall(r"flags & (\d+)", (SCHEMA / f"0009_rollup_{storage}.sql").read_text())
    assert masks
    assert set(masks) == {str(int(DISTRUSTED))}


def test_a_crash_in_the_middle_repeats_what_was_not_committed(
    native: Connection[Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "PAGE", 2)
    results = made_up(11, 400)
    for begin in range(0, 400, 50):
        store(native, results[begin : begin + 50])
    # the third page breaks off behind its hours, before its days: the backend dies there
    native.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT count(*) FROM event e, rollup_state s WHERE e.xact <= s.xact) >= 4 THEN"
        "  PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER die AFTER INSERT ON rollup_day FOR EACH STATEMENT EXECUTE FUNCTION die()"
    )
    with psycopg.connect(database_url, autocommit=True) as other, pytest.raises(psycopg.OperationalError):
        rollup.keep_up(other)
    done = native.execute("SELECT count(*) FROM event e, rollup_state s WHERE e.xact <= s.xact").fetchone()
    assert done == (4,), "two pages of two were committed"
    native.execute("DROP TRIGGER die ON rollup_day")
    rollup.keep_up(native)
    check(native, results)
    assert rollup.keep_up(native) == 0


def test_what_commits_late_is_not_passed_over(native: Connection[Any], database_url: str) -> None:
    """A transaction that began earlier and ends later would lie behind the place, if nobody waited for it."""
    results = made_up(5, 40)
    for each in results:
        native.execute("SELECT ensure_observation_partition(%s)", (each.at,))
    with psycopg.connect(database_url) as slow:
        slow.execute("SET TIME ZONE 'UTC'")
        store(slow, results[:20])
        store(native, results[20:])
        assert rollup.keep_up(native) == 0
        assert rollup.behind_s(native) > 0
        slow.commit()
    rollup.keep_up(native)
    check(native, results)
    assert rollup.behind_s(native) == 0


def test_two_at_once_wait_for_each_other(native: Connection[Any], database_url: str) -> None:
    results = made_up(6, 60)
    store(native, results)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM rollup_state FOR UPDATE")
        native.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            rollup.keep_up(native)
    rollup.keep_up(native)
    check(native, results)


def test_what_was_there_before_is_filled_in(native: Connection[Any]) -> None:
    results = made_up(8, 300)
    store(native, results)
    native.execute("DELETE FROM event")
    assert rolled_up(native, "hour") == {}
    native.execute("SELECT fill_rollups()")
    check(native, results)


def test_late_and_marked_results_in_a_compressed_chunk(db: Connection[Any]) -> None:
    if not has_timescaledb(db):
        pytest.skip("native partitions are not compressed")
    results = made_up(9, 400)
    store(db, results[:300])
    bring_up_to_date(db)
    chunks = db.execute("SELECT count(compress_chunk(c)) FROM show_chunks('observation') c").fetchone()
    assert chunks is not None
    assert chunks[0] >= 2
    marked = [each._replace(flags=int(Flag.SPIKE)) for each in results[:20]]
    store(db, [*marked, *results[300:]])
    bring_up_to_date(db)
    check(db, [*marked, *results[20:]])
    flags = db.execute(
        "SELECT phenomenon_time, datastream, flags FROM observation WHERE flags <> 0"
    ).fetchall()
    assert sorted(flags) == sorted((r.at, r.stream, r.flags) for r in [*marked, *results[20:]] if r.flags)
    ratio = checks_storage.storage(db, datetime.now(UTC), timescaledb=True)["compression_ratio"]
    assert ratio > 0
