"""Tables as registry entries: which column is which field, and what a cell of it means.

A bureau's table has its own headings, digits as wide as Chinese characters and numbers that Excel has
rounded; what can be read without guessing is, and the rest is told with its row and column.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import shapely
from pydantic.fields import FieldInfo
from shapely.geometry.base import BaseGeometry
from shapely.ops import transform

from server import crs
from server.registry_file import LISTS, Also
from server.registry_read import Draft

#: heading of the column that names the list of each row, in tables that hold several
LIST = "list"
#: fields that hold an area
AREAS = ("polygon", "boundary")

DELIMITERS = ",;\t|，；"
#: a number with its thousands set apart
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
#: what Excel makes of a long number
ROUNDED = re.compile(r"[+-]?\d(\.\d+)?[eE]\+?\d+")

#: the types of numbers
NUMBERS = (int, float, int | None, float | None)


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


def read_csv(draft: Draft, file: Path, options: Options) -> None:
    """Add the rows of a CSV file: UTF-8 or GB18030, delimited by what its header shows."""
    text = _text(draft, file, options.encoding)
    if text is None:
        return
    lines: list[Line] = []
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(first), strict=True)
    try:
        start = 1
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append(Line(f"{file.name} line {start}", row))
            start = reader.line_num + 1
    except csv.Error as error:
        draft.refuse(f"{file.name} line {reader.line_num}", f"cannot be split into cells: {error}")
        return
    if not lines:
        draft.refuse(file.name, "is empty: its first line must name the columns")
        return
    (place, header, _), *rows = lines
    try:
        crs.warp(None if options.crs else "EPSG:4326", options.crs, [file.name, *header])
    except ValueError as error:
        draft.refuse(place, str(error))
    else:
        add(draft, place, header, rows, options)


def add(draft: Draft, place: str, header: Sequence[str], rows: Sequence[Line], options: Options) -> None:
    """Add the rows of a table whose header stands at `place`; longitudes and latitudes become WGS-84."""
    header = [heading.strip() for heading in header]
    if options.kind is None and LIST not in header:
        draft.refuse(place, f"which list is it? say --kind with one of {', '.join(LISTS)}")
        return
    if options.kind and not _header_fits(draft, place, header, options.kind, options.skip):
        return
    if not rows:
        draft.refuse(place, "holds no rows below its header")
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
            entry[column] = cell(text, LISTS[name].model.model_fields[column])
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
            entry[area] = transform(_unshifted, drawn)


def _unshifted(lon: float, lat: float, _altitude: float | None = None) -> tuple[float, ...]:
    return crs.from_gcj02(lon, lat)


def _header_fits(draft: Draft, place: str, header: Sequence[str], name: str, skip: frozenset[str]) -> bool:
    """Tell whether the header names each required column, and nothing twice or unknown."""
    before, fields = len(draft.problems), fields_of(name)
    found: dict[str, str] = {}
    for heading in header:
        column = fields.get(plain(heading))
        if heading in skip:
            continue
        if column is None:
            known = ", ".join(title(name, each) for each in LISTS[name].fields)
            reason = f"{name} have no such column; leave it out by --skip {heading}. There are: {known}"
            draft.refuse(place, reason, heading)
        elif column in found:
            draft.refuse(place, f"means {column} as {found[column]} does: leave one out by --skip", heading)
        else:
            found[column] = heading
    for column, info in LISTS[name].model.model_fields.items():
        if info.is_required() and column not in found:
            draft.refuse(place, f"the required column {title(name, column)} is missing")
    return len(draft.problems) == before


@cache
def fields_of(name: str) -> Mapping[str, str]:
    """Return the fields of the list by every heading that they may have, in plain form."""
    model = LISTS[name].model.model_fields
    return {
        plain(heading): column
        for column in reversed(LISTS[name].fields)
        for heading in (*reversed(also(model[column]).names), column)
    }


def also(info: FieldInfo) -> Also:
    """Return what tables say of the field."""
    return next((each for each in info.metadata if isinstance(each, Also)), Also())


def title(name: str, column: str) -> str:
    """Return the column's heading in both languages."""
    names = also(LISTS[name].model.model_fields[column]).names
    return f"{column} ({names[0]})" if names else column


def plain(heading: str) -> str:
    """Return a heading without what does not tell columns apart: case, blanks, units in brackets, a star."""
    text = unicodedata.normalize("NFKC", heading).casefold()
    return re.sub(r"\(.*?\)|\[.*?\]|[\s_*\ufeff]", "", text)


def cell(text: str, info: FieldInfo) -> str:
    """Return what a cell says for the field; ValueError says what cannot be meant.

    Numbers and codes may be written in wide digits; numbers with commas between thousands. What Excel shows
    as 6.4E+11 has lost its digits and is refused.
    """
    words, text = also(info).words, text.strip()
    if text in words:
        return words[text]
    numeric = info.annotation in NUMBERS
    if not (numeric or also(info).code):
        return text
    narrow = unicodedata.normalize("NFKC", text).strip()
    if ROUNDED.fullmatch(narrow):
        raise ValueError("Excel has rounded it: format the column as text or as a number without exponent")
    if numeric and THOUSANDS.fullmatch(narrow):
        return narrow.replace(",", "")
    if numeric and set("°′″'\"度") & set(text):
        raise ValueError("write decimal degrees: degrees + minutes / 60 + seconds / 3600")
    return narrow


def _text(draft: Draft, file: Path, encoding: str | None) -> str | None:
    payload = file.read_bytes()
    for name in (encoding,) if encoding else ("utf-8-sig", "gb18030"):
        try:
            return payload.decode(name)
        except UnicodeDecodeError:
            continue
    tried = encoding or "UTF-8 or GB18030"
    draft.refuse(file.name, f"is no text in {tried}: save it as CSV UTF-8, or say --encoding")
    return None


def _delimiter(header: str) -> str:
    """Return the delimiter with which most headings of the line are known, else the one found most often."""
    known = {heading for name in LISTS for heading in fields_of(name)}

    def fits(delimiter: str) -> tuple[int, int]:
        parts = header.split(delimiter)
        return sum(plain(part.strip('"\ufeff')) in known for part in parts), len(parts)

    return max(DELIMITERS, key=fits)
