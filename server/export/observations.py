"""`liupan export observations`: one datastream's results, or its hours or days, in the order of time.

Rows go out as they are read, by a cursor of the server, so memory does not grow with them. Times are UTC.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Any, LiteralString

import psycopg
from psycopg import Connection

from domain.settings import Settings
from domain.wire import encode

#: rows that are fetched at once
PAGE = 5000

ROLLUP: LiteralString = "begin_time, count, marked, min, max, mean, sum, last, last_time"
RAW: LiteralString = "phenomenon_time, result, received_at, flag_words(flags) AS flags"

#: what is asked for -> its columns, its table, and the column of its time
SOURCES: dict[str, tuple[LiteralString, LiteralString, LiteralString]] = {
    "raw": (RAW, "observation", "phenomenon_time"),
    "1h": (ROLLUP, "observation_hour", "begin_time"),
    "1d": (ROLLUP, "observation_day", "begin_time"),
}


def main(argv: Sequence[str]) -> int:
    """Write the rows to standard output; ValueError names a datastream that is not there."""
    args = _parser().parse_args(argv)
    with psycopg.connect(Settings.from_env().database(), options="-c TimeZone=UTC") as conn:
        export(conn, args, sys.stdout)
    return 0


def export(conn: Connection[Any], args: argparse.Namespace, out: IO[str]) -> None:
    """Write what the arguments ask for, in one transaction: a picture of one moment."""
    stream = _datastream(conn, args.thing, args.datastream)
    columns, table, time = SOURCES[args.every]
    with conn.cursor(name="export") as cursor:
        cursor.itersize = PAGE
        cursor.execute(
            "SELECT " + columns + " FROM " + table + " WHERE datastream = %(stream)s"
            " AND " + time + " >= coalesce(%(start)s, '-infinity'::timestamptz)"
            " AND " + time + " < coalesce(%(end)s, 'infinity'::timestamptz) ORDER BY " + time,
            {"stream": stream, "start": args.start, "end": args.end},
        )
        names = [column.name for column in cursor.description or ()]
        (_write_csv if args.format == "csv" else _write_jsonl)(out, names, cursor)


def _datastream(conn: Connection[Any], thing: str, name: str) -> int:
    row = conn.execute(
        "SELECT d.id FROM datastream d JOIN thing t ON t.id = d.thing WHERE t.code = %s AND d.name = %s",
        (thing, name),
    ).fetchone()
    if row is None:
        known = conn.execute(
            "SELECT d.name FROM datastream d JOIN thing t ON t.id = d.thing WHERE t.code = %s ORDER BY 1",
            (thing,),
        ).fetchall()
        has = f"it has {', '.join(each for (each,) in known)}" if known else "no such thing has any"
        raise ValueError(f"there is no datastream {name!r} of {thing!r}: {has}")
    return int(row[0])


def _write_csv(out: IO[str], names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(value) for value in row])


def _write_jsonl(out: IO[str], names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        out.write(encode(dict(zip(names, row, strict=True))).decode() + "\n")


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(value) if isinstance(value, list) else value


def _moment(text: str) -> datetime:
    """Read a time; one without an offset is UTC only when it says so."""
    at = datetime.fromisoformat(text)
    if at.utcoffset() is None:
        raise argparse.ArgumentTypeError(f"{text} has no UTC offset: write {text}Z or {text}+08:00")
    return at.astimezone(UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liupan export observations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("thing", help="code of the station")
    parser.add_argument("datastream", help="name of the datastream")
    parser.add_argument(
        "--every",
        choices=SOURCES,
        default="raw",
        help="every result with its marks, or what each hour or each day of Beijing time holds",
    )
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv")
    parser.add_argument("--from", dest="start", type=_moment, metavar="TIME", help="first time, ISO 8601")
    parser.add_argument(
        "--to", dest="end", type=_moment, metavar="TIME", help="the time before which it ends"
    )
    return parser
