"""`liupan import`: registers files of several forms, lists every problem, shows first what would change."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from domain.settings import Settings
from server import crs
from server.boundaries import Locate, elsewhere, locator
from server.registry import apply, counts
from server.registry_check import REGIONAL, Installation
from server.registry_csv import read_csv
from server.registry_fields import also
from server.registry_file import LISTS
from server.registry_read import Draft, Problem, RegistryError, read_json, read_mapping
from server.registry_store import Item
from server.registry_table import Options
from server.registry_vector import ENDINGS, read_vector

#: a value is shown in at most this many characters
SHOWN = 60


def main(argv: list[str]) -> int:
    """Register files; exit code 1 when there is a problem, and then nothing is written."""
    args = _arguments(argv)
    options = Options(
        kind=args.kind, skip=frozenset(args.skip), crs=args.crs, encoding=args.encoding, layer=args.layer
    )
    try:
        draft, settings = read(args.file, options), Settings.from_env()
        installation, url = Installation.of(settings), settings.database()
        with psycopg.connect(url, autocommit=True) as conn, conn.transaction(force_rollback=args.dry_run):
            items = apply(conn, draft, installation)
            notes = list(_notes(items, locator(conn)))
    except RegistryError as error:
        for problem in error.args:
            if args.json:
                print(json.dumps(_as_json(problem), ensure_ascii=False))
            else:
                print(problem, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({**_report(items, args.dry_run), "notes": notes}, ensure_ascii=False))
    else:
        print("\n".join([*_told(items, args.dry_run), *notes]))
    return 0


def read(files: Sequence[Path], options: Options) -> Draft:
    """Return what the files say, each read by its ending; problems stand in the draft."""
    draft = Draft()
    for file in files:
        try:
            _read(draft, file, options)
        except OSError as error:
            draft.refuse(str(file), str(error.strerror))
    return draft


def _read(draft: Draft, file: Path, options: Options) -> None:
    ending = file.suffix.lower()
    if ending in (".csv", ".tsv", ".txt"):
        read_csv(draft, file, options)
    elif ending in (".json", ""):  # as /dev/stdin, through which others say their registry
        if (registry := read_json(draft, file)) is not None:
            if ending and registry.get("type") == "FeatureCollection":
                read_vector(draft, file, options)
            else:
                read_mapping(draft, registry, file.name)
    elif ending in ENDINGS:
        read_vector(draft, file, options)
    else:
        draft.refuse(str(file), "is none of .csv, .json, .geojson, .gpkg, .shp; save a table as CSV UTF-8")


def _as_json(problem: Problem) -> dict[str, str]:
    return {"problem": str(problem), "place": problem.place, "column": problem.column or problem.field,
            "value": problem.value, "reason": problem.reason}  # fmt: skip


def _report(items: Sequence[Item], dry_run: bool) -> dict[str, Any]:
    if not dry_run:
        return counts(items)
    changes = [
        {"list": item.list, "key": item.key, "new": item.old is None, "fields": _shown(item)}
        for item in items
        if item.changes
    ]
    return {**counts(items), "unchanged": sum(not item.changes for item in items), "changes": changes}


def _told(items: Sequence[Item], dry_run: bool) -> Iterator[str]:
    """Yield what would change, field by field, and how much does."""
    for item in items if dry_run else ():
        name = f"{item.list} {' '.join(item.key)}"
        if item.old is None:
            yield f"{name}: new"
        elif item.changes:
            yield f"{name}: " + ", ".join(
                f"{field} {_short(old)} -> {_short(new)}" for field, (old, new) in _shown(item).items()
            )
    changed = {name: count for name, count in counts(items).items() if count}
    if not changed:
        yield f"nothing to change: {len(items)} rows are registered as they stand here"
        return
    told = ", ".join(f"{count} {name}" for name, count in changed.items())
    verb = "would be new or changed" if dry_run else "new or changed"
    yield f"{told} {verb}, {len(items) - sum(changed.values())} rows unchanged"


def _notes(items: Sequence[Item], locate: Locate) -> Iterator[str]:
    """Yield what is registered all the same, and somebody should look at: a place in another county."""
    for item in items:
        new = item.new
        placed = item.changes and item.list in REGIONAL and "lon" in new
        if placed and (found := elsewhere(locate, new["region"], new["lon"], new["lat"])):
            yield f"note: {item.place}: its place lies in {found}, its region says {new['region']}"


def _shown(item: Item) -> dict[str, tuple[Any, Any]]:
    """Return what changes, secrets without their values."""
    shown = LISTS[item.list].shown
    return {name: change if name in shown else ("***", "***") for name, change in item.changes.items()}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def columns() -> Iterator[str]:
    """Yield a line for each column of each list: its names, whether it must be there, unit, words."""
    for name, listing in LISTS.items():
        yield f"{name}:"
        for field in listing.fields:
            info = listing.model.model_fields[field]
            known = also(info)
            notes = ["required"] if info.is_required() else []
            notes += [known.unit] if known.unit else []
            notes += [" ".join(f"{zh}={word}" for zh, word in known.words.items())] if known.words else []
            yield f"  {field:18}{' '.join(known.names):40}{'; '.join(notes)}".rstrip()


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="liupan import",
        description="Register regions, sites, things, datastreams, units and recipients: all or nothing.",
        epilog="columns of tables, and what else they may be called:\n" + "\n".join(columns()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, nargs="+", help="JSON, CSV, GeoJSON, GeoPackage or shapefile")
    parser.add_argument(
        "--kind", choices=LISTS, help="the list that a table holds (a column `list` says it too)"
    )
    parser.add_argument("--layer", help="layer of a GeoPackage")
    parser.add_argument("--skip", action="append", default=[], metavar="COLUMN", help="leave this column out")
    parser.add_argument("--crs", choices=crs.SAID, help="coordinate system, where the file does not say it")
    parser.add_argument("--encoding", help="of a CSV; without it UTF-8 or GB18030, whichever fits")
    parser.add_argument("--dry-run", action="store_true", help="check all of it, show changes, write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    args = parser.parse_args(argv)
    try:
        "".encode(args.encoding or "utf-8")
    except LookupError:
        parser.error(f"no encoding {args.encoding!r}; write one as in utf-8 or gb18030")
    return args
