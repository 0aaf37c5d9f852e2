"""OsmAnd and Traccar Client: every captured request, and what they write against the rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.geo import Position
from domain.patrol import TrackPoint
from ingest.codecs import osmand
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
AT = datetime(2013, 8, 22, 13, 14, 27, tzinfo=UTC)  # 1377177267
QUERY = "id=123456&timestamp=1377177267&lat=60.0&lon=30.0"


def decode(payload: str | dict[str, Any]) -> Decoded:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return osmand.decode("http/osmand/x", text.encode(), NOW)


def fix(payload: str | dict[str, Any]) -> TrackPoint:
    decoded = decode(payload)
    assert (len(decoded.fixes), decoded.problems) == (1, ())
    return decoded.fixes[0]


#: line of osmand_query.txt -> device, time, lat, lon, altitude, speed in m/s (knots * 0.514444), course
QUERIES = [
    ("123456", AT, None, None, None, None, None),
    None,
    ("902064", datetime(2016, 1, 27, 18, 55, 47, tzinfo=UTC), 42.06288, -88.23412, 224.0, 0, None),
    ("902064", datetime(2015, 9, 12, 14, 38, 6, 579000, UTC), 42.06288, -88.23412, 224.0, 0, None),
    ("353861053849681", datetime(2014, 6, 4, 9, 10, 11, tzinfo=UTC), 49.60688, 6.15788, 384.7, 0, None),
    ("123456", AT, 60.0, 30.0, 0, 0, 0),
    ("123456", AT, 60.0, 30.0, None, None, None),
    ("123456", NOW, 60.0, 30.0, 0, 0, 0),
    ("861001000719969", NOW, 41.666667, -0.883333, 350.059479, 0, None),
    ("123456", AT, 60.0, 30.0, None, None, None),
    ("123456789012345", datetime(2017, 9, 7, 5, 56, 50, tzinfo=UTC), 40.7232948571, -74.0061408571, None,
     20.57776, 7.19889788244),
]  # fmt: skip


def test_every_captured_query(data: Path) -> None:
    lines = (data / "osmand/osmand_query.txt").read_text().splitlines()
    queries = [line for line in lines if line.startswith("/?")]
    assert len(queries) == len(QUERIES) == 11
    for query, expected in zip(queries, QUERIES, strict=True):
        if expected is None:
            with pytest.raises(ValueError, match="the device writes no id"):
                decode(query)
            assert osmand.device_of(query.encode()) == ""
            continue
        device, at, lat, lon, altitude, speed, course = expected
        decoded = decode(query)
        assert (decoded.device, decoded.problems) == (device, ())
        if lat is None or lon is None:
            [said] = decoded.reports
            assert (said.kind, said.at, decoded.fixes) == ("status", at, ())
            assert said.body["cell"] == ["257,02,16,2224", "257,02,16,2223,-90"]
            continue
        [found] = decoded.fixes
        assert (found.device, found.at) == (device, at)
        assert found.position == Position(lon=lon, lat=lat, altitude_m=altitude)
        assert found.speed_m_s == (None if speed is None else pytest.approx(speed, abs=1e-4))
        assert found.course_deg == course


#: line of osmand_json.jsonl -> device, time, lat, lon, altitude, accuracy, speed m/s, course, battery, mock
JSON = [
    ("48241179", "2025-06-15T13:45:12.862+00:00", 37.4219983, -122.084, 5, 5, 0, None, 100, None),
    ("48241179", "2025-06-15T13:45:12.862+00:00", 37.4219983, -122.084, 5, 5, 0, None, 100, None),
    ("658765", "2025-05-09T04:11:30.579+00:00", 37.785834, -122.406417, 0, 5, None, None, None, True),
    ("8737767034", "2021-07-21T08:06:34.444+00:00", -6.1148096, 106.6837015, 35.7, 3.8, 18.67, 63, 79, None),
]


def test_every_captured_json_body(data: Path) -> None:
    lines = (data / "osmand/osmand_json.jsonl").read_text().splitlines()
    assert len(lines) == len(JSON)
    for line, (device, at, lat, lon, altitude, *rest) in zip(lines, JSON, strict=True):
        assert osmand.device_of(line.encode()) == device
        found = fix(line)
        extra = found.extra or {}
        assert (found.device, found.at) == (device, datetime.fromisoformat(at))
        assert found.position == Position(lon=lon, lat=lat, altitude_m=altitude)
        told = [found.accuracy_m, found.speed_m_s, found.course_deg, extra.get("battery"), extra.get("mock")]
        assert told == rest
        assert extra["activity"] == json.loads(line)["location"]["activity"]
    assert (fix(lines[1]).extra or {})["extras"] == json.loads(lines[1])["location"]["extras"]


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        (f"{QUERY}&speed=-1", "speed_m_s", None),
        (f"{QUERY}&speed=1", "speed_m_s", pytest.approx(0.514444, abs=1e-6)),
        (f"{QUERY}&heading=90&bearing=270", "course_deg", 270),
        (f"{QUERY}&accuracy=12.5&hdop=1.2", "accuracy_m", 12.5),
        (f"{QUERY}&batt=87&charge=true&mock=1&hdop=1.2", "extra",
         {"battery": 87, "charging": True, "mock": True, "hdop": "1.2"}),
        (f"{QUERY}&mock=false", "extra", {"mock": False}),
        ("deviceid=a&lat=1&lon=2&timestamp=1377177267000", "at", AT),
        ("deviceid=a&lat=1&lon=2&timestamp=2013-08-22T15:14:27%2B02:00", "at", AT),
        ("deviceid=a&lat=1&lon=2&timestamp=2013-08-22 13:14:27", "at", AT),
        ("deviceid=a&lat=1&lon=2&timestamp=", "at", NOW),
        ("id=马&lat=1&lon=2", "device", "马"),
    ],
)  # fmt: skip
def test_words_of_a_query(query: str, field: str, expected: object) -> None:
    assert getattr(fix(query), field) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("id=1&lat=x&lon=2", "lat: 'x' is no number"),
        ("id=1&lat=1", "lon is missing"),
        ("id=1&lat=91&lon=2", "latitude 91.0 is outside"),
        ("id=1&lat=1&lat=2&lon=2", "lat: ['1', '2'] is no number"),
        ("id=1&location=1;2", "location: '1;2' is no number"),
        ("id=1&lat=1&lon=2&speed=fast", "speed: 'fast' is no number"),
        ("id=1&lat=1&lon=2&timestamp=soon", "timestamp: 'soon' is no time"),
        ("id=1&lat=1&lon=2&timestamp=1e400", "timestamp: inf is not finite"),
        ("id=1&lat=1&lon=2&note=a%00b", "cannot be stored: the character NUL"),
        ('{"device_id": "1"}', "expected a JSON object, got None"),
        ('{"device_id": "1", "location": {"coords": {"latitude": 1}}}', "longitude is missing"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_device(query: str, reason: str) -> None:
    decoded = decode(query)
    assert (decoded.device, decoded.fixes, decoded.reports) == ("1", (), ())
    assert len(decoded.problems) == 1
    assert reason in decoded.problems[0]


@pytest.mark.parametrize("payload", ["", "lat=1&lon=2", "id=&lat=1&lon=2", "{}", "{", '{"device_id": null}'])
def test_without_an_id_there_is_nobody_to_store_it_for(payload: str) -> None:
    assert osmand.device_of(payload.encode()) == ""
    with pytest.raises(ValueError, match=r"no id|not JSON|Expecting"):
        decode(payload)


def test_a_call_for_help_is_a_report_beside_the_fix() -> None:
    for payload in (f"{QUERY}&alarm=sos", {"device_id": "123456", "alarm": "sos", "location": {
        "timestamp": "2013-08-22T13:14:27Z", "coords": {"latitude": 60, "longitude": 30}}}):  # fmt: skip
        decoded = decode(payload)
        [said], [found] = decoded.reports, decoded.fixes
        assert (said.kind, said.about, said.at, said.position) == ("alarm", "sos", AT, found.position)
        assert said.body["alarm"] == "sos"
    [said] = decode("id=1&alarm=sos").reports[:1]
    assert (said.about, said.position) == ("sos", None), "help is called for without a place, too"


@pytest.mark.parametrize(
    "payload",
    ["id=1&alarm=sos&lat=nan&lon=2", "id=1&alarm=sos&timestamp=soon", '{"device_id": "1", "alarm": "sos"}',
     '{"device_id": "1", "location": {"alarm": "sos", "coords": {"latitude": 91, "longitude": 1}}}'],
)  # fmt: skip
def test_a_call_for_help_is_heard_when_the_rest_cannot_be_read(payload: str) -> None:
    decoded = decode(payload)
    assert len(decoded.problems) == 1
    assert [(said.kind, said.about, said.at) for said in decoded.reports] == [("alarm", "sos", None)]


def test_a_place_that_the_device_itself_does_not_believe_is_no_fix() -> None:
    decoded = decode(f"{QUERY}&valid=false&batt=10")
    assert decoded.fixes == ()
    assert [(said.kind, said.body["batt"]) for said in decoded.reports] == [("status", "10")]
    assert len(decode(f"{QUERY}&valid=true").fixes) == 1
