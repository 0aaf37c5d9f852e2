"""National stations over HTTP: every form that is known, and who may speak for whom."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.codecs import dp_http
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
AT = "2026-08-11T22:10:00.000Z"


def decode(body: object, device: str = "70000001") -> Decoded:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dp_http.decode(f"http/dp/{device}", payload, NOW)


def values(decoded: Decoded) -> dict[str, float | str]:
    assert decoded.problems == ()
    assert {reading.thing for reading in decoded.readings} == {decoded.device}
    return {reading.datastream: reading.result for reading in decoded.readings}


def posted(data: object) -> dict[str, object]:
    return {"deviceId": "70000001", "apikey": "secret", "data": data}


def test_the_published_examples(data: Path) -> None:
    lines = (data / "stations" / "http_examples.jsonl").read_text().replace("{deviceId}", "70000001")
    known = {each["name"]: each for each in map(json.loads, lines.splitlines())}
    assert values(decode(known["datapoints_post"]["body"])) == {"L3_YL_1/value": 23.5}
    old = known["datapoints_post_2019"]["body"]
    old["data"]["70000001"]["103_1"] = "1,2,3,0.1,0.2,0.3"  # X,Y,Z,aX,aY,aZ
    [problem] = decode(old).problems
    assert problem.startswith("103_1: the type codes of 2019 are not public")


def test_sensors_without_a_device_around_them() -> None:
    decoded = decode(posted({"103_1": "1,2", "L1_LF_1": 3}))
    assert [(r.thing, r.datastream, r.result) for r in decoded.readings] == [("70000001", "L1_LF_1/value", 3)]
    assert len(decoded.problems) == 1


def test_times_are_read_as_on_mqtt() -> None:
    decoded = decode(posted({"70000001": {"L1_LF_1": {AT: 4.5, "2026-08-11T23:10:00.000Z": 5}}}))
    assert [(r.result, r.phenomenon_time, r.unit) for r in decoded.readings] == [
        (4.5, datetime(2026, 8, 11, 22, 10, tzinfo=UTC), "mm"),
        (5.0, datetime(2026, 8, 11, 23, 10, tzinfo=UTC), "mm"),
    ]


def test_datastreams_with_their_points() -> None:
    points = [{"at": AT, "value": "1.5"}, {"at": "2026-08-11T23:10:00.000Z", "value": {"value": 2}}]
    decoded = decode({"datastreams": [{"id": "L3_YL_1", "datapoints": points}]})
    assert [(r.datastream, r.result) for r in decoded.readings] == [
        ("L3_YL_1/value", 1.5), ("L3_YL_1/value", 2.0),
    ]  # fmt: skip


def test_raw_observations_are_a_file() -> None:
    raw = b"\xd3\x00\x13" + bytes(22)
    decoded = decode(raw)
    assert decoded.problems == ()
    [file] = decoded.files
    assert (file.thing, file.name, file.data, file.at) == ("70000001", "gpsInitial", raw, None)


def test_the_apikey_of_the_header_or_of_the_body() -> None:
    secret = hashlib.sha256(b"secret").hexdigest()
    assert decode(posted({"L1_LF_1": 1})).key_sha256 == secret
    assert decode({"data": {"L1_LF_1": 1}}).key_sha256 == ""
    assert decode({"data": {"L1_LF_1": 1}}, "70000001/abc").key_sha256 == "abc"
    assert decode(b"\xd3" + bytes(9), "70000001/abc").key_sha256 == "abc"


def test_a_device_speaks_for_itself_only() -> None:
    decoded = decode(posted({"70000001": {"L1_LF_1": 1}, "70000002": {"L1_LF_1": 2}}))
    assert [(r.thing, r.result) for r in decoded.readings] == [("70000001", 1.0)]
    assert decoded.problems == ("'70000001' may not speak for '70000002'",)
    assert decode(posted({"70000002": {"L1_LF_1": 2}}), "-").device == "-"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "expected a JSON object, got list"),
        ({"deviceId": "1"}, "expected a JSON object, got None"),
        (posted({}), "no device around the sensors"),
        ({"datastreams": 1}, "datastreams: 1 is no list"),
        ({"datastreams": [{"id": "L1_LF_1", "datapoints": [{"value": 1}]}]}, "at is missing"),
        (
            {"datastreams": [{"id": "L1_LF_1", "datapoints": [{"at": AT, "value": 1}] * 2}]},
            "'L1_LF_1': two values at '2026-08-11T22:10:00.000Z'",
        ),
    ],
)
def test_what_is_refused(body: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(body)
