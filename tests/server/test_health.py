"""Whether events flow."""

from __future__ import annotations

import psycopg
from fastapi.testclient import TestClient


def test_all_is_well(reader: TestClient) -> None:
    response = reader.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {
        "lag_s": response.json()["lag_s"], "waiting": 0, "oldest": None, "set_aside": 0, "followers": 0,
    }  # fmt: skip


def test_what_waits_and_what_is_set_aside(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO event (kind, consumer, partition, subject, region, body,"
            "                   created_at, not_before, set_aside_at, done_at)"
            " SELECT kind, consumer, 0, '', '', '{}', now() - age * interval '1 s',"
            "        now() - due * interval '1 s', CASE WHEN aside THEN now() END,"
            "        CASE WHEN done THEN now() END"
            " FROM (VALUES ('alerted', 'respond', 9, 9, false, false),"
            "              ('due', 'deliver', 99, -99, false, false),"
            "              ('due', 'deliver', 0, 0, true, false), ('cased', 'x', 4, 4, false, true))"
            "      AS v (kind, consumer, age, due, aside, done)"
        )
    health = client.get("/healthz").json()
    assert (health["waiting"], health["set_aside"]) == (1, 1)
    assert (health["oldest"]["kind"], health["oldest"]["consumer"]) == ("alerted", "respond")
    assert health["oldest"]["age_s"] >= 9
    assert health["lag_s"] == 4
