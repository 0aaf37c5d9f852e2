"""What the assessing writes: assessments, levels, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.flow import News, emit_all
from domain.thing import partition_of
from domain.wire import new_id
from warning.recall import Window
from warning.series import hour_of
from warning.walk import Told

#: the newest assessed time of a site stands in the table at least this exactly
AS_OF_US = 60_000_000


def strangers(conn: Connection[Any], name: str, sites: Collection[int]) -> list[int]:
    """Return those of the sites that somebody else than `name` has assessed last."""
    if not sites:
        return []
    rows = conn.execute(
        "SELECT site FROM level WHERE site = ANY(%s) AND state ->> 'by' IS DISTINCT FROM %s",
        (list(sites), name),
    )
    return [site for (site,) in rows]


def rows_since(conn: Connection[Any], windows: Mapping[int, int]) -> dict[int, dict[int, int]]:
    """Return for each site (with its first hour) the times (us) of its rows from then on, by hour."""
    found: dict[int, dict[int, int]] = {site: {} for site in windows}
    for site, at_us in conn.execute(
        "SELECT a.site, (extract(epoch FROM a.at) * 1000000)::bigint"
        " FROM unnest(%s::int[], %s::float8[]) AS w (site, since) JOIN assessment a ON a.site = w.site"
        " AND a.at > to_timestamp(w.since) ORDER BY a.at",
        (list(windows), [hour * 3600.0 for hour in windows.values()]),
    ):
        found[site][hour_of(at_us)] = at_us
    return found


def write(conn: Connection[Any], name: str, told: Sequence[Told], windows: Iterable[Window]) -> None:
    """Store the assessments and where the sites stand now, and emit what has changed."""
    ids = _assessments(conn, told) if told else {}
    news = {one.window.site.id for one in told}
    _levels(conn, name, [w for w in windows if w.site.id in news or w.as_of_us - w.stored_us >= AS_OF_US])
    said = [_news(one, ids, {"level": one.level.word}) for one in told if one.said]
    if said:
        emit_all(conn, "assessed", said)
    levelled = [
        _news(one, ids, {"site": one.window.site.id, "from": one.before.word, "to": one.after.word})
        for one in told
        if one.before is not None
    ]
    if levelled:
        emit_all(conn, "levelled", levelled)


def _assessments(conn: Connection[Any], told: Sequence[Told]) -> dict[tuple[int, int], str]:
    """Store the rows; return their ids by site and time. A row that is there already is brought up to
    date.
    """
    rows = conn.execute(
        "INSERT INTO assessment (id, site, region, at, level, rule, rule_version, models,"
        "  reason_zh, reason_en, assessed_at)"
        " SELECT id, site, region, to_timestamp(0) + us * interval '1 microsecond', level, rule, version,"
        "  models, zh, en, clock_timestamp()"
        " FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::bigint[], %s::smallint[], %s::text[],"
        "  %s::int[], %s::jsonb[], %s::text[], %s::text[])"
        "  AS t (id, site, region, us, level, rule, version, models, zh, en)"
        " ON CONFLICT (site, at, rule, rule_version) DO UPDATE SET level = excluded.level,"
        "  models = excluded.models, reason_zh = excluded.reason_zh, reason_en = excluded.reason_en,"
        "  assessed_at = excluded.assessed_at"
        " RETURNING id, site, (extract(epoch FROM at) * 1000000)::bigint",
        (
            [new_id() for _ in told],
            [one.window.site.id for one in told],
            [one.window.site.region for one in told],
            [one.at_us for one in told],
            [int(one.level) for one in told],
            [one.window.site.rule.name for one in told],
            [one.window.site.rule.version for one in told],
            [Jsonb(one.models) for one in told],
            [one.reason_zh for one in told],
            [one.reason_en for one in told],
        ),
    )
    return {(site, at_us): str(id_) for id_, site, at_us in rows}


def _levels(conn: Connection[Any], name: str, windows: Sequence[Window]) -> None:
    """Store where the sites stand, all in one statement."""
    if not windows:
        return
    conn.execute(
        "INSERT INTO level (site, region, level, since, as_of, state)"
        " SELECT site, region, level, to_timestamp(0) + since * interval '1 microsecond',"
        "  to_timestamp(0) + as_of * interval '1 microsecond', state"
        " FROM jsonb_to_recordset(%s)"
        "  AS w (site int, region text, level smallint, since bigint, as_of bigint, state jsonb)"
        " ON CONFLICT (site) DO UPDATE SET region = excluded.region, level = excluded.level,"
        "  since = excluded.since, as_of = excluded.as_of, state = excluded.state",
        (Jsonb([_standing(window, name) for window in windows]),),
    )
    for window in windows:
        window.stored_us = window.as_of_us


def _standing(window: Window, name: str) -> dict[str, object]:
    newest = window.kept.get(window.newest_h)
    state = {
        "by": name,
        "reached_h": newest.state.reached if newest else None,
        "unanswered_h": newest.state.unanswered if newest else None,
        "over": window.over,
        "row_us": window.row_us,
        "said_us": window.said_us,
    }
    return {
        "site": window.site.id,
        "region": window.site.region,
        "level": int(window.level),
        "since": window.since_us,
        "as_of": window.as_of_us,
        "state": state,
    }


def _news(one: Told, assessments: Mapping[tuple[int, int], str], about: Mapping[str, object]) -> News:
    site, at = one.window.site, datetime.fromtimestamp(one.at_us / 1e6, UTC)
    body = {"assessment": assessments[site.id, one.at_us], "at": at, **about}
    return News(site.code, site.region, partition_of(site.id), body)
