"""Hazard sites with their level and newest results."""

from __future__ import annotations

import psycopg
from fastapi.testclient import TestClient


def test_sites_come_with_their_level(reader: TestClient) -> None:
    (site, other) = reader.get("/sites").json()
    assert (site["code"], other["code"]) == ("site-A", "site-B")
    assert (site["level"], site["since"]) == ("orange", "2026-07-01T00:00:00Z")
    assert reader.get("/sites", params={"after": "site-A"}).json() == [other]
    assert reader.get("/sites", params={"limit": 1}).json() == [site]


def test_a_site_that_was_never_assessed_has_no_level(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("DELETE FROM level")
    site = client.get("/sites/site-A").json()
    assert (site["level"], site["since"], site["as_of"]) == ("none", None, None)


def test_one_site_with_its_area_and_what_was_last_observed(reader: TestClient) -> None:
    site = reader.get("/sites/site-A").json()
    assert site["polygon"] == [[106, 36], [106.01, 36], [106, 36.01], [106, 36]]
    (latest,) = site["latest"]
    assert (latest["thing"], latest["datastream"], latest["result"]) == ("thing/A-A", "stream/A-A", 1.5)


def test_no_such_site(reader: TestClient) -> None:
    response = reader.get("/sites/site-C")
    assert response.status_code == 404
    assert response.json() == {
        "detail": "there is no site site-C, or it lies in a region that you do not see"
    }
