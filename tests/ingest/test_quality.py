"""Marks, each by a series that can be checked by hand; the same ones in whatever batches, over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from domain.quality import Flag, words
from domain.wire import unpack
from ingest import past
from ingest.columns import Columns, Rows
from ingest.limits import LIMITS, Registered, limits_of, valid_range
from ingest.observations import make_partitions, store
from ingest.quality import AHEAD_US, PAST, empty, judge
from ingest.registry import Registry, look_up
from ingest.resolve import microseconds
from server.registry import register
from tests.ingest.conftest import thing

NAN, INF = float("nan"), float("inf")
NOW_US = 1_786_000_000_000_000
SPIKE = ["spike"]
NONE: list[str] = []
numbers = count(1)


def marks(
    results: Sequence[float],
    observed: str = "displacement",
    *,
    hours: Sequence[float] = (),
    name: str = "x",
    unit: str = "mm",
    **own: Any,
) -> list[list[str]]:
    """Return the marks of results that come in one batch, each ten minutes or at these hours."""
    at = np.array(hours or np.arange(len(results)) / 6) * 3_600_000_000
    at_us = NOW_US + np.rint(at).astype(np.int64)
    rows = Rows(np.ones(len(at_us), np.int64), at_us, np.array(results, np.float64), at_us,
                np.zeros(len(at_us), np.int16))  # fmt: skip
    limits = np.array([limits_of(name, observed, unit, Registered(**own))], LIMITS)
    return [words(flags) for flags in judge(rows, empty(1), limits).flags.tolist()]


@pytest.mark.parametrize(
    ("result", "marked"),
    [(-0.1, True), (0.0, False), (50.0, False), (50.1, True), (NAN, True), (INF, True), (-INF, True)],
)
def test_a_result_outside_of_its_range_is_marked(result: float, marked: bool) -> None:
    assert marks([result], valid_min=0, valid_max=50) == [["range"] if marked else NONE]


@pytest.mark.parametrize(("ahead_us", "marked"), [(-1, False), (AHEAD_US, False), (AHEAD_US + 1, True)])
def test_a_time_more_than_five_minutes_ahead_is_marked(ahead_us: int, marked: bool) -> None:
    assert AHEAD_US == 300_000_000
    now = np.array([NOW_US])
    rows = Rows(np.array([1]), now + ahead_us, np.zeros(1), now, np.zeros(1, np.int16))
    limits = np.array([limits_of("x", "", "", Registered())], LIMITS)
    assert judge(rows, empty(1), limits).flags.tolist() == [Flag.FUTURE if marked else 0]


def test_rain_is_never_negative_and_limits_of_the_registry_only_narrow() -> None:
    assert valid_range("rainfall", None, None) == (0, 1e9)
    assert valid_range("rainfall", -5, 80) == (0, 80)
    assert valid_range("displacement", -5, None) == (-5, 1e9)
    assert valid_range("", None, None) == (-1e9, 1e9)


def test_the_database_names_each_mark_as_we_do(conn: Connection[Any]) -> None:
    every = sum(Flag)
    rows = conn.execute(
        "SELECT bits, flag_words(bits::smallint) FROM generate_series(0, %s) AS bits", (every,)
    )
    assert {bits: told for bits, told in rows} == {bits: words(bits) for bits in range(every + 1)}


@pytest.mark.parametrize(
    ("before", "result", "marked"),
    [
        ([0, 0, 0, 0, 0], 10.0, False),  # no scatter: the floor of 10 mm holds
        ([0, 0, 0, 0, 0], 10.1, True),
        ([0, 0, 0, 0, 0], -10.1, True),
        ([0, 0, 0, 0], 60.0, False),  # four results tell nothing
        # median 30, MAD 20: 4 * 1.4826 * 20 = 118.608
        ([0, 60, 10, 50, 20, 40, 30], 148.6, False),
        ([0, 60, 10, 50, 20, 40, 30], 148.7, True),
        # only the last seven count: median 30, MAD 20 again
        ([900, 900, 0, 60, 10, 50, 20, 40, 30], 148.7, True),
    ],
)
def test_a_result_far_from_those_before_it_is_a_spike(
    before: list[float], result: float, marked: bool
) -> None:
    assert marks([*before, result])[-1] == (SPIKE if marked else NONE)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([60, 0], [SPIKE, NONE]),
        ([60, 30], [NONE, NONE]),  # to the same side, half as far
        ([60, 29.9], [SPIKE, SPIKE]),
        ([60, -60], [SPIKE, SPIKE]),
        ([60, 29.9, 29.9], [SPIKE, NONE, NONE]),  # the second is borne out by the third
        ([60, NAN, 60], [NONE, ["range"], NONE]),  # what is no number says neither yes nor no
        ([60, 60, 0, 60, 60], [NONE] * 5),
        ([60, 60, 0, 60, 0], [NONE, NONE, NONE, SPIKE, NONE]),
        ([60, 61, 60, 62, 60, 61, 60, 0], [NONE] * 7 + [SPIKE]),  # the new place is the usual one
    ],
)
def test_the_next_result_tells_whether_a_jump_is_true(after: list[float], expected: list[list[str]]) -> None:
    assert marks([0, 0, 0, 0, 0, *after])[5:] == expected


def test_a_slope_that_moves_is_never_hidden_for_longer_than_one_result() -> None:
    """Steps that double again and again, and a steady run from standstill: only the newest is doubted."""
    for moving in ([12.0 * n for n in range(1, 20)], [2.0**n for n in range(1, 25)]):
        series = [0.0] * 7
        for result in moving:
            series.append(result)
            assert all(mark == NONE for mark in marks(series)[:-1])


def test_what_lies_two_days_back_is_no_neighbour() -> None:
    half_days = [12.0 * n for n in range(6)]
    assert marks([0, 0, 0, 0, 0, 60], hours=half_days)[-1] == NONE  # four within 48 h
    assert marks([0, 0, 0, 0, 0, 60], hours=[9.6 * n for n in range(6)])[-1] == SPIKE


@pytest.mark.parametrize(
    ("observed", "unit", "own", "marked"),
    [
        ("displacement_x", "mm", {}, True),
        ("displacement", "m", {}, True),
        ("displacement", "Pa", {}, False),  # a floor in mm means nothing there
        ("displacement", "mm", {"spike_sigma": 0.0}, False),
        ("displacement", "mm", {"spike_floor": 60.0}, False),
        ("displacements", "mm", {}, False),  # another word
        ("", "mm", {}, False),
        ("", "mm", {"spike_floor": 5.0}, True),
        ("rainfall", "mm", {}, False),
        ("rainfall", "mm", {"spike_floor": 5.0, "spike_sigma": 4.0}, False),
        ("vibration_x", "mm", {"spike_floor": 5.0}, False),
        ("crack", "mm", {}, True),
        ("groundwater_level", "m", {}, True),
        ("pore_pressure", "kPa", {}, True),
    ],
)
def test_spikes_are_looked_for_where_they_are_faults(
    observed: str, unit: str, own: dict[str, Any], marked: bool
) -> None:
    assert marks([0] * 6 + [60], observed, unit=unit, **own)[-1] == (SPIKE if marked else NONE)


def test_floors_are_in_the_unit_of_the_datastream() -> None:
    assert marks([0] * 6 + [0.0101], unit="m")[-1] == SPIKE
    assert marks([0] * 6 + [0.0099], unit="m")[-1] == NONE
    assert marks([0] * 6 + [10.1], unit="")[-1] == SPIKE


def test_the_same_result_for_too_long() -> None:
    hours = list(range(76))
    found = marks([1.0] * 74 + [2.0, 2.0], hours=hours)
    assert found == [NONE] * 73 + [["stuck"]] + [NONE] * 2  # after more than 72 h
    assert marks([1.0] * 76, "rainfall", hours=hours) == [NONE] * 76
    assert marks([0.0] * 5, "rainfall", hours=range(5), stuck_after_h=3)[-1] == ["stuck"]
    assert marks([1.0] * 76, hours=hours, stuck_after_h=0) == [NONE] * 76


def test_a_change_faster_than_possible() -> None:
    assert marks([0, 1.0, 2.1, -20.0], "", max_rate_per_h=6)[1:] == [NONE, ["rate"], ["rate"]]
    assert marks([0, 500, 0], "") == [NONE] * 3
    # what is not believed itself is nothing to be compared with
    assert marks([0, 5e9, 1.0], "", max_rate_per_h=6)[1:] == [["range"], NONE]


def test_what_was_observed_before_the_last_reset_is_stale_and_no_neighbour() -> None:
    at = datetime.fromtimestamp(NOW_US / 1e6, UTC) + timedelta(hours=1)
    assert marks([0] * 6 + [60, 60], reset_at=at) == [["stale"]] * 6 + [NONE] * 2
    assert marks([0, 0, 0, 0, 0, 0, 60, 60], reset_at=at - timedelta(hours=2))[6:] == [NONE] * 2


@pytest.mark.parametrize(
    ("name", "observed", "counts"),
    [("L3_YL_1/totalValue", "", True), ("x", "rainfall_total", True), ("L3_YL_1/value", "rainfall", False)],
)
def test_a_counter_that_begins_anew(name: str, observed: str, counts: bool) -> None:
    found = marks([5.0, 6.2, 6.2, 0.2, 0.4], observed, name=name)
    assert found == [NONE] * 3 + [["reset"] if counts else NONE, NONE]


def test_the_first_result_after_a_gap() -> None:
    regular = [n / 6 for n in range(6)]  # five intervals of ten minutes
    zeros = [0.0] * 7
    assert marks(zeros, "", hours=[*regular, 5 / 6 + 0.5])[-1] == NONE
    assert marks(zeros, "", hours=[*regular, 5 / 6 + 0.501])[-1] == ["gap"]
    assert marks(zeros[:6], "", hours=[*regular[:5], 10])[-1] == NONE  # four intervals tell nothing
    assert marks([0.0, 0.0, 0.0], "", hours=[0, 3, 6.1], expected_every_s=3600) == [NONE, NONE, ["gap"]]
    assert marks([*zeros[:6], NAN], "", hours=[*regular, 3])[-1] == ["range", "gap"]


def test_what_is_no_number_disturbs_nothing_after_it() -> None:
    found = marks([0, NAN, 0, INF, 0, 0, -INF, 0, 5e9, 60, 0])
    assert [n for n, mark in enumerate(found) if mark] == [1, 3, 6, 8, 9] and found[9] == SPIKE


def test_what_is_known_fits_into_memory() -> None:
    assert PAST.itemsize * 1.5 * 100_000 < 40e6  # arrays grow by half


class Shelf:
    """A datastream on a real database, stored to as ingest does."""

    def __init__(self, conn: Connection[Any], observed: str = "displacement", **stream: Any) -> None:
        self.conn, self.code, self.registry = conn, f"shelf-{next(numbers)}", Registry()
        streams = [{"name": "x", "observed_property": observed, "unit": "mm"}]
        register(conn, {"things": [thing(self.code, datastreams=streams)]})
        look_up(conn, self.registry, [self.code], 0)
        self.stream = self.registry.senders[self.code].datastreams["x"][0]
        for column, value in stream.items():
            self.registry.limits[column][self.stream] = value

    def restart(self) -> None:
        """Forget all that is known of results."""
        past.forget(self.registry, np.array([self.stream]))

    def store(self, said: Sequence[tuple[int, float]], received_s: int | None = None) -> None:
        """Store (time in s, result) as one batch."""
        columns = Columns()
        for at_s, result in said:
            at_us = NOW_US + at_s * 1_000_000
            received_us = at_us if received_s is None else NOW_US + received_s * 1_000_000
            for column, value in zip(
                columns.lists, (self.stream, at_us, result, received_us, 0), strict=True
            ):
                column.append(value)
        make_partitions(self.conn, self.registry, columns)
        with self.conn.transaction():
            judged = store(self.conn, self.registry, columns, careful=True)
        past.note(self.registry, judged)

    def marked(self) -> list[tuple[float, list[str]]]:
        """Return time (s) and marks of everything stored."""
        rows = self.conn.execute(
            "SELECT us_of(phenomenon_time), flags FROM observation WHERE datastream = %s ORDER BY 1",
            (self.stream,),
        )
        return [((us - NOW_US) / 1e6, words(flags)) for us, flags in rows]

    def told(self) -> list[tuple[float, list[str]]]:
        """Return time (s) and marks of everything as the assessing was told last."""
        rows = self.conn.execute("SELECT packed FROM event WHERE kind = 'observed' ORDER BY id")
        told = {microseconds(o.phenomenon_time): o.flags for (packed,) in rows for o in unpack(packed)
                if o.datastream == self.stream}  # fmt: skip
        return [((us - NOW_US) / 1e6, words(flags)) for us, flags in sorted(told.items())]


RESULTS = st.sampled_from([0.0, 0.0, 0.1, 1.0, 12.0, 25.0, 60.0, -60.0, NAN, INF, 2e9])
STEPS_S = st.sampled_from([600, 600, 600, 600, 601, 3600, 86_400, 3 * 86_400])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(STEPS_S, RESULTS), min_size=1, max_size=24),
    st.lists(st.integers(1, 5), min_size=24, max_size=24),
)
def test_one_batch_single_rows_and_restarts_give_the_same_marks(
    conn: Connection[Any], steps: list[tuple[int, float]], sizes: list[int]
) -> None:
    at_s = np.cumsum([step for step, _ in steps]).tolist()
    said = [(at, result) for at, (_, result) in zip(at_s, steps, strict=True)]
    own: dict[str, Any] = {"max_rate_per_h": 100.0, "stuck_us": 2 * 3600 * 1_000_000, "counter": True}
    whole, single, restarted, pieces = (Shelf(conn, **own) for _ in range(4))
    whole.store(said)
    expected = whole.marked()
    assert [at for at, _ in expected] == at_s, "nothing is ever dropped"
    for one in said:
        single.store([one])
        restarted.store([one])
        restarted.restart()
    rest = said
    for size in sizes:
        pieces.store(rest[:size])
        rest = rest[size:]
    for shelf in (single, restarted, pieces):
        assert shelf.marked() == expected
        assert shelf.told() == expected


def test_late_results_are_no_neighbours_and_are_seen_by_what_comes_next(conn: Connection[Any]) -> None:
    shelf = Shelf(conn)
    shelf.store([(600 * n, 0.0) for n in range(0, 10, 2)])
    shelf.store([(1800, 60.0), (3000, NAN), (4200, 0.0)])
    assert dict(shelf.marked())[1800.0] == NONE, "it came late: nobody knows what came next"
    assert dict(shelf.marked())[3000.0] == ["range"]
    alone = Shelf(conn)
    alone.store([(600 * n, 60.0) for n in range(10, 15)])
    alone.store([(600 * n, 0.0) for n in range(5)])  # a station that calls in reverse
    alone.store([(9000, 0.0)])
    alone.restart()
    alone.store([(9600, 0.0)])
    assert [mark for _, mark in alone.marked()] == [NONE] * 12


def test_a_batch_that_fails_changes_nothing(conn: Connection[Any]) -> None:
    shelf, other = Shelf(conn), Shelf(conn)
    for each in (shelf, other):
        each.store([(600 * n, 0.0) for n in range(6)])
    columns = Columns([shelf.stream], [NOW_US + 3_600_000_000], [60.0], [NOW_US + 3_600_000_000], [0])
    with conn.transaction(force_rollback=True):
        store(conn, shelf.registry, columns, careful=False)
    for each in (shelf, other):
        each.store([(4200, 60.0)])
        each.store([(4800, 0.0)])
    assert shelf.marked() == other.marked()
    assert shelf.marked()[-2:] == [(4200, SPIKE), (4800, NONE)]


def test_what_another_process_has_stored_is_known_when_its_message_comes_here_too(
    conn: Connection[Any],
) -> None:
    shelf = Shelf(conn)
    shelf.store([(600 * n, 0.0) for n in range(6)])
    twin = Registry(senders=shelf.registry.senders, partition=shelf.registry.partition,
                    limits=shelf.registry.limits, past=shelf.registry.past.copy())  # fmt: skip
    shelf.store([(3600, 60.0)])
    shelf.registry = twin
    shelf.store([(3600, 60.0), (4200, 60.0)])
    assert shelf.marked()[-2:] == [(3600, NONE), (4200, NONE)] == shelf.told()[-2:]


def test_how_often_a_datastream_speaks(conn: Connection[Any]) -> None:
    shelf = Shelf(conn)

    def every_s() -> float | None:
        row = conn.execute("SELECT every_s FROM latest WHERE datastream = %s", (shelf.stream,)).fetchone()
        return row and row[0]

    for n in range(6):
        shelf.store([(600 * n, 0.0)])
        assert every_s() is None
    shelf.store([(3600, 0.0)])
    assert every_s() == 600
    shelf.store([(3600 + 600 * n, 0.0) for n in range(1, 7)], received_s=7200)
    assert every_s() == 3600, "six results came in one call"
    conn.execute("SELECT fill_latest()")
    assert every_s() == 600
