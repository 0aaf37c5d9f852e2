"""Orders to teams: confirmed and taken back by an officer, only where that is legal."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

A, B = (f"{x * 8}-0000-7000-8000-000000000000" for x in "ab")


@pytest.fixture
def proposed(client: TestClient, database_url: str) -> TestClient:
    """The team of A is not ordered yet."""
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE dispatch SET state = 'proposed', ordered_at = NULL WHERE id = %s", (A,))
        conn.execute("DELETE FROM dispatch_move WHERE dispatch = %s", (A,))
    return client


def events(database_url: str) -> list[tuple[str, str]]:
    with psycopg.connect(database_url) as conn:
        return conn.execute(
            "SELECT kind, body->>'state' FROM event WHERE consumer = 'order' AND subject = %s ORDER BY id",
            (A,),
        ).fetchall()


def test_a_confirmed_proposal_is_an_order(proposed: TestClient, database_url: str) -> None:
    response = proposed.post(f"/dispatches/{A}/confirm")
    assert response.status_code == 200
    assert response.json()["state"] == "ordered"
    assert response.json()["ordered_at"] is not None
    assert response.json() == proposed.get(f"/dispatches/{A}").json()
    assert events(database_url) == [("dispatched", "ordered")], "the team's phone hears nothing"


def test_an_order_is_confirmed_once(proposed: TestClient, database_url: str) -> None:
    proposed.post(f"/dispatches/{A}/confirm")
    again = proposed.post(f"/dispatches/{A}/confirm")
    assert again.status_code == 409
    assert "a dispatch that is ordered cannot become ordered" in again.json()["detail"]
    assert len(events(database_url)) == 1


def test_an_order_is_taken_back(client: TestClient, database_url: str) -> None:
    response = client.post(f"/dispatches/{A}/cancel")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert [move["state"] for move in response.json()["moves"]] == ["ordered", "en_route", "cancelled"]
    assert events(database_url) == [("dispatched", "cancelled")]
    assert client.post(f"/dispatches/{A}/cancel").status_code == 409


@pytest.mark.parametrize("verb", ["confirm", "cancel"])
def test_who_may_not_does_not_order(proposed: TestClient, database_url: str, verb: str) -> None:
    viewer = proposed.post(f"/dispatches/{A}/{verb}", headers={"X-Liupan-Role": "viewer"})
    assert (viewer.status_code, viewer.json()) == (403, {"detail": "a viewer may not give orders"})
    assert proposed.post(f"/dispatches/{A}/{verb}", headers={"X-Liupan-Region": "6405"}).status_code == 404
    assert proposed.get(f"/dispatches/{A}").json()["state"] == "proposed"
    assert events(database_url) == []


def test_no_such_dispatch(client: TestClient) -> None:
    assert client.post(f"/dispatches/{A[:-1]}1/confirm").status_code == 404
    assert client.post("/dispatches/x/confirm").status_code == 422
