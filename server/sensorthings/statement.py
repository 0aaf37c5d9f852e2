"""The SQL of a list of entities: columns, conditions and order out of the model and the options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import LiteralString

from psycopg import sql

from server.sensorthings import Fault
from server.sensorthings.entity import Entity, Link
from server.sensorthings.options import Options

#: a query and the values of its parameters; %(region)s is added by who runs it
Statement = tuple[sql.Composed, dict[str, object]]

#: the rows of `each` are taken before all conditions on other tables are met, so these stand inside of it too
LISTING = sql.SQL(
    "SELECT {columns} FROM {source} WHERE {seen} AND {where} ORDER BY {order} LIMIT %(limit)s OFFSET %(skip)s"
)
EACH = sql.SQL("{source} CROSS JOIN LATERAL ({each} AND {where} ORDER BY {order} LIMIT %(most)s) {alias}")
OF_PARENTS = sql.SQL(
    "SELECT p.key AS parent, x.* FROM unnest(%(keys)s::{type}[]) p (key) CROSS JOIN LATERAL ({inner}) x"
)
FURTHER = sql.SQL("{row} {sign} {values} AND {first} {sign}= {value}")
FURTHER_IN_TIME = sql.SQL(
    "{first} {sign}= {value} AND {second} {sign} CASE WHEN {first} = {value} THEN {other} ELSE {end} END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parents:
    """What a list hangs on: the keys by which a link is followed."""

    link: Link
    keys: Sequence[object]


def listing(
    entity: Entity, options: Options, *, key: tuple[object, ...] = (), parents: Parents | None = None
) -> Statement:
    """Return the query for a page and one row more; with `key` for the entity that has it.

    Its columns: k0, k1 … of the key; what is shown; `to X` for the key of each link X. With `parents` each of
    them has a page of its own, and the column `parent` is the key that a row hangs on.
    """
    where, params = _where(entity, options, key)
    order = sql.SQL(", ").join(
        sql.SQL(column) + sql.SQL(" DESC" if descending else " ASC") for column, descending in options.order
    )
    source: sql.Composable = sql.SQL(entity.source)
    if entity.each:
        alias, each = entity.each
        source = EACH.format(
            source=source, each=sql.SQL(each), where=where, order=order, alias=sql.Identifier(alias)
        )
    seen: sql.Composable = sql.SQL(entity.seen)
    if parents:
        seen += sql.SQL(" AND {} = p.key").format(sql.SQL(parents.link.on))
    query = LISTING.format(
        columns=_columns(entity, options), source=source, seen=seen, where=where, order=order
    )
    params |= {"limit": options.top + 1, "skip": options.skip, "most": options.skip + options.top + 1}
    if parents:
        query = OF_PARENTS.format(type=sql.SQL(parents.link.type), inner=query)
        params["keys"] = list(parents.keys)
    return query, params


def counting(entity: Entity, options: Options, parents: Parents | None = None) -> Statement:
    """Return the query for the numbers of all rows, whatever the page: `parent` if there are any, `count`."""
    source: sql.Composable = sql.SQL(entity.source)
    if entity.each:
        alias, each = entity.each
        source += sql.SQL(" CROSS JOIN LATERAL ({}) {}").format(sql.SQL(each), sql.Identifier(alias))
    query = sql.SQL("SELECT count(*) AS count FROM {} WHERE {} AND {}").format(
        source, sql.SQL(entity.seen), options.where.sql
    )
    params = dict(options.where.params)
    if parents:
        query += sql.SQL(" AND {} = p.key").format(sql.SQL(parents.link.on))
        query = OF_PARENTS.format(type=sql.SQL(parents.link.type), inner=query)
        params["keys"] = list(parents.keys)
    return query, params


def by_key(entity: Entity, options: Options) -> bool:
    """Tell whether the order is one of the key, so that a page can begin behind the last key of another."""
    directions = {descending for _, descending in options.order}
    return {column for column, _ in options.order} == set(entity.key) and len(directions) == 1


def _columns(entity: Entity, options: Options) -> sql.Composed:
    columns = [(f"k{place}", column) for place, column in enumerate(entity.key)]
    columns += [
        (name, column)
        for name, column in entity.shown.items()
        if options.select is None or name in options.select
    ]
    columns += [(f"to {name}", link.key) for name, link in entity.links.items()]
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.SQL(column), sql.Identifier(name)) for name, column in columns
    )


def _where(
    entity: Entity, options: Options, key: tuple[object, ...]
) -> tuple[sql.Composable, dict[str, object]]:
    params = dict(options.where.params)
    parts = [options.where.sql]
    if key:
        parts.append(
            _row(list(entity.key)) + sql.SQL(" = ") + _row(_bind(entity, list(entity.key), key, params))
        )
    if options.token:
        if not by_key(entity, options):
            raise Fault(HTTPStatus.BAD_REQUEST, "$skiptoken does not go with this $orderby")
        parts.append(_behind(entity, options, options.token, params))
    return sql.SQL(" AND ").join(parts), params


def _behind(
    entity: Entity, options: Options, token: tuple[object, ...], params: dict[str, object]
) -> sql.Composable:
    """Return the condition for the rows behind that with the token's key, as indexes can be used for it.

    A bound on the first column alone leaves partitions out. When that column is of another table, one on the
    time that is known before an observation is read lets the reading begin in the middle.
    """
    columns = [column for column, _ in options.order]
    values = _bind(entity, columns, token, params)
    descending = options.order[0][1]
    condition = FURTHER
    if len(columns) > 1 and entity.key[columns[1]] == "timestamptz":
        condition = FURTHER_IN_TIME
    return condition.format(
        sign=sql.SQL("<" if descending else ">"),
        end=sql.SQL("'infinity'" if descending else "'-infinity'"),
        row=_row(columns),
        values=_row(values),
        first=sql.SQL(columns[0]),
        value=values[0],
        second=sql.SQL(columns[-1]),
        other=values[-1],
    )


def _bind(
    entity: Entity, columns: Sequence[LiteralString], key: tuple[object, ...], params: dict[str, object]
) -> list[sql.Composed]:
    """Return parameters for the columns of a given key, whose values go into `params`."""
    values = dict(zip(entity.key, key, strict=True))
    names = [f"k{len(params) + place}" for place in range(len(columns))]
    params |= {name: values[column] for name, column in zip(names, columns, strict=True)}
    return [
        sql.SQL("{}::{}").format(sql.Placeholder(name), sql.SQL(entity.key[column]))
        for name, column in zip(names, columns, strict=True)
    ]


def _row(parts: Sequence[LiteralString | sql.Composed]) -> sql.Composed:
    typed = [sql.SQL(part) if isinstance(part, str) else part for part in parts]
    return sql.SQL("({})").format(sql.SQL(", ").join(typed))
