"""The tables of the registry in the form of its files: read by key, and written many rows a statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from server.registry_file import LISTS

#: the fields of a row by name, as a file has them
Fields = dict[str, Any]
#: values of the fields that tell the rows of a list apart
Key = tuple[str, ...]

#: rows of one statement
MANY = 10_000


class Item(NamedTuple):
    """A row to be written and what stands in its place now; None where it is new."""

    list: str
    place: str
    key: Key
    old: Fields | None
    new: Fields

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ: (now, then)."""
        old = self.old or {}
        return {name: (old.get(name), new) for name, new in self.new.items() if old.get(name) != new}


def key_of(name: str, row: Mapping[str, Any]) -> Key:
    """Return the key of a row of the list."""
    return tuple(row[field] for field in LISTS[name].key)


def stored(conn: Connection[Any], name: str, keys: Iterable[Key]) -> dict[Key, Fields]:
    """Return what is registered under the keys."""
    first, wanted = LISTS[name].key[0], {key[0] for key in keys}
    rows = select(conn, name, _column(name, first) + sql.SQL(" = ANY(%(wanted)s)"), {"wanted": list(wanted)})
    return {key_of(name, row): row for row in rows}


def select(
    conn: Connection[Any], name: str, where: sql.Composable, params: Mapping[str, object]
) -> list[Fields]:
    """Return the rows of a list, by key, that the condition on its table `t` finds."""
    listing = LISTS[name]
    columns = [_column(name, field) + sql.SQL(" AS ") + sql.Identifier(field) for field in listing.fields]
    query = sql.SQL("SELECT {} FROM {} t WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(columns),
        sql.Identifier(listing.table),
        where,
        sql.SQL(", ").join([_column(name, field) for field in listing.key]),
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, params).fetchall()
    return [{field: _as_written(value) for field, value in row.items()} for row in rows]


def _as_written(value: Any) -> Any:
    """Return a stored value as a file has it: times as the model writes them."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write(conn: Connection[Any], name: str, rows: Sequence[Fields]) -> None:
    """Insert the rows of a list, or change those whose key is there already."""
    listing = LISTS[name]
    numbers = {
        field: _numbers(conn, table, {row[field] for row in rows}) for field, table in listing.codes.items()
    }
    rows = [
        {**row, **listing.marks, **{field: known.get(row[field]) for field, known in numbers.items()}}
        for row in sorted(rows, key=lambda row: key_of(name, row))  # a region after the one that it lies in
    ]
    columns = [*listing.fields, *listing.marks]
    rest = [column for column in columns if column not in listing.key]
    query = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %s)"
        " ON CONFLICT ({key}) DO UPDATE SET ({rest}) = ROW({new})"
    ).format(
        table=sql.Identifier(listing.table),
        columns=_names(columns),
        key=_names(listing.key),
        rest=_names(rest),
        new=_names(rest, "excluded"),
    )
    for start in range(0, len(rows), MANY):
        conn.execute(query, (Jsonb(rows[start : start + MANY]),))


def _column(name: str, field: str) -> sql.Composed:
    """Return the field of table `t`, as the code of the row that it points to where it is a number."""
    if (table := LISTS[name].codes.get(field)) is None:
        return sql.SQL("{}").format(sql.Identifier("t", field))
    return sql.SQL("(SELECT code FROM {} WHERE id = {})").format(
        sql.Identifier(table), sql.Identifier("t", field)
    )


def _numbers(conn: Connection[Any], table: str, codes: set[str | None]) -> dict[str | None, int]:
    query = sql.SQL("SELECT code, id FROM {} WHERE code = ANY(%s)").format(sql.Identifier(table))
    return dict(conn.execute(query, ([code for code in codes if code],)).fetchall())


def _names(columns: Sequence[str], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.Identifier(table, column) if table else sql.Identifier(column) for column in columns
    )
