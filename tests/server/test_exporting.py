"""What is exported can be imported again, and then nothing changes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from server.exporting import exported
from server.importing import read
from server.registry import apply, register
from server.registry_file import LISTS
from server.registry_table import Options

RING = [[106.2, 35.9], [106.21, 35.9], [106.21, 35.91], [106.2, 35.91], [106.2, 35.9]]

#: one row of each list at least, with what is hard to write: commas, quotes, lines, nothing
REGISTRY: dict[str, Any] = {
    "regions": [{"code": "640402100000", "name_zh": "三营镇", "lon": 106.2, "lat": 36.27,
                 "boundary": {"type": "Polygon", "coordinates": [RING]}}],
    "sites": [
        {"code": "GY-001", "region": "640402", "name_zh": "东坡“一号”,滑坡", "name_en": 'East "1", slope',
         "type": "landslide", "mode": "exercise", "lon": 106.205, "lat": 35.905, "polygon": RING,
         "threatened": 36, "contact": "马, 0954-000000\n王 =1+1"},
        {"code": "GY-002", "region": "640402100000", "name_zh": "2024/01/01", "name_en": "1e5",
         "type": "rockfall", "lon": 106.123456789, "lat": 35.1},
    ],
    "things": [
        {"code": "st/1", "kind": "station", "name": "雨量1", "site": "GY-001", "region": "640402",
         "mode": "exercise", "time_zone": "Asia/Shanghai", "apikey": "hush",
         "reset_at": "2026-07-01T08:00:00+08:00",
         "datastreams": [{"name": "rain", "observed_property": "rainfall", "unit": "mm", "valid_min": 0,
                          "valid_max": 300.5, "stuck_after_h": 24, "expected_every_s": 600,
                          "spike_sigma": 0, "spike_floor": 2.5, "max_rate_per_h": 40}, {"name": "007"}]},
        {"code": "13800000000", "kind": "phone", "name": "一队", "region": "640402"},
    ],
    "units": [{"code": "U-1", "name_zh": "一队", "name_en": "Team 1", "region": "640402",
               "device": "13800000000", "lon": 106.3, "lat": 36}],
    "recipients": [{"name": "一队", "channel": "mqtt", "address": "13800000000", "region": "6404"}],
}  # fmt: skip


@pytest.fixture
def filled(conn: Connection[Any]) -> Connection[Any]:
    register(conn, REGISTRY)
    return conn


def again(conn: Connection[Any], file: Path, text: str, kind: str | None = None) -> tuple[int, list[Any]]:
    """Import what was exported; return how many rows there are, and the changes."""
    file.write_text(text, encoding="utf-8", newline="")
    items = apply(conn, read([file], Options(kind=kind, crs="WGS-84")))
    return len(items), [item for item in items if item.changes]


@pytest.mark.parametrize("form", ["csv", "geojson"])
def test_a_secret_is_kept_and_never_exported(filled: Connection[Any], form: str) -> None:
    assert "hush" not in exported(filled, form, "64")
    assert filled.execute("SELECT apikey FROM thing WHERE code = 'st/1'").fetchone() == ("hush",)


@pytest.mark.parametrize("form", ["csv", "geojson"])
def test_everything_in_one_file_comes_back_unchanged(
    filled: Connection[Any], tmp_path: Path, form: str
) -> None:
    assert again(filled, tmp_path / f"all.{form}", exported(filled, form, "64")) == (9, [])


@pytest.mark.parametrize("form", ["csv", "geojson"])
@pytest.mark.parametrize("kind", LISTS)
def test_each_list_comes_back_unchanged(
    filled: Connection[Any], tmp_path: Path, form: str, kind: str
) -> None:
    rows, changes = again(filled, tmp_path / f"{kind}.{form}", exported(filled, form, "64", kind), kind)
    assert rows > 0
    assert changes == []


def test_it_fills_an_empty_installation(filled: Connection[Any], tmp_path: Path) -> None:
    text = exported(filled, "csv", "")
    for name in reversed(LISTS.values()):
        where = " WHERE imported" if name.table == "region" else ""
        filled.execute(f"DELETE FROM {name.table}{where}".encode())
    assert len(again(filled, tmp_path / "all.csv", text)[1]) == 9
    assert exported(filled, "csv", "") == text


def test_only_ones_own_regions_are_exported(filled: Connection[Any]) -> None:
    far = {"code": "X", "region": "640502", "name_zh": "x", "type": "rockfall", "lon": 105.2, "lat": 37.5}
    register(filled, {"sites": [far]})
    rows = list(csv.DictReader(io.StringIO(exported(filled, "csv", "6405").removeprefix("\ufeff"))))
    assert [(row["list"], row["code"]) for row in rows] == [("sites", "X")]


def test_over_http(client: TestClient) -> None:
    answer = client.get("/registry/export", params={"format": "csv", "kind": "sites"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="sites.csv"' in answer.headers["content-disposition"]
    assert answer.text.splitlines()[0].startswith(
        "\ufeffcode,region,name_zh,name_en,type,mode,rule,lon,lat,polygon"
    )
    assert len(answer.text.splitlines()) == 3
    features = json.loads(client.get("/registry/export").text)["features"]
    assert {feature["properties"]["list"] for feature in features} == set(LISTS) - {"regions"}
    assert client.get("/registry/export", params={"format": "xlsx"}).status_code == 422
