"""Stations and phones."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_things_of_a_site(reader: TestClient) -> None:
    assert [thing["code"] for thing in reader.get("/things").json()] == [
        "phone-A", "phone-B", "thing/A-A", "thing/B-B"]  # fmt: skip
    (thing,) = reader.get("/things", params={"site": "site-B"}).json()
    assert (thing["code"], thing["site"], thing["state"]) == ("thing/B-B", "site-B", {"power": "p-B"})
    (thing,) = reader.get("/things", params={"after": "phone-B", "limit": 1}).json()
    assert thing["code"] == "thing/A-A"


def test_one_thing_whose_code_has_slashes(reader: TestClient) -> None:
    thing = reader.get("/things/thing/A-A").json()
    assert thing["datastreams"] == [
        {"name": "stream/A-A", "observed_property": "displacement", "unit": "mm", "valid_min": None,
         "valid_max": None, "silent_since": "2026-07-01T00:00:00Z"}]  # fmt: skip
    assert reader.get("/things/phone-A").json()["datastreams"] == []
