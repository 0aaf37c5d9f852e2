"""Rescue teams."""

from __future__ import annotations

import psycopg
from fastapi.testclient import TestClient


def test_a_team_stands_at_its_newest_fix_and_has_its_order(reader: TestClient) -> None:
    (unit, other) = reader.get("/units").json()
    assert (unit["code"], unit["lat"], unit["fixed_at"]) == ("unit-A", 36.01, "2026-07-01T00:40:00Z")
    assert (unit["dispatch"], unit["state"]) == ("aaaaaaaa-0000-7000-8000-000000000000", "en_route")
    assert reader.get("/units", params={"after": "unit-A"}).json() == [other]


def test_a_team_without_fix_stands_at_its_station(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("DELETE FROM track_point")
        conn.execute("UPDATE dispatch SET closed_at = now()")
    unit = client.get("/units").json()[0]
    assert (unit["lat"], unit["fixed_at"], unit["dispatch"], unit["state"]) == (36, None, None, None)
