"""GeoJSON, GeoPackage and shapefiles as registry entries, read by GDAL through pyogrio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import shapely
from pyogrio import list_layers, raw, read_info  # type: ignore[import-untyped]
from pyogrio.errors import DataLayerError, DataSourceError  # type: ignore[import-untyped]

from server import crs
from server.registry_read import Draft
from server.registry_table import Line, Options, add

#: endings of the files that are read here -> how such a file begins. GDAL goes by what is in a file, and
#: would follow one of its other formats to any place that it names.
ENDINGS = {".geojson": b"{", ".json": b"{", ".gpkg": b"SQLite format 3\x00", ".shp": b"\x00\x00\x27\x0a"}

#: asks GDAL to undo a projection on the way (its driver OGR_VRT); CGCS2000 is WGS-84 to us
WARPED = (
    '<OGRVRTDataSource><OGRVRTWarpedLayer><OGRVRTLayer name="{layer}"><SrcDataSource>{file}</SrcDataSource>'
    "</OGRVRTLayer><TargetSRS>{target}</TargetSRS></OGRVRTWarpedLayer></OGRVRTDataSource>"
)


def read_vector(draft: Draft, file: Path, options: Options) -> None:
    """Add the features of one layer; a place is as in `sites.gpkg layer sites feature 3`, from 1."""
    with file.open("rb") as opened:
        begin = opened.read(1000).removeprefix(b"\xef\xbb\xbf")
    wanted = ENDINGS[file.suffix.lower()]
    if not (begin.lstrip() if wanted == b"{" else begin).startswith(wanted):
        draft.refuse(file.name, "cannot be read: it is something else than its ending says")
        return
    try:
        layers = [str(name) for name, _ in list_layers(file)]
        if (layer := options.layer or layers[0]) not in layers or (not options.layer and len(layers) > 1):
            told = ", ".join(layers)
            draft.refuse(file.name, f"which layer? say --layer with one of {told}")
            return
        header, rows = _read(file, layer, options)
    except (ValueError, IndexError, DataSourceError, DataLayerError) as error:
        draft.refuse(file.name, f"cannot be read: {error}" if str(error) else "cannot be read")
        return
    add(draft, f"{file.name} layer {layer}", header, rows, options)


def _read(file: Path, layer: str, options: Options) -> tuple[Sequence[str], list[Line]]:
    """Return the names of the fields, and the features with their geometry in degrees."""
    info = read_info(file, layer=layer, encoding=options.encoding)
    fields = [str(name) for name in info["fields"]]
    tag = info["crs"]
    if options.kind == "regions" and info["driver"] == "GeoJSON":
        tag = None  # boundaries from the web are mostly GCJ-02, and GeoJSON cannot say so
    source: object = file
    if crs.warp(tag, options.crs, [file.name, layer, *fields]):
        target = "EPSG:4326" if tag.removeprefix("EPSG:").startswith("3") else "EPSG:4490"
        source = WARPED.format(layer=escape(layer, {'"': "&quot;"}), file=escape(str(file)), target=target)
    more = {"DATE_AS_STRING": "YES"} if info["driver"] == "GeoJSON" and source is file else {}
    _, _, geometries, columns = raw.read(
        source, layer=layer, encoding=options.encoding, force_2d=True, datetime_as_string=True, **more
    )
    shapes = shapely.from_wkb(geometries, on_invalid="ignore") if geometries is not None else None
    rows = []
    for index in range(len(columns[0]) if columns else 0):
        place = f"{file.name} layer {layer} feature {index + 1}"
        drawn = None if shapes is None else shapes[index]
        rows.append(Line(place, [_text(column[index]) for column in columns], drawn))
    return fields, rows


def _text(value: Any) -> str:
    """Return a field's value as a cell: nothing for null, a whole number without a decimal point."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
