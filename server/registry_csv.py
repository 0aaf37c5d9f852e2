"""CSV files as registry entries: in UTF-8 or GB18030, with whatever delimiter."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from server import crs
from server.registry_cells import fields_of, plain
from server.registry_file import LISTS
from server.registry_read import Draft
from server.registry_table import Line, Options, add

DELIMITERS = ",;\t|，；"
#: longest cell: a boundary has many points
CELL = 20_000_000


def read_csv(draft: Draft, file: Path, options: Options) -> None:
    """Add the rows of a CSV file: UTF-8 or GB18030, delimited by what its header shows."""
    text = _text(draft, file, options.encoding)
    if text is None:
        return
    lines: list[Line] = []
    first = next((line for line in text.splitlines() if line.strip()), "")
    csv.field_size_limit(CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
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
