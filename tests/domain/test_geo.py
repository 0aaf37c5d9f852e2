"""Distances, polygons and simplification against known answers and against shapely."""

from __future__ import annotations

import doctest
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import geo
from domain.geo import Position, distance_m, length_m, point_in_polygon, simplify


def at(lon: float, lat: float) -> Position:
    return Position(lon=lon, lat=lat)


def dms(degrees: float, minutes: float, seconds: float) -> float:
    return math.copysign(abs(degrees) + minutes / 60 + seconds / 3600, degrees)


def test_the_docstrings_examples_hold() -> None:
    assert doctest.testmod(geo).failed == 0


@pytest.mark.parametrize(
    ("a", "b", "metres"),
    [
        # a degree of a great circle is 2 pi R / 360 with the IUGG's mean radius R = 6371.0088 km
        (at(106, 35), at(106, 36), 111_195.08),
        (at(0, 0), at(1, 0), 111_195.08),
        (at(179.5, 0), at(-179.5, 0), 111_195.08),
        # on the parallel of 60 degrees half of it is 55,597.54; the great circle is a little shorter
        (at(10, 60), at(11, 60), 55_597.01),
        (at(12, 34), at(12, 34), 0),
        (at(0, 0), at(180, 0), math.pi * 6_371_008.8),
    ],
)
def test_distance_on_the_sphere(a: Position, b: Position, metres: float) -> None:
    assert distance_m(a, b) == pytest.approx(metres, rel=1e-5, abs=1e-6)
    assert distance_m(b, a) == distance_m(a, b)


def test_distance_errs_by_half_a_percent_from_the_ellipsoid() -> None:
    # Flinders Peak to Buninyong: 54,972.271 m on GRS80 (Geoscience Australia, GDA technical manual)
    flinders = at(dms(144, 25, 29.52440), dms(-37, 57, 3.72030))
    buninyong = at(dms(143, 55, 35.38390), dms(-37, 39, 10.15610))
    assert distance_m(flinders, buninyong) == pytest.approx(54_972.271, rel=0.005)


def test_length_of_a_real_hike(data: Path) -> None:
    """871 points, 14.9 km over its segments (its SOURCE.txt)."""
    tree = ET.parse(data / "gpx" / "korita-zbevnica.gpx")  # noqa: S314 - our own reference file
    segments = [
        [at(float(p.attrib["lon"]), float(p.attrib["lat"])) for p in segment.iterfind("{*}trkpt")]
        for segment in tree.iterfind(".//{*}trkseg")
    ]
    assert sum(len(segment) for segment in segments) == 871
    assert sum(length_m(segment) for segment in segments) / 1000 == pytest.approx(14.9, abs=0.05)


def test_less_than_two_points_have_no_length() -> None:
    assert length_m([]) == length_m([at(106, 36)]) == 0


@pytest.mark.parametrize("lon, lat", [(181, 0), (-180.1, 0), (0, 90.5), (math.nan, 0), (0, math.inf)])
def test_a_place_outside_the_earth_is_refused(lon: float, lat: float) -> None:
    with pytest.raises(ValueError, match="is outside"):
        at(lon, lat)


# A U that is open to the north: the notch between its arms is outside.
U = [at(0, 0), at(3, 0), at(3, 3), at(2, 3), at(2, 1), at(1, 1), at(1, 3), at(0, 3)]


@pytest.mark.parametrize("ring", [U, [*U, U[0]], U[::-1]], ids=["open", "closed", "clockwise"])
@pytest.mark.parametrize(
    ("lon", "lat", "inside"),
    [
        (0.5, 2, True),
        (2.5, 2, True),
        (1.5, 0.5, True),
        (1.5, 2, False),
        (1.5, 5, False),
        (-1, 1, False),
        (4, 1, False),
        # on a level with a corner, where a careless ray counts twice or not at all
        (0.5, 1, True),
        (-1, 3, False),
        (-1, 0, False),
    ],
)
def test_a_point_in_a_concave_polygon(ring: list[Position], lon: float, lat: float, inside: bool) -> None:
    assert point_in_polygon(at(lon, lat), ring) is inside


coordinates = st.tuples(st.integers(-20, 20), st.integers(-20, 20))


@given(st.lists(coordinates, min_size=3, max_size=9), coordinates)
def test_a_point_in_a_polygon_as_shapely_sees_it(
    corners: list[tuple[int, int]], spot: tuple[int, int]
) -> None:
    polygon, point = shapely.Polygon(corners), shapely.Point(spot)
    assume(polygon.is_valid and not polygon.boundary.intersects(point))
    ring = [at(x, y) for x, y in corners]
    assert point_in_polygon(at(*spot), ring) is polygon.contains(point)


#: degrees of one metre, near enough at the equator
METRE = 1 / 111_195.08


def metres(*points: tuple[float, float]) -> list[Position]:
    return [at(x * METRE, y * METRE) for x, y in points]


def test_a_straight_line_needs_its_ends_only() -> None:
    line = metres(*((x, 0) for x in range(0, 100, 10)))
    assert simplify(line, 0.01) == [line[0], line[-1]]


def test_what_lies_farther_than_the_tolerance_stays() -> None:
    line = metres((0, 0), (10, 0.9), (20, 0), (30, -5.1), (40, 0), (50, 0.9), (60, 0))
    assert simplify(line, 6) == [line[0], line[-1]]
    # 5.1 m off the line of the ends; then 0.9 m up at 10 is 2.6 m off the line (0,0)-(30,-5.1), and so on
    assert simplify(line, 5) == [line[0], line[3], line[-1]]
    assert simplify(line, 0.1) == line


def test_the_offset_is_taken_from_the_segment_not_from_its_endless_line() -> None:
    # there and back again on one straight road: the turning point lies 40 m beyond the end
    line = metres((0, 0), (60, 0), (20, 0))
    assert simplify(line, 10) == line


def test_a_round_trip_keeps_its_far_corner() -> None:
    line = metres((0, 0), (30, 1), (50, 50), (1, 30), (0, 0))
    assert line[2] in simplify(line, 40)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_short_to_simplify(count: int) -> None:
    line = metres((0, 0), (1, 1))[:count]
    assert simplify(line, 1000) == line


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=40),
       st.floats(0.5, 200))  # fmt: skip
def test_no_point_is_left_out_that_lies_farther_away(points: list[tuple[int, int]], tolerance: float) -> None:
    line = metres(*points)
    kept = simplify(line, tolerance)
    assert (kept[0], kept[-1]) == (line[0], line[-1])
    rest = iter(line)
    assert all(point in rest for point in kept), "the order has changed"
    on_plane = [(p.lon / METRE, p.lat / METRE) for p in kept]
    assert all(shapely.LineString(on_plane).distance(shapely.Point(p)) <= tolerance * 1.001 for p in points)
