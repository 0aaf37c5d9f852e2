"""Tables as registry entries: the rows of a CSV, and the features of a layer with what is drawn for them.

What can be read without guessing is; the rest is told with its row and column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import shapely
from shapely.geometry.base import BaseGeometry

from server import crs
from server.registry_cells import cell, fields_of, plain, title
from server.registry_file import LISTS
from server.registry_read import Draft

#: heading of the column that names the list of each row, in tables that hold several
LIST = "list"
#: fields that hold an area
AREAS = ("polygon", "boundary")


class Line(NamedTuple):
    """One row of a table: where it stands, its cells as text, and what was drawn for it."""

    place: str
    cells: Sequence[str]
    drawn: BaseGeometry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator says of the files."""

    #: the list of all rows; None: the column `list` names it
    kind: str | None = None
    #: headings that are left out
    skip: frozenset[str] = frozenset()
    #: coordinate system of the coordinates, one of crs.SAID; None: as the file says
    crs: str | None = None
    encoding: str | None = None
    #: layer of a file that has several
    layer: str | None = None


def add(draft: Draft, place: str, header: Sequence[str], rows: Sequence[Line], options: Options) -> None:
    """Add the rows of a table whose header stands at `place`; longitudes and latitudes become WGS-84."""
    header = [heading.strip() for heading in header]
    if not rows:
        draft.refuse(place, "holds no rows")
    if options.kind is None and LIST not in header:
        draft.refuse(place, f"which list is it? say --kind with one of {', '.join(LISTS)}")
        return
    given = frozenset(("lon", "lat") if any(line.drawn is not None for line in rows) else ())
    if options.kind and not _header_fits(draft, place, header, options, given):
        return
    for line in rows:
        if len(line.cells) != len(header):
            reason = f"has {len(line.cells)} cells, the header {len(header)}: is a delimiter amiss?"
            draft.refuse(line.place, reason)
            continue
        row = dict(zip(header, line.cells, strict=True))
        name = options.kind or row.pop(LIST).strip()
        if name not in LISTS:
            draft.refuse(line.place, f"no such list; there are {', '.join(LISTS)}", LIST, name)
            continue
        entry = _entry(draft, name, line.place, row, options.skip)
        if line.drawn is not None and "geometry" not in options.skip:
            _draw(draft, name, line, entry)
        if options.crs == "GCJ-02":
            _unshift(entry)
        draft.entries[name].append((line.place, entry))


def _entry(
    draft: Draft, name: str, place: str, row: Mapping[str, str], skip: frozenset[str]
) -> dict[str, object]:
    """Return the fields that the cells fill; an empty cell says nothing."""
    fields, entry = fields_of(name), dict[str, object]()
    cells: dict[str, tuple[str, str]] = {}
    for heading, text in row.items():
        if not text.strip() or heading in skip:
            continue
        column = fields.get(plain(heading))
        if column is None:
            draft.refuse(place, f"{name} have no such column", heading, text)
            continue
        cells[column] = heading, text
        try:
            entry[column] = cell(text, name, column)
        except ValueError as error:
            draft.refuse(place, str(error), heading, text)
    draft.cells[place] = cells
    return entry


def _draw(draft: Draft, name: str, line: Line, entry: dict[str, object]) -> None:
    """Add what is drawn for a row: its area, and its place where no cell gives it."""
    fields, drawn = LISTS[name].fields, line.drawn
    if drawn is None or "lon" not in fields:
        reason = f"{name} have no place of their own: leave it out by --skip geometry"
        draft.refuse(line.place, reason, "geometry", "" if drawn is None else drawn.geom_type)
        return
    if drawn.geom_type != "Point":
        area = next((field for field in AREAS if field in fields), None)
        if area is None:
            draft.refuse(line.place, f"{name} are points", "geometry", drawn.geom_type)
            return
        entry.setdefault(area, drawn)
    point = drawn.representative_point() if drawn.is_valid else drawn.centroid
    if not {"lon", "lat"} & entry.keys():
        entry |= {"lon": round(point.x, 7), "lat": round(point.y, 7)}


def _unshift(entry: dict[str, object]) -> None:
    """Bring the coordinates of an entry from GCJ-02 to WGS-84; what cannot be read is told of later."""
    with suppress(ValueError, KeyError, TypeError):
        lon, lat = crs.from_gcj02(float(str(entry["lon"])), float(str(entry["lat"])))
        entry |= {"lon": round(lon, 7), "lat": round(lat, 7)}
    for area in AREAS:
        drawn = entry.get(area)
        with suppress(shapely.errors.ShapelyError):
            drawn = shapely.from_wkt(drawn) if isinstance(drawn, str) else drawn
        if isinstance(drawn, BaseGeometry):
            entry[area] = shapely.transform(drawn, _unshifted)


def _unshifted(points: Any) -> Any:
    """Return an array of longitudes and latitudes brought from GCJ-02 to WGS-84."""
    for index, (lon, lat) in enumerate(points):
        points[index] = crs.from_gcj02(lon, lat)
    return points


def _header_fits(
    draft: Draft, place: str, header: Sequence[str], options: Options, given: frozenset[str]
) -> bool:
    """Tell whether the header names each required column not `given` otherwise, and nothing twice."""
    before, name, skip = len(draft.problems), options.kind or "", options.skip
    fields = fields_of(name)
    found: dict[str, str] = {}
    for heading in (heading for heading in header if heading not in skip):
        column = fields.get(plain(heading))
        if column in found:
            draft.refuse(place, f"means {column} as {found[column]} does: leave one out by --skip", heading)
        elif column is not None:
            found[column] = heading
    if unknown := [heading for heading in header if heading not in skip and plain(heading) not in fields]:
        known = ", ".join(title(name, each) for each in LISTS[name].fields)
        out = " ".join(f"--skip {heading}" for heading in unknown)
        draft.refuse(place, f"{name} have {known}: rename, or leave out by {out}", ", ".join(unknown))
    for column, info in LISTS[name].model.model_fields.items():
        if info.is_required() and column not in given | found.keys():
            draft.refuse(place, f"the required column {title(name, column)} is missing")
    return len(draft.problems) == before
