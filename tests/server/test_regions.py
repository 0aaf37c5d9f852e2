"""Administrative regions."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_regions_by_parent_and_page(reader: TestClient) -> None:
    counties = reader.get("/regions", params={"parent": "640400"}).json()
    assert [county["code"] for county in counties] == ["640402", "640422", "640423", "640424", "640425"]
    page = reader.get("/regions", params={"parent": "640400", "after": "640422", "limit": 2}).json()
    assert page == counties[2:4]


def test_one_region(reader: TestClient) -> None:
    region = reader.get("/regions/640402").json()
    assert (region["name_zh"], region["name_en"], region["level"], region["parent"]) == (
        "原州区", "Yuanzhou District", 3, "640400")  # fmt: skip


def test_a_region_beyond_the_installation_is_not_there(reader: TestClient) -> None:
    assert reader.get("/regions/620100").status_code == 404
