"""`liupan track`: the stored fixes of a device, in their order, with the length of the way through them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.track_format import FORMATS
from ingest.track import main

START = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
#: 0.01 degrees along a meridian of the sphere of radius 6,371,008.8 m: 6371.0088 * pi / 18000
STEP_KM = 1.11195


@pytest.fixture
def walked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection[Any]]:
    """A device that went 0.01 degrees north and half of it back, stored out of order; and another one."""
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        for device, minutes, lat, altitude in (
            ("ph-1", 20, 35.005, None), ("ph-1", 0, 35.0, 1800.0), ("ph-1", 10, 35.01, None),
            ("ph-2", 5, 50.0, None),
        ):  # fmt: skip
            conn.execute(
                "INSERT INTO track_point (device, at, lon, lat, altitude_m, region, received_at)"
                " VALUES (%s, %s, 106.0, %s, %s, '640402', now())",
                (device, START + timedelta(minutes=minutes), lat, altitude),
            )
        yield conn


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, Any]:
    code = main(list(argv))
    return code, json.loads(capsys.readouterr().out)


def test_the_whole_track(walked: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, told = run(capsys, "ph-1", "--json")
    assert (code, told["device"], told["points"]) == (0, "ph-1", 3)
    assert told["length_km"] == pytest.approx(1.5 * STEP_KM, abs=0.001)
    assert datetime.fromisoformat(told["started"]) == START
    assert datetime.fromisoformat(told["ended"]) == START + timedelta(minutes=20)
    assert main(["ph-1"]) == 0
    assert capsys.readouterr().out.startswith("ph-1: 3 points in 1 pieces, 1.668 km, from 2026-08-12")


@pytest.mark.parametrize(
    ("limits", "points", "length_km"),
    [
        (["--from", "2026-08-12T11:10:00+08:00"], 2, 0.5 * STEP_KM),
        (["--to", "2026-08-12T03:10:00Z"], 2, STEP_KM),
        (["--from", "2026-08-12T03:05:00Z", "--to", "2026-08-12T03:15:00Z"], 1, 0),
    ],
)
def test_a_part_of_it(
    walked: Connection[Any],
    capsys: pytest.CaptureFixture[str],
    limits: list[str],
    points: int,
    length_km: float,
) -> None:
    _, told = run(capsys, "ph-1", "--json", *limits)
    assert (told["points"], told["length_km"]) == (points, pytest.approx(length_km, abs=0.001))


def test_geojson(walked: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    _, feature = run(capsys, "ph-1", "--geojson")
    line = [[106.0, 35.0, 1800.0], [106.0, 35.01], [106.0, 35.005]]
    assert feature["type"] == "Feature"
    assert feature["geometry"] == {"type": "MultiLineString", "coordinates": [line]}
    assert len(feature["properties"]["coordTimes"]) == 3
    _, feature = run(capsys, "ph-2", "--geojson")
    assert feature["geometry"] == {"type": "MultiLineString", "coordinates": [[[106.0, 50.0]] * 2]}


def test_a_gap_is_no_straight_line(walked: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A fix 3.3 km further on begins a new piece, and its distance is not part of the way."""
    walked.execute(
        "INSERT INTO track_point (device, at, lon, lat, region, received_at)"
        " VALUES ('ph-1', %s, 106.0, 35.035, '640402', now())",
        (START + timedelta(minutes=50),),
    )
    _, told = run(capsys, "ph-1", "--json")
    assert (told["points"], told["pieces"]) == (4, 2)
    assert told["length_km"] == pytest.approx(1.5 * STEP_KM, abs=0.001)


def test_no_fix_is_said(walked: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ph-9", "--json"]) == 1
    assert capsys.readouterr().err == "no fix of 'ph-9' is stored for this time\n"
    assert main(["ph-1", "--from", "2027-01-01T00:00:00Z"]) == 1


def test_a_time_needs_its_offset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["ph-1", "--from", "2026-08-12T03:05:00"])
    assert end.value.code == 2
    assert "--from" in capsys.readouterr().err


def test_the_track_as_a_file(walked: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    walked.execute("UPDATE track_point SET extra = '{\"mock\": true}' WHERE at = %s", (START,))
    assert main(["ph-1", "--format", "csv", "--to", "2026-08-12T03:10:00Z"]) == 0
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (first["lat"], first["altitude_m"], first["mock"], first["mode"]) == (
        "35",
        "1800",
        "true",
        "unknown",
    )
    assert second["at"] == "2026-08-12T03:10:00Z"
    walked.execute(
        "INSERT INTO thing (code, kind, name, region, mode)"
        " SELECT 'ph-1', 'phone', '演练手机', min(code), 'exercise' FROM region"
    )
    for form in FORMATS:
        assert main(["ph-1", "--format", form]) == 0
        text = capsys.readouterr().out
        assert "exercise" in text or "EXERCISE" in text
    assert main(["ph-9", "--format", "gpx"]) == 1
    assert capsys.readouterr().out == ""
