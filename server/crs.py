"""Coordinate systems of files: WGS-84 and CGCS2000 pass, projections of them are undone, GCJ-02 must be said.

The two datums differ by less than a metre, which is less than any boundary or hand-held fix is good for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

#: what may be said of a file's coordinates
SAID = ("WGS-84", "CGCS2000", "GCJ-02")

#: longitude and latitude as they are stored
GEOGRAPHIC = {"EPSG:4326", "EPSG:4979", "EPSG:4490", "EPSG:4480", "OGC:CRS84"}

#: numbers of the EPSG registry that GDAL brings back to longitude and latitude of the same datum
PROJECTED = (
    *range(4491, 4555),  # CGCS2000 / Gauss-Kruger, zones of 6 and 3 degrees, with and without zone number
    *range(32601, 32661),  # WGS 84 / UTM, northern hemisphere
    3857,  # WGS 84 / Pseudo-Mercator
)

#: names that hint at shifted coordinates
SHIFTED = re.compile(r"gcj|bd-?_?09|火星|高德|百度|腾讯|amap|baidu|datav", re.IGNORECASE)

#: the box that holds all of China, degrees
CHINA_LON, CHINA_LAT = (73.0, 136.0), (3.0, 54.0)

# constants of the published reconstruction of GCJ-02: Krasovsky's ellipsoid, m
_AXIS, _SQUARED_ECCENTRICITY = 6_378_245.0, 0.00669342162296594323


def warp(tag: str | None, said: str | None, names: Iterable[str]) -> bool:
    """Return whether the file's coordinates must be brought back from a projection.

    `tag` is the system that the file names (AUTHORITY:CODE), `said` what the operator says of it, `names`
    the file's, layer's and columns' names. ValueError: it cannot be read, is not known, or must be said.
    """
    if said is None and (hint := next((name for name in names if SHIFTED.search(name)), None)):
        raise ValueError(
            f"{hint!r} hints at shifted coordinates (GCJ-02, BD-09), 300 to 600 m off: say --crs GCJ-02"
            " where they are that, --crs WGS-84 where they are not; convert BD-09 to GCJ-02 first"
        )
    if tag is None and said is None:
        raise ValueError(f"names no coordinate system: say --crs with one of {', '.join(SAID)}")
    if tag is None or tag in GEOGRAPHIC:
        return False
    if said is not None:
        raise ValueError(f"the file says {tag} and --crs says {said}: leave --crs out or mend the file")
    authority, _, number = tag.partition(":")
    if authority == "EPSG" and number.isdigit() and int(number) in PROJECTED:
        return True
    raise ValueError(
        f"coordinate system {tag[:60]!r} is not converted here; where its datum is not CGCS2000 or WGS-84 ask"
        " the surveyors, else convert it: ogr2ogr -t_srs EPSG:4326 new.gpkg old.gpkg"
    )


def swapped(lon: float, lat: float) -> bool:
    """Tell whether the place lies outside of China and would lie inside with its numbers swapped."""
    return not _in_china(lon, lat) and _in_china(lat, lon)


def from_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """Return WGS-84 longitude and latitude of a place in GCJ-02, degrees, to less than a centimetre.

    The shift is that of the published reconstruction (googollee/eviltransform); it is undone by iterating.
    Outside of China GCJ-02 is WGS-84.
    """
    if not _in_china(lon, lat):
        return lon, lat
    x, y = lon, lat
    for _ in range(20):
        east, north = to_gcj02(x, y)
        x, y = x - (east - lon), y - (north - lat)
        if abs(east - lon) + abs(north - lat) < 1e-9:
            break
    return x, y


def to_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """Return GCJ-02 longitude and latitude of a place in WGS-84, degrees."""
    x, y = lon - 105.0, lat - 35.0
    wave = 20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)
    north = wave + 20 * math.sin(y * math.pi) + 40 * math.sin(y / 3 * math.pi)
    north += 160 * math.sin(y / 12 * math.pi) + 320 * math.sin(y / 30 * math.pi)
    east = wave + 20 * math.sin(x * math.pi) + 40 * math.sin(x / 3 * math.pi)
    east += 150 * math.sin(x / 12 * math.pi) + 300 * math.sin(x / 30 * math.pi)
    north = north * 2 / 3 - 100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    east = east * 2 / 3 + 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    phi = math.radians(lat)
    bend = 1 - _SQUARED_ECCENTRICITY * math.sin(phi) ** 2
    meridian = _AXIS * (1 - _SQUARED_ECCENTRICITY) / bend**1.5
    parallel = _AXIS / math.sqrt(bend) * math.cos(phi)
    return lon + math.degrees(east / parallel), lat + math.degrees(north / meridian)


def _in_china(lon: float, lat: float) -> bool:
    return CHINA_LON[0] <= lon <= CHINA_LON[1] and CHINA_LAT[0] <= lat <= CHINA_LAT[1]
