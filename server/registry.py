"""Registering sites, things with their datastreams, units and recipients: all of a file, or nothing of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from domain.settings import Settings
from server.registry_check import Installation, Rows, conflicts, missing
from server.registry_file import LISTS
from warning.response.incident import staff

#: (table, column) -> how the database finds the value that stands there from the code in the file
LOOKUPS: dict[tuple[str, str], LiteralString] = {
    ("thing", "site"): "(SELECT id FROM hazard_site WHERE code = %(site)s)",
    # a file without the secret keeps the one that is there
    ("thing", "apikey"): "coalesce(%(apikey)s, (SELECT apikey FROM thing WHERE code = %(code)s), '')",
    ("datastream", "thing"): "(SELECT id FROM thing WHERE code = %(thing)s)",
}


class RegistryError(Exception):
    """The registry cannot be written; `problems` says each reason with its place in the file."""

    @property
    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        return [str(problem) for problem in self.args]


def register(
    conn: Connection[Any], registry: Mapping[str, object], installation: Installation | None = None
) -> dict[str, int]:
    """Write the registry by code, in one transaction; return how many rows of each kind are new or changed.

    What the file does not name stays. RegistryError tells every problem found, and nothing is written. With
    an `installation` this includes what it does not have: rules, channels, regions.
    """
    rows, problems = read(registry)
    with conn.transaction():
        problems += conflicts(conn, registry, rows)
        problems += missing(rows, installation) if installation else []
        if problems:
            raise RegistryError(*problems)
        sites, things, units, recipients = (
            [row.model_dump(mode="json") for row in rows[name].values()] for name in LISTS
        )
        streams = [{"thing": thing["code"], **d} for thing in things for d in thing.pop("datastreams")]
        for site in sites:
            site["polygon"] = Jsonb(site["polygon"])
        changed = {
            "sites": _upsert(conn, "hazard_site", ["code"], sites),
            "things": _upsert(conn, "thing", ["code"], things),
            "datastreams": _upsert(conn, "datastream", ["thing", "name"], streams),
            "units": _upsert(conn, "unit", ["code"], units),
            "recipients": _upsert(conn, "recipient", ["channel", "address", "region"], recipients),
        }
        if changed["units"]:
            staff(conn, datetime.now(UTC))  # an open incident may have waited for this team
        return changed


def read(registry: Mapping[str, object]) -> tuple[Rows, list[str]]:
    """Return the rows that have the right shape, by their place, and what is wrong with the others."""
    problems = [f"{key}: no such list; there are {', '.join(LISTS)}" for key in registry if key not in LISTS]
    rows: Rows = {name: {} for name in LISTS}
    for name, model in LISTS.items():
        items = registry.get(name, [])
        if not isinstance(items, list):
            problems.append(f"{name}: expected a list, got {type(items).__name__}")
            continue
        for number, item in enumerate(items):
            place = f"{name}[{number}]"
            try:
                rows[name][place] = model.model_validate(item)
            except ValidationError as error:
                problems += [_told(place, e) for e in error.errors()]
    return rows, problems


def main(argv: list[str]) -> int:
    """Register a file: `liupan import FILE [--dry-run] [--json]`; exit code 1 when it has problems."""
    parser = argparse.ArgumentParser(prog="liupan import", description="Register sites, things and units.")
    parser.add_argument("file", type=Path, help="registry file (JSON)")
    parser.add_argument("--dry-run", action="store_true", help="check all of it, write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    args = parser.parse_args(argv)
    try:
        registry, settings = _load(args.file), Settings.from_env()
        installation, url = Installation.of(settings), settings.database()
        with psycopg.connect(url, autocommit=True) as conn, conn.transaction(force_rollback=args.dry_run):
            counts = register(conn, registry, installation)
    except RegistryError as error:
        for problem in error.problems:
            if args.json:
                print(json.dumps({"problem": problem}, ensure_ascii=False))
            else:
                print(problem, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(counts))
    else:
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f"{told} {'would be new or changed' if args.dry_run else 'new or changed'}")
    return 0


def _load(file: Path) -> Mapping[str, object]:
    try:
        registry = json.loads(file.read_bytes())
    except OSError as error:
        raise RegistryError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{file} is no JSON: {error}") from None
    if not isinstance(registry, dict):
        raise RegistryError(f"{file}: expected a JSON object with the lists {', '.join(LISTS)}")
    return registry


def _told(place: str, error: Mapping[str, Any]) -> str:
    for step in error["loc"]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    reason = error["ctx"]["error"] if error["type"] == "value_error" else error["msg"]
    return f"{place}: {reason}"


def _upsert(conn: Connection[Any], table: str, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows, or change those whose key is there already; return how many are new or differ."""
    if not rows:
        return 0
    columns = list(rows[0])
    rest = [column for column in columns if column not in key]
    values = [
        sql.SQL(LOOKUPS[table, column]) if (table, column) in LOOKUPS else sql.Placeholder(column)
        for column in columns
    ]
    query = sql.SQL(
        "INSERT INTO {table} AS old ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE"
        " SET ({rest}) = ROW({new}) WHERE ROW({present}) IS DISTINCT FROM ROW({new})"
    ).format(
        table=sql.Identifier(table),
        columns=_names(columns),
        values=sql.SQL(", ").join(values),
        key=_names(key),
        rest=_names(rest),
        new=_names(rest, "excluded"),
        present=_names(rest, "old"),
    )
    with conn.cursor() as cursor:
        cursor.executemany(query, rows)
        return cursor.rowcount


def _names(columns: Sequence[str], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.Identifier(table, column) if table else sql.Identifier(column) for column in columns
    )
