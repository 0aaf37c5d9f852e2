"""Emergencies, their teams and the ways that these drove."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

A, B = (f"{x * 8}-0000-7000-8000-000000000000" for x in "ab")


def test_incidents_open_and_closed(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE incident SET closed_at = now() WHERE id = %s", (B,))
    closed, open = client.get("/incidents").json()
    assert (closed["id"], open["id"], open["level"], open["alert"]) == (B, A, "orange", "alert-A")
    assert client.get("/incidents", params={"open": True}).json() == [open]
    assert client.get("/incidents", params={"open": False}).json() == [closed]
    assert client.get("/incidents", params={"after": B}).json() == [open]


def test_one_incident_with_its_teams(reader: TestClient) -> None:
    incident = reader.get(f"/incidents/{A}").json()
    assert (incident["site"], incident["lon"], incident["lat"]) == ("site-A", 106, 36)
    (dispatch,) = incident["dispatches"]
    assert (dispatch["unit"], dispatch["state"], dispatch["reason_en"]) == ("unit-A", "en_route", "near-A")
    assert [move["state"] for move in dispatch["moves"]] == ["ordered", "en_route"]


def test_the_ways_driven(reader: TestClient) -> None:
    (route,) = reader.get(f"/incidents/{A}/routes").json()["features"]
    assert route["geometry"]["coordinates"] == [[[106, 36, 1700], [106, 36.01]]]
    assert (route["properties"]["unit"], route["properties"]["length_m"]) == ("unit-A", 1112)


def test_closing_calls_the_teams_back(client: TestClient) -> None:
    closed = client.post(f"/incidents/{A}/close")
    assert closed.status_code == 200
    assert closed.json()["closed_at"] is not None
    assert [dispatch["state"] for dispatch in closed.json()["dispatches"]] == ["cancelled"]
    again = client.post(f"/incidents/{A}/close")
    assert (again.status_code, again.json()) == (200, closed.json())


@pytest.mark.parametrize("headers", [{"X-Liupan-Region": "6405"}, {"X-Liupan-Role": "viewer"}])
def test_who_may_not_does_not_close(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(f"/incidents/{A}/close", headers=headers).status_code in (403, 404)
    assert client.get(f"/incidents/{A}").json()["closed_at"] is None
