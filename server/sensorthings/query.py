"""Lists of entities out of the database, as SensorThings JSON: pages, links, expanded links.

A page costs what it shows: the next one begins behind the last key where the order is one of the key (a link
with $skiptoken), and by $skip in any other order; nothing is counted that $count does not ask for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from psycopg import Connection
from psycopg.errors import QueryCanceled
from psycopg.rows import dict_row

from server.sensorthings import Fault
from server.sensorthings.entity import Entity, make_id
from server.sensorthings.model import ENTITIES
from server.sensorthings.options import Options
from server.sensorthings.statement import Parents, Statement, by_key, counting, listing

#: with $expand at most so many entities are asked for together
MOST_EXPANDED = 100_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks: the connection, the region that he sees, and the address of the service's root."""

    conn: Connection[Any]
    region: str
    root: str


def find(
    ask: Ask,
    entity: Entity,
    options: Options,
    *,
    key: tuple[object, ...] = (),
    parents: Parents | None = None,
) -> Row | None:
    """Return the row of the entity with this key, or of the one that a link leads to; None: none is seen."""
    found = _run(ask, listing(entity, options, key=key, parents=parents))
    return found[0] if found else None


def page(
    ask: Ask, entity: Entity, options: Options, path: str, parents: Parents | None = None
) -> dict[str, Any]:
    """Return the list that stands at the path below the root."""
    rows = _run(ask, listing(entity, options, parents=parents))
    count = None
    if options.count:
        count = sum(row["count"] for row in _run(ask, counting(entity, options, parents)))
    return _list(ask, entity, rows, options, path=path, count=count)


def show(ask: Ask, entity: Entity, rows: Sequence[Row], options: Options) -> list[dict[str, Any]]:
    """Return the rows as entities, with what is expanded. Fault: that would be too much."""
    shown = [_entity(ask, entity, row, options.select) for row in rows]
    for name, inner in options.expand.items():
        _expand(ask, entity, name, inner, list(zip(rows, shown, strict=True)))
    return shown


def _expand(
    ask: Ask, entity: Entity, name: str, options: Options, parents: Sequence[tuple[Row, dict[str, Any]]]
) -> None:
    """Put what the link leads to into each of the entities: one query for all, and one for their counts."""
    link = entity.links[name]
    target, key = ENTITIES[link.to], f"to {name}"
    keys = list(dict.fromkeys(row[key] for row, _ in parents if row[key] is not None))
    if link.many and len(keys) * options.top > MOST_EXPANDED:
        words = f"{len(keys)} times {options.top} are more than {MOST_EXPANDED}: ask for less by $top"
        raise Fault(HTTPStatus.BAD_REQUEST, f"$expand: {name}: {words}")
    hanging = Parents(link=link, keys=keys)
    groups: defaultdict[object, list[Row]] = defaultdict(list)
    for found in _run(ask, listing(target, options, parents=hanging)):
        groups[found["parent"]].append(found)
    counts: Mapping[object, int] = {}
    if options.count:
        counts = {found["parent"]: found["count"] for found in _run(ask, counting(target, options, hanging))}
    for row, told in parents:
        group = groups[row[key]]
        if not link.many:
            told[name] = _entity(ask, target, group[0], options.select) if group else None
            continue
        count = counts.get(row[key], 0) if options.count else None
        path = f"{path_of(entity, row)}/{name}"
        listed = _list(ask, target, group, options, path=path, count=count)
        told |= {name + part.removeprefix("value"): value for part, value in listed.items()}


def _list(
    ask: Ask, entity: Entity, rows: Sequence[Row], options: Options, *, path: str, count: int | None
) -> dict[str, Any]:
    told: dict[str, Any] = {} if count is None else {"@iot.count": count}
    if 0 < options.top < len(rows):
        told["@iot.nextLink"] = f"{ask.root}/{path}?{_next(entity, options, rows[options.top - 1])}"
    return {**told, "value": show(ask, entity, rows[: options.top], options)}


def _next(entity: Entity, options: Options, last: Row) -> str:
    """Return the query of the page behind this row."""
    raw = {name: value for name, value in options.raw.items() if name not in ("$skip", "$skiptoken")}
    if by_key(entity, options):
        raw["$skiptoken"] = str(_id(entity, last))
    else:
        raw["$skip"] = str(options.skip + options.top)
    return urlencode(raw, quote_via=quote, safe="$,()/:;'@")


def _entity(ask: Ask, entity: Entity, row: Row, select: frozenset[str] | None) -> dict[str, Any]:
    link = f"{ask.root}/{path_of(entity, row)}"
    told: dict[str, Any] = {}
    if select is None or "id" in select:
        told = {"@iot.id": _id(entity, row), "@iot.selfLink": link}
    told |= {name: _plain(row[name]) for name in entity.shown if name in row}
    for name in entity.links:
        if select is None or name in select:
            told[f"{name}@iot.navigationLink"] = f"{link}/{name}"
    return told


def _id(entity: Entity, row: Row) -> int | str:
    return make_id(tuple(row[f"k{place}"] for place in range(len(entity.key))))


def path_of(entity: Entity, row: Row) -> str:
    """Return the entity's path below the root; an id that is no number stands in quotes there."""
    id = _id(entity, row)
    told = str(id) if isinstance(id, int) else quote("'{}'".format(id.replace("'", "''")), safe=",'")
    return f"{entity.name}({told})"


def _plain(value: object) -> object:
    """Return the value as JSON has it; there is no number that is not finite."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _run(ask: Ask, statement: Statement) -> list[Row]:
    query, params = statement
    with ask.conn.cursor(row_factory=dict_row) as cursor:
        try:
            return list(cursor.execute(query, {**params, "region": ask.region}))
        except QueryCanceled as error:
            words = "that takes too long: ask for one Datastream, a span of phenomenonTime, or no $count"
            raise Fault(HTTPStatus.GATEWAY_TIMEOUT, words) from error
