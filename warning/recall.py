"""The series of a site at hand: read from the database when the site is first touched, then added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection

from domain.alert import Level
from domain.quality import DISTRUSTED
from domain.thing import partition_of
from warning.evaluate import Answered
from warning.level import State
from warning.series import HOUR_US, LEAST_ROWS, SUMMED, Series, hour_of
from warning.sites import Site

#: old rows are dropped once in so many hours
FORGET_EVERY_H = 48


class Kept(NamedTuple):
    """A step that was assessed: what the models said (as in `timeline.Step`), state and level of the site
    after it, and the time of its row in `assessment`, if it has one.
    """

    says: Level
    unanswered: bool
    over: int
    said: bytes
    state: State
    level: Level
    row_us: int | None


@dataclass(slots=True, kw_only=True)
class Window:
    """What is known of a site: its series by datastream, its last steps by hour, and what was told of it."""

    site: Site
    series: Mapping[int, Series]
    #: events that were waiting when the series were read (with those of other sites: it is one set for all):
    #: their observations are in them already
    included: set[int]
    kept: dict[int, Kept] = field(default_factory=dict)
    #: the models' last answers, by position of the use in the rule and datastream
    answers: dict[tuple[int, int], Answered] = field(default_factory=dict)
    #: the hour from which on these are known; 0 when from the beginning
    answered_from: dict[tuple[int, int], int] = field(default_factory=dict)
    #: datastreams that have changed since they were asked about
    changed: set[int] = field(default_factory=set)
    level: Level = Level.NONE
    since_us: int = 0
    #: newest phenomenon time assessed, and the one that stands in the table
    as_of_us: int = 0
    stored_us: int = 0
    #: newest phenomenon time heard
    heard_us: int = 0
    forgot_h: int = 0
    over: int = 0
    row_us: int = 0
    said_us: int = 0

    @property
    def newest_h(self) -> int:
        """The hour of the newest step."""
        return hour_of(self.as_of_us)

    def first_to_assess(self, stream: int, hour: int) -> int:
        """Return the hour from which answers may have changed when this hour of a datastream has."""
        series, rule = self.series[stream], self.site.rule
        row = series.row_at(hour) - self.site.revises[stream]
        return max(int(series.hours[max(row, 0)]), self.newest_h - rule.late_h)

    def forget(self) -> None:
        """Drop, now and then, what is older than the rule's memory."""
        if self.newest_h >= self.forgot_h + FORGET_EVERY_H:
            self.forgot_h = self.newest_h
            for series in self.series.values():
                series.forget(self.newest_h - self.site.rule.memory_h)


def recall(conn: Connection[Any], sites: Sequence[tuple[Site, int]]) -> dict[int, Window]:
    """Return the windows of these sites (each with the first hour that must be assessed), read from the
    database.

    Results with a mark that models do not trust are left out.
    """
    series, included = _series(conn, sites)
    windows = {
        site.id: Window(
            site=site,
            series={stream.id: series[stream.id] for stream in site.streams},
            included=included,
        )
        for site, _ in sites
    }
    for site, level, since, as_of, state in conn.execute(
        "SELECT site, level, (extract(epoch FROM since) * 1000000)::bigint,"
        " (extract(epoch FROM as_of) * 1000000)::bigint, state FROM level WHERE site = ANY(%s)",
        ([site.id for site, _ in sites],),
    ):
        window = windows[site]
        window.level, window.since_us = Level(level), since
        window.as_of_us = as_of  # stored_us stays 0: the row must say who assesses the site now
        window.over, window.row_us, window.said_us = state["over"], state["row_us"], state["said_us"]
    return windows


def _series(conn: Connection[Any], sites: Sequence[tuple[Site, int]]) -> tuple[dict[int, Series], set[int]]:
    """Return the series by datastream, and the events that wait: both as of the same moment."""
    streams = [(stream, first - site.rule.memory_h) for site, first in sites for stream in site.streams]
    series = {s.id: Series(summed=s.slot.observed_property in SUMMED) for s, _ in streams}
    included = set[int]()
    rows = conn.execute(
        # one statement, so that both see the same moment: an event waits exactly if what it
        # brought is counted below and has not been handled yet
        "WITH stream AS (SELECT * FROM unnest(%(ids)s::int[], %(um)s::float8[],"
        "   %(since)s::float8[]) AS s (id, um, since)),"
        " recent AS (SELECT s.id, s.um, o.phenomenon_time AS at, o.result FROM stream s"
        "   JOIN observation o ON o.datastream = s.id AND o.phenomenon_time > to_timestamp(s.since)"
        "   WHERE o.phenomenon_time > to_timestamp(%(all_since)s) AND o.flags & %(distrusted)s = 0),"
        " counted AS (SELECT id, count(*) AS rows FROM recent GROUP BY id),"
        " older AS (SELECT s.id, s.um, o.at, o.result FROM stream s LEFT JOIN counted c ON c.id = s.id"
        "   CROSS JOIN LATERAL"
        "   (SELECT phenomenon_time AS at, result FROM observation WHERE datastream = s.id"
        "    AND phenomenon_time <= to_timestamp(s.since) AND flags & %(distrusted)s = 0"
        "    ORDER BY phenomenon_time DESC LIMIT %(older)s) o"
        "   WHERE coalesce(c.rows, 0) < %(rows)s),"
        " hourly AS (SELECT id, ((extract(epoch FROM at) * 1000000)::bigint - 1) / %(hour)s AS hour,"
        "   sum(round(result * um))::bigint AS total, count(*) AS count,"
        "   max((extract(epoch FROM at) * 1000000)::bigint) AS newest"
        "   FROM (SELECT * FROM recent UNION ALL SELECT * FROM older) o GROUP BY 1, 2)"
        " SELECT id, array_agg(hour ORDER BY hour), array_agg(total ORDER BY hour),"
        "   array_agg(count ORDER BY hour), array_agg(newest ORDER BY hour) FROM hourly GROUP BY id"
        " UNION ALL SELECT NULL, array_agg(id), NULL, NULL, NULL FROM ("
        "   SELECT id FROM event WHERE consumer = 'assess' AND done_at IS NULL AND set_aside_at IS NULL"
        "    AND partition = ANY(%(partitions)s)"
        "   UNION ALL SELECT id FROM event WHERE consumer = 'assess' AND set_aside_at IS NOT NULL) waiting",
        {**_columns(streams), "partitions": list({partition_of(site.id) for site, _ in sites})},
    )
    for stream, *columns in rows:
        if stream is None:
            included.update(columns[0] or ())
        else:
            _fill(series[stream], columns)
    return series, included


def _columns(streams: Sequence[tuple[Any, int]]) -> dict[str, object]:
    since = [(first + 1) * HOUR_US / 1e6 for _, first in streams]
    return {
        "ids": [stream.id for stream, _ in streams],
        "um": [stream.micrometres for stream, _ in streams],
        "since": since,
        "all_since": min(since, default=0),
        "distrusted": int(DISTRUSTED),
        "older": LEAST_ROWS * 12,
        "rows": LEAST_ROWS,
        "hour": HOUR_US,
    }


def _fill(series: Series, columns: Sequence[Sequence[int]]) -> None:
    hours, sums, counts, newest = (np.array(column, np.int64) for column in columns)
    room = np.zeros(max(64, len(hours) // 4), np.int64)
    series.hours, series.sums, series.counts, series.newest_us = (
        np.concatenate((column, room)) for column in (hours, sums, counts, newest)
    )
    series.size = len(hours)
