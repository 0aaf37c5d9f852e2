"""The assessing on a real database: what is stored and emitted, whatever the order, batches and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from psycopg import Connection

from domain.alert import Level
from domain.flow import Handler, emit, handle
from domain.thing import Observation, partition_of
from domain.wire import pack
from ingest.columns import Columns
from ingest.observations import make_partitions, store
from ingest.registry import Registry, look_up
from ingest.resolve import microseconds
from ingest.scenario import PLACES, Scenario
from ingest.stations import faults, measured
from ingest.storm import PAST_H
from server.registry import register
from warning import rules
from warning.assess import assessor
from warning.evaluate import Slot, history

START = datetime(2026, 6, 1, tzinfo=UTC)
RING = [[106.2, 35.9], [106.21, 35.9], [106.21, 35.91], [106.2, 35.91], [106.2, 35.9]]
numbers = count(1)

#: (station, datastream), hour after START, result
Said = tuple[str, float, float]

RULE = """
name: quick
version: 7
source: made up for a test
hazard_types: [landslide]
memory_h: 1800
calm_h: 8
hold_h: 4
models:
  burst:
    model: godt_2006_mean_intensity
    inputs: [rainfall]
    parameters: {window_h: 2, line_mm_per_h: 10.0}
    levels:
      blue: {at_least: {ratio: 0.5}}
      yellow: {at_least: {ratio: 1.0}}
      orange: {at_least: {ratio: 2.0}}
  storm:
    model: godt_2006_intensity_duration
    inputs: [rainfall]
  angle:
    model: xu_2009
    inputs: [displacement]
    parameters: {uniform_mm_per_day: 1.0}
    valid_h: 12
    levels:
      orange: {at_least: {angle_deg: 80}}
      red: {at_least: {angle_deg: 85}, at_most: {span_h: 168}}
confirm:
  red: {signs: 2, at_least: orange}
"""


@dataclass
class Feed:
    """A site with stations, to which observations are told as ingest tells them."""

    conn: Connection[Any]
    assess: Handler
    folder: str
    code: str
    site: int
    streams: dict[str, int]
    told: list[Said] = field(default_factory=list)

    def store(self, said: Iterable[Said], received: datetime | None = None) -> None:
        """Store observations and emit them, all in one event, as ingest does."""
        registry, columns = Registry(), Columns()
        look_up(self.conn, registry, [f"{self.code}-{stream}" for stream in self.streams], 0)
        received_us = microseconds(received or datetime.now(UTC) + timedelta(days=36525))
        for place, (stream, hour, x) in enumerate(said):
            at_us = microseconds(START + timedelta(hours=hour))
            row = (self.streams[stream], at_us, x, received_us, place)
            for column, value in zip(columns.lists, row, strict=True):
                column.append(value)
        make_partitions(self.conn, registry, columns)
        store(self.conn, registry, columns, careful=True)

    def tell(self, *said: Said) -> None:
        """Store observations in one event, and have it handled."""
        self.store(said)
        self.work()

    def reason(self) -> tuple[str, str]:
        """Return the newest assessment's reason in Chinese and English."""
        row = self.conn.execute(
            "SELECT reason_zh, reason_en FROM assessment WHERE site = %s ORDER BY at DESC LIMIT 1",
            (self.site,),
        ).fetchone()
        assert row
        return row[0], row[1]

    def flags(self) -> list[tuple[float, str]]:
        """Return (hour after START, reason) of every mark."""
        rows = self.conn.execute(
            "SELECT phenomenon_time, flag_words(flags) FROM observation"
            " WHERE datastream = ANY(%s) AND flags <> 0 ORDER BY 1",
            (list(self.streams.values()),),
        )
        return [((at - START) / timedelta(hours=1), word) for at, marked in rows for word in marked]

    def work(self, limit: int = 50) -> None:
        """Handle all that waits."""
        while handle(self.conn, "assess", self.assess, limit=limit):
            pass
        failed = self.conn.execute("SELECT last_failure FROM event WHERE failures > 0").fetchall()
        assert not failed

    def restart(self) -> None:
        """Go on with a process that remembers nothing."""
        self.assess = assessor(self.folder)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return (hour after START, level, {model: ratio}) of each assessment."""
        return [
            (
                round((at - START) / timedelta(hours=1), 3),
                level,
                {key: told["ratio"] for key, told in models.items()},
            )
            for at, level, models in self.conn.execute(
                "SELECT at, level, models FROM assessment WHERE site = %s ORDER BY at", (self.site,)
            )
        ]

    def level(self) -> tuple[int, float, float]:
        """Return level, since and as_of (hours after START) as they stand in the table."""
        row = self.conn.execute(
            "SELECT level, since, as_of FROM level WHERE site = %s", (self.site,)
        ).fetchone()
        assert row
        return row[0], *((at - START) / timedelta(hours=1) for at in row[1:])

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Return the bodies of the events of this kind, for one consumer."""
        rows = self.conn.execute(
            "SELECT body FROM event WHERE kind = %s AND subject = %s AND consumer = 'live' ORDER BY id",
            (kind, self.code),
        )
        return [body for (body,) in rows]


@pytest.fixture
def feed(conn: Connection[Any], tmp_path: Path) -> Callable[..., Feed]:
    (tmp_path / "quick.yaml").write_text(RULE)

    def make(rule: str = "quick", **streams: str) -> Feed:
        """Register a site with a station for each datastream: name -> observed property."""
        code = f"site-{next(numbers)}"
        streams = streams or {"rain": "rainfall", "gnss": "displacement"}
        named = {"region": "640402", "mode": "exercise"}
        site = {"code": code, "name_zh": code, "name_en": code, "type": "landslide", "rule": rule,
                "lon": 106.2, "lat": 35.9, "polygon": RING, **named}  # fmt: skip
        things = [
            {"code": f"{code}-{name}", "kind": "station", "name": name, "site": code, **named,
             "datastreams": [
                {"name": "x", "observed_property": observed, "unit": "mm", "valid_max": 500}]}
            for name, observed in streams.items()
        ]  # fmt: skip
        register(conn, {"sites": [site], "things": things})
        row = conn.execute("SELECT id FROM hazard_site WHERE code = %s", (code,)).fetchone()
        assert row
        ids = {
            name: conn.execute(
                "SELECT d.id FROM datastream d JOIN thing t ON t.id = d.thing WHERE t.code = %s",
                (f"{code}-{name}",),
            ).fetchone()
            for name in streams
        }
        numbered = {name: found[0] for name, found in ids.items() if found}
        return Feed(conn, assessor(str(tmp_path)), str(tmp_path), code, row[0], numbered)

    return make


def dry(hours: Iterable[int]) -> list[Said]:
    return [("rain", hour, 0.0) for hour in hours]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_burst_raises_at_once_and_a_calm_lowers(feed: Callable[..., Feed], restarts: bool) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(1, 5)))
    assert site.level()[0] == 0 and site.rows() == [] and site.heard("levelled") == []
    site.tell(("rain", 5, 25.0))
    assert site.level() == (2, 5, 5)
    assert site.rows()[-1] == (
        5.0,
        2,
        {"burst": 1.25, "storm": pytest.approx(25 / 82.7278, abs=1e-6), "angle": None},
    )
    for hour in range(6, 16):
        if restarts:
            site.restart()
        site.tell(("rain", hour, 0.0))
    assert site.level() == (0, 14, 15)  # the mean over 2 h was crossed until 6, and eight hours are calm
    changes = [(e["from"], e["to"], e["at"]) for e in site.heard("levelled")]
    assert changes == [
        ("none", "yellow", "2026-06-01T05:00:00+00:00"),
        ("yellow", "none", "2026-06-01T14:00:00+00:00"),
    ]


def seeded(seed: object) -> Random:
    return Random(str(seed))  # noqa: S311 - not a secret


def random_record(random: Random) -> list[Said]:
    """Return some days of rain in storms and pauses, and of displacement that speeds up, both with gaps."""
    said: list[Said] = []
    raining, moved = 0.0, 0.0
    for hour in range(1, 24 * 6):
        if random.random() < 0.15:
            raining = random.choice([0.0, 0.0, 2.0, 8.0, 30.0])
        if random.random() > 0.1:
            said.append(("rain", hour, round(raining * random.random(), 1)))
        moved += 0.04 if hour < 90 else random.choice([0.04, 0.6])
        if random.random() > 0.2:
            said.append(("gnss", hour, round(moved + random.gauss(0, 0.02), 2)))
    return said


def in_pieces(random: Random, said: Sequence[Said], shuffled: float) -> list[list[Said]]:
    """Return the observations in random batches; that share of them comes late."""
    kept = [one for one in said if random.random() >= shuffled]
    late = [one for one in said if one not in kept]
    random.shuffle(late)
    for one in late:
        kept.insert(random.randrange(len(kept) + 1), one)
    pieces = []
    while kept:
        size = random.choice([1, 1, 2, 5, 40])
        pieces.append(kept[:size])
        kept = kept[size:]
    return pieces


def truth(
    site: Feed, said: Sequence[Said]
) -> tuple[dict[int, tuple[int, dict[str, float | None]]], dict[int, int]]:
    """Return by hour what the rule says of the record at once: crossed steps, and levels after each step."""
    series = {}
    for number, (name, kind) in enumerate((("gnss", "displacement"), ("rain", "rainfall"))):
        mine = sorted((hour, x) for stream, hour, x in said if stream == name)
        hours = np.array([int(START.timestamp() // 3600) + int(hour) - 1 for hour, _ in mine], np.int64)
        series[Slot(kind, number)] = (hours, np.array([x for _, x in mine]))
    rule = rules.load(site.folder)["quick"]
    assessed, levels = history(rule, series)
    first = int(START.timestamp() // 3600) - 1
    crossed, stood = {}, {}
    for step, hour in enumerate((assessed.steps - first).tolist()):
        stood[hour] = int(levels[step][1])
        if assessed.over[:, step].any():
            told = {
                use.key: None if np.isnan(x) else x
                for use, x in zip(rule.uses, assessed.ratio[:, step], strict=True)
            }
            crossed[hour] = (int(assessed.level[step]), told)
    return crossed, stood


def changes_of(stood: dict[int, int]) -> list[int]:
    """Return the hours of those steps after which the level is another one than before."""
    before = dict(zip(list(stood)[1:], stood.values(), strict=False))
    return [hour for hour, level in stood.items() if level != before.get(hour, 0)]


@pytest.mark.parametrize("shuffled", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_any_order_any_batches_and_restarts_give_what_history_says(
    feed: Callable[..., Feed], seed: int, shuffled: float
) -> None:
    random = seeded(f"{seed} {shuffled}")
    site, said = feed(), random_record(random)
    crossed, stood = truth(site, said)
    assert crossed
    for piece in in_pieces(random, said, shuffled):
        site.store(piece)
        if random.random() < 0.7:
            site.work(limit=random.choice([1, 3, 50]))
        if random.random() < 0.05:
            site.restart()
    site.work()
    rows = {int(hour): (level, ratios) for hour, level, ratios in site.rows()}
    assert {hour: row for hour, row in rows.items() if hour in crossed} == crossed
    last = max(stood)
    level, _, as_of = site.level()
    assert (level, as_of) == (stood[last], last)
    assert [e["to"] for e in site.heard("levelled")][-1:] == (
        [Level(stood[last]).word] if site.heard("levelled") else []
    )
    if not shuffled:
        heard = [(e["at"], e["to"]) for e in site.heard("levelled")]
        expected = [Level(stood[hour]).word for hour in changes_of(stood)]
        assert [to for _, to in heard] == expected
        assert sorted(rows) == sorted(set(crossed) | set(changes_of(stood)))


def test_what_cannot_be_believed_is_marked_kept_and_not_used(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    ahead = (datetime.now(UTC) - START) / timedelta(hours=1)
    site.tell(*dry(range(1, 5)))
    site.tell(("rain", 5, 501.0), ("rain", 6, -1.0))
    site.store([("rain", ahead + 0.2, 30.0)], datetime.now(UTC))  # twelve minutes
    site.work()
    assert site.flags() == [(5, "range"), (6, "range"), (pytest.approx(ahead + 0.2), "future")]
    assert site.level()[::2] == (0, 4) and site.rows() == []
    site.restart()
    site.tell(("rain", 7, 0.5))
    assert site.level()[0] == 0 and site.rows() == []
    stored = site.conn.execute(
        "SELECT count(*) FROM observation WHERE datastream = %s", (site.streams["rain"],)
    ).fetchone()
    assert stored == (8,)


def test_marks_of_events_that_still_wait_are_known_when_a_window_is_read(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.store(dry(range(1, 5)))
    site.store([("rain", 6, 501.0)])
    site.store([("rain", 5, 25.0)])
    site.work(limit=1)
    assert site.level()[:2] == (2, 5) and site.flags() == [(6, "range")]


def test_the_mark_of_the_future_is_made_by_the_time_of_receipt(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.store([("rain", 5, 25.0)], START + timedelta(hours=4.8))
    site.work()
    assert site.flags() == [(5, "future")] and site.rows() == []


def test_missing_inputs_are_named(feed: Callable[..., Feed]) -> None:
    site = feed()
    site.tell(("gnss", 1, 0.0))
    site.tell(*dry(range(1, 20)), ("rain", 20, 25.0))
    zh, en = site.reason()
    assert f"改进切线角（许强 2009）（{site.code}-gnss/x最近数据6月1日09时）" in zh
    assert f"{site.code}-gnss/x: last heard 2026-06-01 09:00" in en
    alone = feed(rain="rainfall")
    alone.tell(*dry(range(1, 5)), ("rain", 5, 25.0))
    assert "本点没有位移监测" in alone.reason()[0] and "No displacement sensor here" in alone.reason()[1]


def test_a_poison_event_stands_alone(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(1, 5)))
    site.store([("rain", 5, 6.0)])
    poison = Observation(datastream=2_000_000_000, phenomenon_time=START, result=0.0)
    emit(site.conn, "observed", subject="", partition=partition_of(site.site), packed=pack([poison]))
    site.store([("rain", 6, 14.0)])
    while handle(site.conn, "assess", site.assess):
        pass
    failed = site.conn.execute("SELECT failures, last_failure FROM event WHERE failures > 0").fetchall()
    assert [failures for failures, _ in failed] == [1] and "no datastream" in failed[0][1]
    assert site.level() == (2, 6, 6)
    assert [row[2]["burst"] for row in site.rows()] == [1.0]  # (6 + 14) / 2 h: nothing was added twice


def test_what_a_failed_take_has_added_is_forgotten(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(1, 5)))
    site.conn.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON assessment FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    site.store([("rain", 5, 12.0)])
    handle(site.conn, "assess", site.assess)
    assert site.conn.execute("SELECT failures FROM event WHERE failures > 0").fetchall() == [(1,)]
    site.conn.execute("DROP TRIGGER refuse ON assessment; UPDATE event SET not_before = now(), failures = 0")
    site.work()
    assert [row[2]["burst"] for row in site.rows()] == [0.6]
    assert site.level()[0] == Level.BLUE


def test_what_was_learnt_of_a_day_is_learnt_anew_when_it_was_not_whole(feed: Callable[..., Feed]) -> None:
    site = feed("rain_displacement", gnss="displacement")
    noise = seeded("learnt")
    moved = [
        ("gnss", float(hour), round(0.1 * hour + noise.gauss(0, 0.4), 2)) for hour in range(1, 24 * 20 + 4)
    ]
    late = moved[24 * 18 - 10 : 24 * 18 - 1]
    site.tell(*[one for one in moved if one not in late])
    assert site.rows() == []
    site.tell(*late)
    fast = [("gnss", moved[-1][1] + hour, round(moved[-1][2] + 4.0 * hour, 2)) for hour in range(1, 12)]
    site.tell(*fast)
    said = moved + fast
    hours = np.array([int(START.timestamp() // 3600) + int(hour) - 1 for _, hour, _ in said])
    series = {Slot("displacement", 0): (hours, np.array([x for *_, x in said]))}
    assessed, _ = history(rules.load()["rain_displacement"], series)
    whole = dict(zip((hours - hours[0] + 1).tolist(), assessed.ratio[-1].tolist(), strict=True))
    told = {int(hour): ratios["angle"] for hour, _, ratios in site.rows()}
    assert len(told) > 6 and told == {hour: whole[hour] for hour in told}


def test_a_late_burst_is_held_through_the_calm_after_it(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    for hour in range(1, 9):
        site.tell(("rain", hour, 0.0))
    site.tell(("rain", 4.5, 25.0))  # fell in the hour until 5, crossed the line until 6
    assert [row[0] for row in site.rows()] == [5, 6, 8]
    assert site.level() == (2, 8, 8)
    assert [(e["to"], e["at"][11:16]) for e in site.heard("levelled")] == [("yellow", "08:00")]
    for hour in range(9, 15):
        assert site.level()[0] == 2
        site.tell(("rain", hour, 0.0))
    assert site.level()[:2] == (0, 14)


def test_an_hour_of_a_pause_is_told_anew_when_the_storm_goes_on(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    for hour, depth in enumerate([0.0, 0.0, 0.0, 40.0, 0.0]):
        site.tell(("rain", hour + 1, depth))
    assert [row[2]["storm"] for row in site.rows()] == [pytest.approx(40 / 82.7278, abs=1e-6), 0.0]
    site.tell(("rain", 6, 1.0))
    pause = 40 / 2 * 2**1.13 / 82.7278
    assert site.rows()[1][2]["storm"] == pytest.approx(pause, abs=1e-6)


def test_two_processes_may_take_a_site_from_each_other(feed: Callable[..., Feed]) -> None:
    site, said = feed(), random_record(seeded("turns"))
    others, turns = [site.assess, assessor(site.folder), assessor(site.folder)], seeded(1)
    crossed, stood = truth(site, said)
    for piece in in_pieces(seeded(2), said, 0.1):
        site.assess = turns.choice(others)
        site.tell(*piece)
    rows = {int(hour): (level, ratios) for hour, level, ratios in site.rows()}
    assert {hour: rows[hour] for hour in crossed} == crossed
    assert site.level()[0] == stood[max(stood)]


def test_a_crossed_line_at_a_high_rate_is_told_now_and_then(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(1, 5)))
    for minute in range(1, 121):
        site.tell(("rain", 4 + minute / 60, 0.5))
    hours = [hour for hour, *_ in site.rows()]
    assert hours == sorted(hours)
    told = [round((hour - 4) * 60) for hour in hours]
    # blue from 10 mm in 2 h on, yellow from 20 mm; in between every ten minutes, and at a new hour
    assert told[0] == 20 and 40 in told
    assert all(later - earlier <= 11 for earlier, later in pairwise(told))
    assert len(told) <= 2 + 120 // 10
    # the running hour counts as soon as it is heard
    assert [(e["to"], e["at"]) for e in site.heard("levelled")] == [
        ("blue", "2026-06-01T04:20:00+00:00"),
        ("yellow", "2026-06-01T04:40:00+00:00"),
        ("orange", "2026-06-01T05:20:00+00:00"),
    ][: len(site.heard("levelled"))]
    # to those who watch: once for each new line, not for every row
    assert len(site.heard("assessed")) == 1


@pytest.mark.parametrize("seed", range(3))
def test_minutes_in_any_order_give_the_same_level_and_the_same_crossed_hours(
    feed: Callable[..., Feed], seed: int
) -> None:
    random = seeded(seed)
    said: list[Said] = [
        ("rain", minute / 60, random.choice([0.0, 0.0, 0.4, 1.5])) for minute in range(5, 900, 5)
    ]
    hours = []
    for shuffled in (0.0, 1.0):
        site = feed(rain="rainfall")
        for piece in in_pieces(random, said, shuffled):
            site.tell(*piece)
        crossed = {int(-(-hour // 1)) for hour, _, ratios in site.rows() if ratios["burst"] >= 0.5}
        hours.append((crossed, site.level()[0]))
    assert hours[0][1] == hours[1][1]
    assert hours[0][0] and hours[0][0] == hours[1][0]


def test_results_in_other_units_become_millimetres(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.conn.execute("UPDATE datastream SET unit = 'cm' WHERE id = %s", (site.streams["rain"],))
    site.tell(*dry(range(1, 5)), ("rain", 5, 2.5))
    assert site.rows()[-1][2]["burst"] == 1.25
    site.restart()
    site.tell(("rain", 6, 0.1))
    assert site.rows()[-1][2]["burst"] == 1.3


def test_a_unit_that_is_no_length_and_a_rule_that_is_not_there_are_said_in_the_log(
    feed: Callable[..., Feed], caplog: pytest.LogCaptureFixture
) -> None:
    site, unruled = feed(rain="rainfall"), feed("no_such_rule", rain="rainfall")
    site.conn.execute("UPDATE datastream SET unit = 'Pa' WHERE id = %s", (site.streams["rain"],))
    site.tell(("rain", 5, 25.0))
    unruled.tell(("rain", 5, 25.0), ("rain", 6, 777.0))
    assert f"datastream {site.code}-rain/x is not used: its unit 'Pa'" in caplog.text
    assert f"site {unruled.code} is not assessed: no rule 'no_such_rule' for landslide" in caplog.text
    assert unruled.flags() == [(6, "range")]


def test_a_datastream_that_is_registered_later_is_seen(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(1, 5)))
    row = site.conn.execute(
        "INSERT INTO datastream (thing, name, observed_property, unit)"
        " SELECT thing, 'y', 'rainfall', 'mm' FROM datastream WHERE id = %s RETURNING id",
        (site.streams["rain"],),
    ).fetchone()
    assert row
    site.streams["second"] = row[0]
    site.tell(("second", 5, 25.0))
    assert site.level()[:2] == (2, 5)


def test_observations_older_than_the_memory_are_stored_and_change_nothing(feed: Callable[..., Feed]) -> None:
    site = feed(rain="rainfall")
    site.tell(*dry(range(3000, 3005)))
    site.tell(("rain", 5, 60.0))
    assert site.level()[::2] == (0, 3004) and site.heard("levelled") == [] and site.rows() == []


def test_red_needs_a_second_sign(feed: Callable[..., Feed]) -> None:
    site = feed()
    still = [("gnss", hour, 0.0) for hour in range(1, 100)]
    fast = [("gnss", hour, (hour - 99) * 2.0) for hour in range(100, 125)]
    site.tell(*still, *fast)
    assert site.level()[0] == Level.ORANGE
    assert "红色须有第二个独立迹象，尚无" in site.reason()[0]
    site.tell(*dry(range(118, 122)))
    site.tell(("rain", 124, 45.0), ("gnss", 125, 52.0))
    assert site.level()[0] == Level.RED
    assert [e["to"] for e in site.heard("levelled")] == ["orange", "red"]
    row = site.conn.execute("SELECT rule, rule_version, models FROM assessment WHERE id = %s",
                            (site.heard("levelled")[-1]["assessment"],)).fetchone()  # fmt: skip
    assert row and row[:2] == ("quick", 7)
    assert row[2]["angle"]["level"] == "red" and row[2]["burst"]["level"] == "orange"


def unsuspecting(site: Feed) -> Feed:
    """Have nothing of this site suspected to be a spike."""
    site.conn.execute(
        "UPDATE datastream SET spike_sigma = 0 WHERE id = ANY(%s)", (list(site.streams.values()),)
    )
    return site


JUMP: list[Said] = [("gnss", 12.25, 0.0), ("gnss", 12.5, 60.0), ("gnss", 12.75, 60.0), ("gnss", 12.9, 60.0)]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("worked_after", [(0, 1, 2, 3), (0, 1, 3), (0, 2), (1,), (2,), ()])
def test_a_result_whose_mark_is_taken_back_counts_exactly_once(
    feed: Callable[..., Feed], worked_after: Sequence[int], restarts: bool
) -> None:
    """Its event may have been handled before that or still wait, its window may be read in between."""
    site, other = feed(gnss="displacement"), unsuspecting(feed(gnss="displacement"))
    for each in (site, other):
        each.tell(*[("gnss", float(hour), 0.0) for hour in range(1, 13)])
    other.tell(*JUMP)
    marks = []
    for place, said in enumerate(JUMP):
        site.store([said])
        marks.append(site.flags())
        if place in worked_after:
            site.work()
        if restarts:
            site.restart()
    site.work(limit=1)
    assert marks == [[], [(12.5, "spike")], [], []]
    # the mean of that hour is 45 mm; were a result missing, or there twice, the next rate would tell
    for hour in (13.5, 13.75):
        for each in (site, other):
            each.tell(("gnss", hour, 60.0))
        assert site.rows()[-1][1:] == other.rows()[-1][1:] and site.level() == other.level()
        site.restart()
    assert site.level()[0] >= Level.ORANGE


def test_marks_that_are_taken_back_while_another_process_reads(feed: Callable[..., Feed]) -> None:
    site, other = feed(gnss="displacement"), unsuspecting(feed(gnss="displacement"))
    for each in (site, other):
        each.tell(*[("gnss", float(hour), 0.0) for hour in range(1, 13)], *JUMP[:1])
    site.store(JUMP[1:2])
    site.restart()
    site.store(JUMP[2:3])
    site.work(limit=1)  # reads the window: the second event waits, and what it tells is in the window already
    site.store(JUMP[3:])
    site.work(limit=1)
    other.tell(*JUMP[1:])
    for each in (site, other):
        each.tell(("gnss", 13.5, 60.0))
    assert site.rows()[-1] == other.rows()[-1]


def of_the_exercise(region: str, until_h: float) -> list[Said]:
    """Return the north coordinate that the exercise's station there measures, with the planted faults."""
    place = next(place for place in PLACES if place.region == region)
    scenario = Scenario(seed=1, start=START + timedelta(hours=PAST_H))
    said = []
    for at, results in measured(scenario, place):
        hour = (at - scenario.start) / timedelta(hours=1)
        if hour <= until_h and "L1_GP_1/gpsTotalX" in results:
            planted, x = faults(scenario, place, at), results["L1_GP_1/gpsTotalX"]
            x = 99_999.0 if "range" in planted else x + 60 * ("spike" in planted)
            said.append(("gnss", hour + PAST_H, x))
    return said


def in_turn(site: Feed, said: Sequence[Said], singly: float) -> list[tuple[str, str]]:
    """Tell what came before that hour of the storm at once, the rest singly; return the changes of level."""
    alone = [one[1] > singly + PAST_H for one in said].index(True)
    site.tell(*said[:alone])
    for one in said[alone:]:
        site.tell(one)
    return [(e["to"], e["at"]) for e in site.heard("levelled")]


def test_the_planted_spike_of_60_mm_raises_no_level(feed: Callable[..., Feed]) -> None:
    said = of_the_exercise("640425", until_h=26)
    site = feed("rain_displacement", gnss="displacement_x")
    assert in_turn(site, said, singly=21) == []
    assert [word for _, word in site.flags()] == ["range", "spike"]
    bare = unsuspecting(feed("rain_displacement", gnss="displacement_x"))
    assert [to for to, _ in in_turn(bare, said, singly=21)], "it would without the mark"


def test_an_accelerating_slope_is_not_told_later_by_more_than_one_result(feed: Callable[..., Feed]) -> None:
    said = of_the_exercise("640422", until_h=50.4)
    site, bare = (
        feed("rain_displacement", gnss="displacement_x"),
        unsuspecting(feed("rain_displacement", gnss="displacement_x")),
    )
    told, truth = in_turn(site, said, singly=30), in_turn(bare, said, singly=30)
    assert [to for to, _ in told] == [to for to, _ in truth] and len(truth) >= 2
    late = [
        datetime.fromisoformat(mine) - datetime.fromisoformat(true)
        for (_, mine), (_, true) in zip(told, truth, strict=True)
    ]
    assert max(late) <= timedelta(minutes=10)


def test_a_jump_that_stays_raises_the_level_with_the_next_result(feed: Callable[..., Feed]) -> None:
    site = feed("rain_displacement", gnss="displacement_x")
    site.tell(*of_the_exercise("640425", until_h=0))
    site.tell(("gnss", PAST_H + 0.9, 60.0))
    assert site.flags()[-1] == (PAST_H + 0.9, "spike") and site.heard("levelled") == []
    site.tell(("gnss", PAST_H + 1.1, 60.0))
    assert site.flags() == []
    (levelled,) = site.heard("levelled")
    assert datetime.fromisoformat(levelled["at"]) == START + timedelta(hours=PAST_H + 1.1)
