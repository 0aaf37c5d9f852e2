"""Leads with their evidence, and the cases that they became."""

from __future__ import annotations

import psycopg
from fastapi.testclient import TestClient

A, B = (f"{x * 8}-0000-7000-8000-000000000000" for x in "ab")


def test_leads_the_newest_first(reader: TestClient) -> None:
    found = reader.get("/leads").json()
    assert [(lead["id"], lead["note"], lead["case"]) for lead in found] == [
        (B, "note-B", B),
        (A, "note-A", A),
    ]
    assert reader.get("/leads", params={"after": B}).json() == found[1:]


def test_one_lead_with_its_evidence(reader: TestClient) -> None:
    (evidence,) = reader.get(f"/leads/{A}").json()["evidence"]
    assert (evidence["sha256"], evidence["media_type"], evidence["size"]) == ("0" * 64, "type-A", 1)


def test_a_lead_that_became_no_case(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("DELETE FROM case_move")
        conn.execute("DELETE FROM enforcement_case")
    assert client.get(f"/leads/{A}").json()["case"] is None
