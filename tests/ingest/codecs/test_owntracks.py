"""OwnTracks: locations with all the dirt that phones write, and the messages that are not stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.geo import Position
from domain.patrol import TrackPoint
from ingest.codecs import owntracks
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
LOCATION: dict[str, Any] = {"_type": "location", "lat": 35.99, "lon": 106.25, "tst": 1786000000}
AT = datetime(2026, 8, 6, 7, 6, 40, tzinfo=UTC)


def decode(message: object) -> Decoded:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return owntracks.decode("owntracks/mei/ph-3", payload, NOW)


def test_a_full_location() -> None:
    full = {
        **LOCATION,
        "acc": 12,
        "alt": 1780,
        "vel": 36,
        "cog": 270,
        "batt": 71,
        "tid": "ph",
        "created_at": 1786000900,
    }
    place = Position(lon=106.25, lat=35.99, altitude_m=1780)
    fix = TrackPoint(device="mei/ph-3", at=AT, position=place, accuracy_m=12, speed_m_s=10, course_deg=270)
    assert decode(full) == Decoded(device="mei/ph-3", fixes=(fix,))


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"tst": "1786000000"}, "at", AT),
        ({"tst": 1786000000.0}, "at", AT),
        ({"tst": 1786000000250}, "at", AT.replace(microsecond=250_000)),
        ({"tst": "1786000000250"}, "at", AT.replace(microsecond=250_000)),
        ({"acc": -1}, "accuracy_m", None),
        ({"acc": 0.0}, "accuracy_m", 0),
        ({"acc": 5000}, "accuracy_m", 5000),
        ({"vel": -1}, "speed_m_s", None),
        ({"vel": 18.0}, "speed_m_s", 5),
        ({"cog": -1}, "course_deg", None),
        ({"alt": -11.5}, "position", Position(lon=106.25, lat=35.99, altitude_m=-11.5)),
        ({}, "position", Position(lon=106.25, lat=35.99)),
        ({}, "accuracy_m", None),
    ],
)
def test_dirt_that_is_understood(change: dict[str, Any], field: str, expected: object) -> None:
    decoded = decode({**LOCATION, **change})
    assert decoded.problems == ()
    assert getattr(decoded.fixes[0], field) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lat": None}, "lat is missing"),
        ({"lat": "35.99"}, "lat: '35.99' is no number"),
        ({"lat": 90.5}, "latitude 90.5 is outside"),
        ({"lon": -181}, "longitude -181.0 is outside"),
        ({"lon": float("nan")}, "lon: nan is not finite"),
        ({"tst": None}, "tst is missing"),
        ({"tst": "soon"}, "tst: 'soon' is no number"),
        ({"tst": -1e18}, "out of range"),
        ({"_type": 5}, "_type: 5 is no type"),
        ({"_type": "lwt"}, "owntracks lwt is not stored yet"),
    ],
)
def test_dirt_that_is_not(change: dict[str, Any], reason: str) -> None:
    decoded = decode([LOCATION, {**LOCATION, **change}])
    assert len(decoded.fixes) == 1
    assert len(decoded.problems) == 1
    assert decoded.problems[0].startswith("[1]: ")
    assert reason in decoded.problems[0]


def test_nothing_and_no_json() -> None:
    assert decode(b"") == decode([]) == Decoded(device="mei/ph-3")
    for payload in (b"\n\n", b"lat,lon", b"\xff", b"[" * 20_000):
        with pytest.raises(ValueError, match="not JSON"):
            decode(payload)


def test_published_payloads(data: Path) -> None:
    """Locations as the schema's verdicts have them; everything else is named, and nothing else is a fix."""
    folder, fixes, named = data / "owntracks/test", {}, set()
    for file in sorted(folder.glob("*.json")):
        try:
            decoded = decode(file.read_bytes())
        except ValueError:
            fixes[file.name] = -1
            continue
        fixes[file.name] = len(decoded.fixes)
        named |= {problem.partition(" is not stored")[0] for problem in decoded.problems}
    assert len(fixes) == 60
    lines = (data / "owntracks/VERDICTS.txt").read_text().splitlines()
    verdicts = dict(
        (name, verdict)
        for verdict, _, names in (line.partition(": ") for line in lines)
        for name in names.split()
        if verdict in ("valid", "invalid", "unreadable")
    )
    is_location = {"array-one.json", "l.json", "l2.json"} | {n for n in fixes if n.startswith("location-")}
    for name in fixes.keys() & verdicts.keys():
        expected = {"valid": 1, "invalid": 0, "unreadable": -1}[verdicts[name]]
        assert fixes[name] == (expected if name in is_location else min(0, expected)), name
    assert fixes["array.json"] == 1
    kinds = "lwt card cmd encrypted status steps request transition waypoint waypoints"
    assert named >= {"[1]: owntracks lwt", "lat is missing", *(f"owntracks {kind}" for kind in kinds.split())}
