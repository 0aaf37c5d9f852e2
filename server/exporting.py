"""The registry as files that `liupan import` reads back: one CSV table, or one GeoJSON collection."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection, sql

from domain.settings import Settings
from server.registry_file import LISTS
from server.registry_store import Fields, select
from server.registry_table import AREAS, LIST

FORMATS = ("csv", "geojson")

#: list -> which rows of its table `t` lie in a region; a region's own row only where it was imported
INSIDE = {
    "regions": "t.imported AND starts_with(t.code, %(region)s)",
    "datastreams": "t.thing IN (SELECT id FROM thing WHERE starts_with(region, %(region)s))",
}


def exported(conn: Connection[Any], form: str, region: str, kind: str | None = None) -> str:
    """Return what is registered in the regions whose code begins with `region`, as text of one of FORMATS.

    With `kind` only that list, with its columns; without it the column `list` names the list of each row.
    """
    names = [kind] if kind else list(LISTS)
    rows = [(name, row) for name in names for row in _rows(conn, name, region)]
    if form == "geojson":
        features = [_feature(row, {} if kind else {LIST: name}) for name, row in rows]
        return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False) + "\n"
    columns = list(dict.fromkeys(field for name in names for field in LISTS[name].shown))
    out = io.StringIO()
    out.write("\ufeff")  # Excel takes a CSV for GBK unless it begins with this mark
    writer = csv.DictWriter(out, columns if kind else [LIST, *columns], lineterminator="\r\n")
    writer.writeheader()
    for name, row in rows:
        cells = {field: _cell(field, value) for field, value in row.items()}
        writer.writerow(cells if kind else {LIST: name, **cells})
    return out.getvalue()


def _rows(conn: Connection[Any], name: str, region: str) -> Iterator[Fields]:
    where = sql.SQL(INSIDE.get(name, "starts_with(t.region, %(region)s)"))
    for row in select(conn, name, where, {"region": region}):
        yield {field: row[field] for field in LISTS[name].shown}


def _cell(field: str, value: Any) -> object:
    if value is None or value == []:
        return ""
    if field == "polygon":
        return f"POLYGON (({', '.join(f'{lon} {lat}' for lon, lat in value)}))"
    return json.dumps(value) if field in AREAS else value


def _feature(row: Fields, properties: Fields) -> dict[str, Any]:
    """Return a row as a feature, behind some properties: its area, else its place, else no geometry."""
    geometry = None
    if row.get("polygon"):
        geometry = {"type": "Polygon", "coordinates": [row["polygon"]]}
    elif row.get("boundary"):
        geometry = row["boundary"]
    elif "lon" in row:
        geometry = {"type": "Point", "coordinates": [row["lon"], row["lat"]]}
    properties |= {field: value for field, value in row.items() if field not in AREAS}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def main(argv: list[str]) -> int:
    """Print the registry: `liupan export registry --format csv|geojson [--kind LIST]`."""
    parser = argparse.ArgumentParser(
        prog="liupan export registry", description="Write what is registered as a file."
    )
    parser.add_argument("--format", choices=FORMATS, default="csv", help="csv (default) or geojson")
    parser.add_argument("--kind", choices=LISTS, help="only this list; without it all, in a column `list`")
    args = parser.parse_args(argv)
    settings = Settings.from_env()
    with psycopg.connect(settings.database(), autocommit=True) as conn:
        text = exported(conn, args.format, settings.region, args.kind)
    sys.stdout.write(text)
    return 0
