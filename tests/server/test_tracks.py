"""Tracks as lines."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

#: a hundredth of a degree of a great circle of the IUGG's mean sphere, m
HUNDREDTH = 1111.95


def test_a_track_is_a_line_with_its_length(reader: TestClient) -> None:
    track = reader.get("/tracks/phone-A").json()
    assert track["geometry"] == {"type": "MultiLineString", "coordinates": [[[106, 36, 1700], [106, 36.01]]]}
    assert track["properties"] == {
        "device": "phone-A", "points": 2, "length_m": pytest.approx(HUNDREDTH, abs=0.1), "next": None,
        "at": ["2026-07-01T00:30:00Z", "2026-07-01T00:40:00Z"],
    }  # fmt: skip


@pytest.fixture
def longer(client: TestClient, database_url: str) -> TestClient:
    """The track goes on after a leap of three hundredths of a degree."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO track_point (device, at, lon, lat, region, received_at) VALUES"
            " ('phone-A', '2026-07-01 00:50Z', 106, 36.04, '640402', now()),"
            " ('phone-A', '2026-07-01 01:00Z', 106, 36.05, '640402', now())"
        )
    return client


def test_a_line_is_interrupted_where_something_is_not_recorded(longer: TestClient) -> None:
    track = longer.get("/tracks/phone-A").json()
    assert [len(piece) for piece in track["geometry"]["coordinates"]] == [2, 2]
    assert track["properties"]["length_m"] == pytest.approx(2 * HUNDREDTH, abs=0.2)


def test_a_part_of_a_track(longer: TestClient) -> None:
    times = {"from": "2026-07-01T00:40:00Z", "to": "2026-07-01T01:00:00Z"}
    track = longer.get("/tracks/phone-A", params=times).json()
    assert track["properties"]["at"] == ["2026-07-01T00:40:00Z", "2026-07-01T00:50:00Z"]
    assert (track["geometry"], track["properties"]["length_m"]) == (None, 0)


def test_a_track_page_by_page(longer: TestClient) -> None:
    first = longer.get("/tracks/phone-A", params={"limit": 2}).json()["properties"]
    rest = longer.get("/tracks/phone-A", params={"limit": 2, "from": first["next"]}).json()["properties"]
    assert first["at"] + rest["at"] == longer.get("/tracks/phone-A").json()["properties"]["at"]
    assert rest["next"] is None
