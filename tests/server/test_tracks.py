"""Tracks as lines and as files."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import psycopg
import pytest
from fastapi.testclient import TestClient

from domain.track_format import FORMATS
from server import track_file

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


def test_a_track_as_a_file(longer: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE thing SET mode = 'exercise' WHERE code = 'phone-A'")
        conn.execute("UPDATE track_point SET accuracy_m = 4.5, extra = '{\"mock\": true}' WHERE lat = 36")
    for ending, form in FORMATS.items():
        response = longer.get(f"/tracks/phone-A.{ending}")
        assert response.status_code == 200
        assert response.headers["content-type"] == form.media_type
        assert response.headers["content-disposition"].endswith(f"phone-A.{ending}")
        assert "EXERCISE" in response.text or "exercise" in response.text
    root = ElementTree.fromstring(longer.get("/tracks/phone-A.gpx").content)  # noqa: S314 - our own
    gpx = "{http://www.topografix.com/GPX/1/1}"
    assert [len(segment) for segment in root.iter(f"{gpx}trkseg")] == [2, 2]
    assert [child.text for child in root.iter("{urn:liupan:track:1}accuracy")] == ["4.5"]
    assert [child.text for child in root.iter("{urn:liupan:track:1}mock")] == ["true"]


def test_a_part_of_a_track_as_a_file(longer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_file, "PAGE", 1)  # each fix is a page of its own
    times = {"from": "2026-07-01T00:40:00Z", "to": "2026-07-01T01:00:00Z"}
    rows = list(csv.DictReader(io.StringIO(longer.get("/tracks/phone-A.csv", params=times).text)))
    assert [(row["at"], row["segment"]) for row in rows] == [
        ("2026-07-01T00:40:00Z", "1"), ("2026-07-01T00:50:00Z", "2")]  # fmt: skip
    assert len(longer.get("/tracks/phone-A.csv").text.splitlines()) == 5


def test_a_device_whose_name_has_a_dot_or_levels(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO thing (code, kind, name, region) VALUES ('马/ph.1', 'phone', 'n', '640402')"
        )
        conn.execute(
            "INSERT INTO track_point (device, at, lon, lat, region, received_at)"
            " VALUES ('马/ph.1', '2026-07-01Z', 106, 36, '640402', now())"
        )
    assert client.get("/tracks/马/ph.1").json()["properties"]["points"] == 1
    response = client.get("/tracks/马/ph.1.csv")
    assert response.text.splitlines()[1].startswith("马/ph.1,actual,1,2026-07-01T00:00:00Z,106,36,")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''%E9%A9%AC%2Fph.1.csv"
    assert client.get("/tracks/nobody.gpx").status_code == 404
    assert client.get("/tracks/phone-B.gpx", headers={"X-Liupan-Region": "640402"}).status_code == 404
