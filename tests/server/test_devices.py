"""Devices that nobody registered: seen with what they say by who sees all, and claimed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from server.unclaimed import main

#: what ingest writes of two payloads of a station, the newer one last, and one of a phone far away
SAID = [
    ("2026-08-12T03:00Z", "$dp", b"one", "st-new", {"kind": "station", "datastreams": [
        {"name": "L3_YL_1/value", "unit": "mm", "result": 0.5}], "lon": 106.28, "lat": 36.0}),
    ("2026-08-12T03:10Z", "$dp", b"two", "st-new", {"kind": "station", "datastreams": [
        {"name": "L1_LF_1/value", "unit": "mm", "result": 12.5},
        {"name": "L3_YL_1/value", "unit": "mm", "result": 1.5}]}),
    ("2026-08-12T02:00Z", "owntracks/a/b", b"fix", "a/b", {"kind": "phone", "datastreams": [],
                                                          "lon": 105.19, "lat": 37.51}),
]  # fmt: skip


@pytest.fixture
def waiting(database_url: str, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of a server with three payloads of two unknown devices in quarantine."""
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    monkeypatch.setenv("LIUPAN_REGION", "64")
    with psycopg.connect(database_url, autocommit=True) as conn:
        for at, topic, payload, device, contents in SAID:
            conn.execute(
                "INSERT INTO rejected"
                " (topic, payload, sha256, reason, device, unregistered, first_at, last_at)"
                " VALUES (%s, %s, sha256(%s), 'nobody', %s, %s, %s, %s)",
                (topic, payload, payload, device, json.dumps({device: contents}), at, at),
            )
    return client


CLAIM = {"name": "新站", "site": "site-A"}


def test_what_unknown_devices_say(waiting: TestClient) -> None:
    station, phone = waiting.get("/devices/unclaimed").json()
    assert station == {
        "device": "st-new", "topic": "$dp", "payload": b"two".hex(), "reason": "nobody", "kind": "station",
        "first_at": "2026-08-12T03:00:00Z", "last_at": "2026-08-12T03:10:00Z", "times": 2,
        "datastreams": [{"name": "L3_YL_1/value", "unit": "mm", "result": 1.5},
                        {"name": "L1_LF_1/value", "unit": "mm", "result": 12.5}],
        "lon": 106.28, "lat": 36.0, "region": "640402",
    }  # fmt: skip
    assert (phone["device"], phone["kind"], phone["region"]) == ("a/b", "phone", "640502")


def test_who_sees_a_part_sees_none_and_claims_none(waiting: TestClient) -> None:
    part = {"X-Liupan-Region": "6404"}
    assert waiting.get("/devices/unclaimed", headers=part).json() == []
    assert waiting.post("/devices/unclaimed/st-new/claim", json=CLAIM, headers=part).status_code == 403
    viewer = {"X-Liupan-Role": "viewer"}
    assert waiting.post("/devices/unclaimed/st-new/claim", json=CLAIM, headers=viewer).status_code == 403
    assert waiting.get("/things/st-new").status_code == 404


def test_a_claim_registers_it_with_what_was_read(waiting: TestClient, database_url: str) -> None:
    answer = waiting.post("/devices/unclaimed/st-new/claim", json=CLAIM | {"time_zone": "Asia/Shanghai"})
    assert answer.json() == {"device": "st-new", "region": "640402", "notes": []}
    thing = waiting.get("/things/st-new").json()
    assert (thing["name"], thing["site"], thing["region"], thing["kind"], thing["time_zone"]) == (
        "新站", "site-A", "640402", "station", "Asia/Shanghai")  # fmt: skip
    assert [(d["name"], d["unit"]) for d in thing["datastreams"]] == [
        ("L1_LF_1/value", "mm"), ("L3_YL_1/value", "mm")]  # fmt: skip
    assert [device["device"] for device in waiting.get("/devices/unclaimed").json()] == ["a/b"]
    with psycopg.connect(database_url) as conn:
        events = conn.execute("SELECT consumer, subject, region FROM event WHERE kind = 'claimed'").fetchall()
    assert events == [("replay", "st-new", "640402")]


def test_what_is_said_of_it_may_differ_from_what_was_read(waiting: TestClient) -> None:
    streams = [{"name": "L3_YL_1/value", "observed_property": "rainfall", "unit": "mm", "valid_max": 300}]
    said = {"name": "队", "kind": "station", "region": "640502", "mode": "test", "datastreams": streams}
    assert waiting.post("/devices/unclaimed/a/b/claim", json=said).json()["notes"] == []
    thing = waiting.get("/things/a/b").json()
    assert (thing["kind"], thing["mode"], thing["site"]) == ("station", "test", None)
    assert [d["observed_property"] for d in thing["datastreams"]] == ["rainfall"]


@pytest.mark.parametrize(("region", "doubt"), [("640502", True), ("640400", False), ("640000", False)])
def test_another_region_than_its_fix_is_told(waiting: TestClient, region: str, doubt: bool) -> None:
    answer = waiting.post("/devices/unclaimed/st-new/claim", json={"name": "新站", "region": region}).json()
    assert answer["region"] == region
    notes = [f"its place 36.00000, 106.28000 lies in 640402, it is claimed under {region}"] if doubt else []
    assert [note.partition(":")[0] for note in answer["notes"]] == notes


@pytest.mark.parametrize(
    ("device", "said", "status", "told"),
    [
        ("nobody", CLAIM, 404, "no payload of a device 'nobody' waits to be claimed"),
        ("thing/A-A", CLAIM, 409, "thing/A-A is registered already, in 640402"),
        ("st-new", {"name": "x"}, 422, "region: is missing, and does not follow"),
        ("st-new", {"name": "x", "region": "620102"}, 422, "lies outside of this installation's 64"),
        ("st-new", {"name": "x", "site": "nowhere"}, 422, "'nowhere' is no site"),
        ("st-new", CLAIM | {"mode": "test"}, 422, "test data must not feed the actual site site-A"),
        ("st-new", CLAIM | {"kind": "toaster"}, 422, "kind: Input should be 'station' or 'phone'"),
        ("st-new", CLAIM | {"colour": "red"}, 422, "Extra inputs are not permitted"),
    ],
)
def test_a_claim_that_cannot_be(
    waiting: TestClient, device: str, said: dict[str, Any], status: int, told: str
) -> None:
    answer = waiting.post(f"/devices/unclaimed/{device}/claim", json=said)
    assert answer.status_code == status
    assert told in answer.text
    assert len(waiting.get("/devices/unclaimed").json()) == 2, "something was written"


def test_the_command_lists_and_claims(waiting: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "st-new  2026-08-12 03:10:00+0000  2x  $dp  station  36.00000, 106.28000 (640402)"
        "  L3_YL_1/value 1.5 mm, L1_LF_1/value 12.5 mm"
    )
    assert second.endswith("phone  37.51000, 105.19000 (640502)  nobody")
    assert main(["list", "--json"]) == 0
    assert [json.loads(line)["device"] for line in capsys.readouterr().out.splitlines()] == ["st-new", "a/b"]
    assert main(["claim", "a/b", "--name", "一队"]) == 1
    assert "things[0].region: is missing" in capsys.readouterr().err
    assert main(["claim", "a/b", "--name", "一队", "--region", "640402", "--time-zone", "UTC"]) == 0
    registered, note = capsys.readouterr().out.splitlines()
    assert registered == "a/b is registered in 640402"
    assert "lies in 640502, it is claimed under 640402" in note
    assert main(["claim", "a/b", "--name", "一队", "--region", "640402"]) == 1
    assert "is registered already" in capsys.readouterr().err
    assert main(["claim", "st-new", "--name", "站", "--site", "site-A", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"device": "st-new", "region": "640402", "notes": []}


def test_of_several_claims_at_once_one_counts(waiting: TestClient) -> None:
    def claim(number: int) -> int:
        said = CLAIM | {"name": f"站{number}"}
        return waiting.post("/devices/unclaimed/st-new/claim", json=said).status_code

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(claim, range(4))) == [200, 409, 409, 409]
