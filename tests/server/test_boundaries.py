"""From a place to its county."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from psycopg import Connection

from server.boundaries import boundaries, locator, region_of
from server.regions import load, rows
from server.registry import register

#: the middle of towns as any atlas has them, to 0.01 degree (WGS-84), and the county that they are seat of
SEATS = [
    (106.28, 36.00, "640402"),  # Guyuan, Yuanzhou district
    (105.19, 37.51, "640502"),  # Zhongwei, Shapotou district
    (106.23, 38.49, "640106"),  # Yinchuan, Jinfeng district
    (105.64, 36.56, "640522"),  # Haiyuan
    (116.40, 39.90, "110101"),  # Beijing, Dongcheng district
    (121.47, 31.23, "310101"),  # Shanghai, Huangpu district
    (87.62, 43.79, "650102"),  # Urumqi, Tianshan district
    (113.75, 23.02, "441900"),  # Dongguan, a city without counties
]


@pytest.mark.parametrize(("lon", "lat", "code"), SEATS)
def test_the_county_of_a_place(lon: float, lat: float, code: str) -> None:
    assert region_of(lon, lat) == code


@pytest.mark.parametrize(("lon", "lat"), [(0, 0), (2.35, 48.85), (135.0, 25.0)])
def test_abroad_and_at_sea_there_is_none(lon: float, lat: float) -> None:
    assert region_of(lon, lat) is None


def test_every_county_of_the_table_has_a_boundary(conn: Connection[Any]) -> None:
    lonely = [
        (code, name)
        for code, _, level, name, _, lon, lat in rows()
        if level == 3 and region_of(lon, lat) is None
    ]
    assert not lonely, "the centre of a county lies in none"


def test_an_unknown_kind_of_boundary_is_an_error() -> None:
    with pytest.raises(ValueError, match="boundary of kind 0"):
        boundaries((1).to_bytes(4, "little") + (4).to_bytes(4, "little") + bytes(4))


TOWN = {
    "code": "640402100000", "name_zh": "三营镇", "lon": 106.2, "lat": 36.27,
    "boundary": {"type": "Polygon", "coordinates": [[[106.1, 36.2], [106.3, 36.2], [106.3, 36.35],
                                                     [106.1, 36.35], [106.1, 36.2]]]},
}  # fmt: skip


def test_an_imported_boundary_goes_before_the_county(conn: Connection[Any]) -> None:
    assert register(conn, {"regions": [TOWN]})["regions"] == 1
    row = conn.execute("SELECT parent, level, name_en FROM region WHERE code = '640402100000'").fetchone()
    assert row == ("640402", 4, "三营镇"), "what is left out follows from the code"
    locate = locator(conn)
    assert locate(106.2, 36.27) == "640402100000"
    assert locate(106.28, 36.00) == "640402"


def test_an_imported_name_is_not_brought_back(conn: Connection[Any]) -> None:
    named = {
        "code": "620102",
        "name_zh": "城关区",
        "name_en": "Chengguan District",
        "lon": 103.8,
        "lat": 36.06,
    }
    assert register(conn, {"regions": [named]})["regions"] == 1
    assert load(conn) == 0
    row = conn.execute("SELECT name_en, lon FROM region WHERE code = '620102'").fetchone()
    assert row == ("Chengguan District", 103.8)


def test_all_provinces_have_english_names(conn: Connection[Any]) -> None:
    names = conn.execute("SELECT name_zh, name_en FROM region WHERE level = 1").fetchall()
    assert len(names) == 34
    assert [zh for zh, en in names if not en.isascii()] == []
    assert ("西藏自治区", "Xizang Autonomous Region") in names


def test_the_table_holds_all_of_china() -> None:
    """At the end of 2023: 34 provinces, 333 prefectures, 2,844 counties (Ministry of Civil Affairs).

    Counties right below a province stand on level 2, nature reserves with a code of their own are too many.
    """
    levels = {code: level for code, _, level, *_ in rows() if code[:2] not in ("71", "81", "82")}
    direct = [code for code, level in levels.items() if level == 2 and code[4:] != "00"]
    counts = Counter(levels.values())
    assert counts[1] + 3 == 34
    assert 333 <= counts[2] - len(direct) <= 336
    assert 2844 <= counts[3] + len(direct) <= 2848
    parents = {code: parent for code, parent, *_ in rows()}
    assert all(parent is None or parent in parents for parent in parents.values())
