"""Positions on the WGS-84 sphere and the little plane geometry that a phone needs too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: mean Earth radius of the IUGG, m
EARTH_RADIUS_M = 6_371_008.8

#: m; two fixes farther apart have something unrecorded between them: a track is interrupted there
GAP_M = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in WGS-84: longitude and latitude in degrees, altitude in m where known.

    Raises ValueError outside -180..180 and -90..90, and for values that are not numbers.
    """

    lon: float
    lat: float
    altitude_m: float | None = None

    def __post_init__(self) -> None:
        if not -180 <= self.lon <= 180:
            raise ValueError(f"longitude {self.lon} is outside -180..180")
        if not -90 <= self.lat <= 90:
            raise ValueError(f"latitude {self.lat} is outside -90..90")


def distance_m(a: Position, b: Position) -> float:
    """Return the great-circle distance in m (haversine formula; the sphere errs by 0.5 % at most).

    >>> pole, equator = Position(lon=0, lat=90), Position(lon=0, lat=0)
    >>> round(distance_m(pole, equator) / 1000)    # a quarter of the circumference
    10008
    """
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half_lat = math.sin((lat_b - lat_a) / 2)
    half_lon = math.sin(math.radians(b.lon - a.lon) / 2)
    chord = half_lat * half_lat + math.cos(lat_a) * math.cos(lat_b) * half_lon * half_lon
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def length_m(line: Sequence[Position]) -> float:
    """Return the length in m of the line through the positions, in their order."""
    return sum(distance_m(a, b) for a, b in pairwise(line))


def pieces(track: Sequence[Position]) -> list[list[Position]]:
    """Return the track in pieces, cut where two fixes lie more than GAP_M apart."""
    parts: list[list[Position]] = []
    for fix in track:
        if not parts or distance_m(parts[-1][-1], fix) > GAP_M:
            parts.append([])
        parts[-1].append(fix)
    return parts


def point_in_polygon(point: Position, ring: Sequence[Position]) -> bool:
    """Tell whether the point lies inside the ring (even-odd rule; the ring may be open or closed)."""
    inside = False
    for a, b in zip(ring, [*ring[1:], *ring[:1]], strict=True):
        if (a.lat > point.lat) != (b.lat > point.lat):
            crossing = a.lon + (point.lat - a.lat) / (b.lat - a.lat) * (b.lon - a.lon)
            inside ^= point.lon < crossing
    return inside


def simplify(line: Sequence[Position], tolerance_m: float) -> list[Position]:
    """Return the line without the points that lie closer than the tolerance (Douglas and Peucker 1973).

    The first and the last position always stay.
    """
    if len(line) < 3:
        return list(line)
    keep = {0, len(line) - 1}
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        farthest, offset = 0, -1.0
        for i in range(first + 1, last):
            if (away := _offset_m(line[i], line[first], line[last])) > offset:
                farthest, offset = i, away
        if offset > tolerance_m:
            keep.add(farthest)
            spans += [(first, farthest), (farthest, last)]
    return [line[i] for i in sorted(keep)]


def _offset_m(point: Position, a: Position, b: Position) -> float:
    """Return the distance in m from the point to the segment, on a plane that touches at the point."""
    east = math.cos(math.radians(point.lat)) * math.radians(EARTH_RADIUS_M)
    north = math.radians(EARTH_RADIUS_M)
    ax, ay = (a.lon - point.lon) * east, (a.lat - point.lat) * north
    bx, by = (b.lon - point.lon) * east, (b.lat - point.lat) * north
    dx, dy = bx - ax, by - ay
    along = -(ax * dx + ay * dy) / ((dx * dx + dy * dy) or 1.0)
    along = min(1.0, max(0.0, along))
    return math.hypot(ax + along * dx, ay + along * dy)
