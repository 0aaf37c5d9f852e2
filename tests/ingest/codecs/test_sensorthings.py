"""Observations of SensorThings: what counts, what is read over, and what is refused with which words.

The bodies have the forms of the examples in OGC 18-088: creating an Observation, and data arrays.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ingest.codecs import sensorthings
from ingest.codecs.sensorthings import decode
from ingest.decoded import Numbered

NOW = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
OF_7 = "v1.1/Datastreams(7)/Observations"


def read(message: Any, topic: str = "v1.1/Observations") -> list[tuple[int, datetime | None, float | str]]:
    decoded = decode(topic, json.dumps(message).encode(), NOW)
    assert decoded.problems == ()
    return [(each.datastream, each.phenomenon_time, each.result) for each in decoded.numbered]


def refusal(message: Any, topic: str = OF_7) -> str:
    with pytest.raises(ValueError) as error:
        decode(topic, json.dumps(message).encode(), NOW)
    return str(error.value)


def test_an_observation_in_the_form_of_the_standard_example() -> None:
    message = {
        "phenomenonTime": "2017-02-07T18:02:00.000Z",
        "resultTime": "2017-02-07T18:02:05.000Z",
        "result": 21.6,
        "Datastream": {"@iot.id": 8},
        "FeatureOfInterest": {"@iot.id": 3},
    }
    assert read(message) == [(8, datetime(2017, 2, 7, 18, 2, tzinfo=UTC), 21.6)]


def test_data_arrays_in_the_form_of_the_standard_example() -> None:
    """Two datastreams; the second has no feature of interest in its rows."""
    message = [
        {
            "Datastream": {"@iot.id": 1},
            "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
            "dataArray@iot.count": 2,
            "dataArray": [["2010-12-23T10:20:00-0700", 20, 1], ["2010-12-23T10:21:00-0700", 30, 1]],
        },
        {
            "Datastream": {"@iot.id": 2},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": 2,
            "dataArray": [["2010-12-23T10:20:00-0700", 65], ["2010-12-23T10:21:00-0700", 60]],
        },
    ]
    at = datetime(2010, 12, 23, 17, 20, tzinfo=UTC)
    later = at + timedelta(minutes=1)
    assert read(message) == [(1, at, 20), (1, later, 30), (2, at, 65), (2, later, 60)]
    assert read(message[0], "http/sta/CreateObservations") == [(1, at, 20), (1, later, 30)]


@pytest.mark.parametrize(
    "topic", [OF_7, "http/sta/Datastreams(7)/Observations", "v1.1/Observations", "http/sta/Observations"]
)
def test_topic_or_body_or_both_name_the_datastream(topic: str) -> None:
    named = {"result": 1.5, "Datastream": {"@iot.id": 7}}
    assert read(named, topic) == [(7, None, 1.5)]
    if "Datastreams" in topic:
        assert read({"result": 1.5}, topic) == [(7, None, 1.5)]
    linked = {"result": 1.5, "Datastream": {"@iot.selfLink": "http://h/v1.1/Datastreams(7)"}}
    assert read(linked, topic) == [(7, None, 1.5)]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (None, None),
        ("2026-08-12T02:50:00Z", AT),
        ("2026-08-12T10:50:00.000+08:00", AT),
        ("2026-08-12T02:50:00.123456Z", AT + timedelta(microseconds=123456)),
        ("2026-08-12T01:50:00Z/2026-08-12T02:50:00Z", AT),
        ("2026-08-12T09:50:00+08:00/2026-08-12T02:50:00Z", AT),
        ("2026-08-12T02:50:00Z/2026-08-12T02:50:00Z", AT),
    ],
)
def test_an_instant_or_the_end_of_an_interval(time: str | None, expected: datetime | None) -> None:
    assert read({"result": 1, "phenomenonTime": time}, OF_7) == [(7, expected, 1)]


def test_the_offset_stays_as_written() -> None:
    """A thing that writes Beijing time behind a Z is known by that later on."""
    ((_, at, _),) = read({"result": 1, "phenomenonTime": "2026-08-12T10:50:00+08:00"}, OF_7)
    assert at is not None
    assert at.tzinfo == timezone(timedelta(hours=8))


def test_what_we_keep_no_place_for_is_no_reason_to_refuse() -> None:
    message = {
        "result": -4,
        "resultTime": "yesterday",
        "resultQuality": {"nameOfMeasure": "DQ_Status"},
        "validTime": None,
        "parameters": {"battery": 12.1},
        "FeatureOfInterest": {"name": "slope", "feature": {"type": "Point", "coordinates": [106, 36]}},
    }
    assert read(message, OF_7) == [(7, None, -4)]


def test_a_text_is_a_state() -> None:
    assert read({"result": "open"}, OF_7) == [(7, None, "open")]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, "result is missing"),
        ({"result": None}, "result is missing"),
        ({"result": True}, "result: True is no number"),
        ({"result": [1]}, "result: [1] is no number"),
        ({"result": float("nan")}, "result: nan is not finite"),
        ({"result": " 1.5 "}, "result: ' 1.5 ' is a text: write the number without quotes"),
        ({"result": 1, "phenomenonTime": 5}, "phenomenonTime: 5 is no text"),
        ({"result": 1, "phenomenonTime": "2026-08-12T02:50:00"}, "has no UTC offset"),
        ({"result": 1, "phenomenonTime": "2026-08-12T02:50:00Z/PT1H"}, "'PT1H' is no time"),
        (
            {"result": 1, "phenomenonTime": "2026-08-12T02:50:00Z/2026-08-12T01:50:00Z"},
            "the interval 2026-08-12T02:50:00Z/'2026-08-12T01:50:00Z' ends before it begins",
        ),
        ({"result": 1, "Datastream": {"@iot.id": 8}}, "the body says 8, the topic Datastreams(7)"),
        ({"result": 1, "Datastream": {"@iot.id": "7"}}, "names no registered one"),
        ({"result": 1, "Datastream": {"@iot.id": True}}, "names no registered one"),
        ({"result": 1, "Datastream": {"name": "new", "Sensor": {}}}, "names no registered one"),
        ({"result": 1, "Datastream": 7}, "expected a JSON object, got 7"),
        ({"result": [1, 2], "MultiDatastream": {"@iot.id": 7}}, "MultiDatastream: there are none here"),
        ("text", "expected a JSON object, got 'text'"),
    ],
)
def test_what_cannot_be_meant_says_why(message: Any, reason: str) -> None:
    assert reason in refusal(message)


@pytest.mark.parametrize(
    "topic", ["v1.1/Observations", "v1.1/Things(7)/Observations", "http/sta/Observations"]
)
def test_somebody_must_name_the_datastream(topic: str) -> None:
    assert refusal({"result": 1}, topic).startswith("Datastream is missing: ")


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 20_000])
def test_no_json(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not JSON: "):
        decode(OF_7, payload, NOW)


def test_a_part_that_cannot_be_read_is_told_by_its_place_beside_the_others() -> None:
    message = [
        {"result": 1},
        {"result": []},
        {"components": ["result", "resultTime"], "dataArray": [[2, None], [3], "x", [4, None]]},
        {"components": ["phenomenonTime"], "dataArray": [["2026-08-12T02:50:00Z"]]},
        {"components": ["result"], "dataArray": {}},
        5,
    ]
    decoded = decode(OF_7, json.dumps(message).encode(), NOW)
    assert [each.result for each in decoded.numbered] == [1, 2, 4]
    assert decoded.problems == (
        "[1]: result: [] is no number",
        "[2]dataArray[1]: [3] is no list of 2 values",
        "[2]dataArray[2]: 'x' is no list of 2 values",
        "[3]: components: ['phenomenonTime'] is no list of names with result among them",
        "[4]: dataArray: {} is no list",
        "[5]: expected a JSON object, got 5",
    )


def test_results_stand_in_the_order_of_the_payload() -> None:
    message = {"components": ["result"], "dataArray": [[1], [None], ["on"]]}
    assert list(sensorthings.results(OF_7, message)) == [
        Numbered(datastream=7, phenomenon_time=None, result=1),
        "dataArray[1]: result is missing",
        Numbered(datastream=7, phenomenon_time=None, result="on"),
    ]
