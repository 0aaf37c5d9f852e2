"""The platform's own messages: observations, patrols, tracks, leads and answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from domain.geo import Position
from domain.lead import Evidence, Lead
from domain.patrol import Patrol, TrackPoint
from domain.wire import up_topic
from ingest import codecs
from ingest.decoded import Answer, Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
ID = UUID("0198a000-0000-7000-8000-000000000001")
OTHER = UUID("0198a000-0000-7000-8000-000000000002")
AT = datetime(2026, 8, 11, 14, 30, tzinfo=timezone(timedelta(hours=8)))
WRITTEN = "2026-08-11T14:30:00+08:00"


def decode(kind: str, message: object) -> Decoded:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return codecs.read(up_topic("dev-7", kind), payload, NOW)


def results(decoded: Decoded) -> list[tuple[object, ...]]:
    assert {r.thing for r in decoded.readings} <= {"dev-7"}
    return [(r.datastream, r.phenomenon_time, r.result, r.unit) for r in decoded.readings]


def test_one_observation() -> None:
    decoded = decode(
        "observation", {"datastream": "crack", "phenomenon_time": WRITTEN, "result": 3, "unit": "mm"}
    )
    assert results(decoded) == [("crack", AT, 3.0, "mm")]
    assert (decoded.device, decoded.id, decoded.unit_told, decoded.problems) == ("dev-7", None, True, ())


def test_many_observations_with_and_without_a_time() -> None:
    many = [
        {"datastream": "a", "result": 1.5},
        {"datastream": "b", "phenomenon_time": WRITTEN, "result": "shut"},
    ]
    decoded = decode("observation", {"id": str(ID), "observations": many})
    assert results(decoded) == [("a", None, 1.5, None), ("b", AT, "shut", None)]
    assert (decoded.id, decoded.problems) == (str(ID), ())


def test_the_thing_is_the_device_of_the_topic_whatever_the_payload_says() -> None:
    decoded = decode("observation", {"thing": "dev-8", "device": "dev-8", "datastream": "a", "result": 1})
    assert [r.thing for r in decoded.readings] == ["dev-7"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"result": None}, "result is missing"),
        ({"result": True}, "result: True is no number"),
        ({"result": [1]}, "result: [1] is no number"),
        ({"result": "1.5"}, "result: '1.5' is a text: write the number without quotes"),
        ({"result": float("nan")}, "result: nan is not finite"),
        ({"result": 10**400}, "is not finite"),
        ({"datastream": 7}, "datastream: 7 is no text"),
        ({"phenomenon_time": "2026-08-11T14:30:00"}, "has no UTC offset"),
        ({"phenomenon_time": "yesterday"}, "phenomenon_time: 'yesterday' is no time"),
        ({"phenomenon_time": 1786000000}, "phenomenon_time: 1786000000 is no text"),
        ({"unit": 5}, "unit: 5 is no text"),
    ],
)
def test_an_observation_that_cannot_be_read_leaves_the_others(change: dict[str, Any], reason: str) -> None:
    good: dict[str, Any] = {"datastream": "a", "result": 1.5}
    decoded = decode("observation", {"observations": [good, {**good, **change}, 5]})
    assert len(decoded.readings) == 1
    assert [p.partition(":")[0] for p in decoded.problems] == ["observations[1]", "observations[2]"]
    assert reason in decoded.problems[0]
    assert reason in decode("observation", {**good, **change}).problems[0]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff\xfe", b"5", b"[" * 100_000])
@pytest.mark.parametrize("kind", ["observation", "patrol", "track", "lead", "status"])
def test_what_is_no_json_object(kind: str, payload: bytes) -> None:
    decoded = decode(kind, payload)
    assert decoded == Decoded(device="dev-7", problems=decoded.problems)
    assert len(decoded.problems) == 1


PATROL = {"id": str(ID), "inspector": "马某", "started_at": WRITTEN}
TRACK: dict[str, Any] = {"id": str(ID), "points": [{"at": WRITTEN, "lon": 106.2, "lat": 35.9}]}
PHOTO = {
    "id": str(OTHER),
    "sha256": "ab" * 32,
    "media_type": "image/jpeg",
    "size": 70_000,
    "captured_at": WRITTEN,
}
LEAD = {"id": str(ID), "kind": "dumping", "lon": 106.2, "lat": 35.9, "seen_at": WRITTEN, "note": "渣土"}
STATUS = {"id": str(ID), "subject": str(OTHER), "state": "en_route", "at": WRITTEN}
SAMPLES: dict[str, dict[str, Any]] = {"patrol": PATROL, "track": TRACK, "lead": LEAD, "status": STATUS}


def test_a_patrol_begins_and_ends() -> None:
    begun = Patrol(id=ID, device="dev-7", inspector="马某", started_at=AT)
    assert decode("patrol", PATROL) == Decoded(device="dev-7", id=str(ID), patrols=(begun,))
    ended = decode("patrol", {**PATROL, "ended_at": "2026-08-11T17:30:00+08:00"}).patrols[0]
    assert ended.ended_at == AT + timedelta(hours=3)
    assert decode("patrol", {**PATROL, "ended_at": "2026-08-11T14:00:00+08:00"}).problems == (
        "the patrol ends before it starts",)  # fmt: skip


def test_a_track_keeps_its_good_points() -> None:
    full = {"at": WRITTEN, "lon": 106.2, "lat": 35.9, "altitude_m": 1800.5}
    full |= {"accuracy_m": 4, "speed_m_s": 1.25, "course_deg": 359}
    bad = [{**full, "lat": 95}, {**full, "at": None}, {**full, "speed_m_s": "fast"}, "x"]
    decoded = decode("track", {"id": str(ID), "points": [*bad, full]})
    place = Position(lon=106.2, lat=35.9, altitude_m=1800.5)
    fix = TrackPoint(device="dev-7", at=AT, position=place, accuracy_m=4, speed_m_s=1.25, course_deg=359)
    assert decoded.fixes == (fix,)
    assert decoded.problems == (
        "points[0]: latitude 95.0 is outside -90..90",
        "points[1]: at is missing",
        "points[2]: speed_m_s: 'fast' is no number",
        "points[3]: expected a JSON object, got 'x'",
    )
    assert decode("track", {"id": str(ID)}).problems == ("points is missing",)


def test_a_lead_with_its_evidence() -> None:
    decoded = decode("lead", {**LEAD, "evidence": [PHOTO, {**PHOTO, "lon": 106.3, "lat": 36}]})
    photo = Evidence(id=OTHER, sha256="ab" * 32, media_type="image/jpeg", size=70_000, captured_at=AT)
    placed = Evidence(id=OTHER, sha256="ab" * 32, media_type="image/jpeg", size=70_000, captured_at=AT,
                      position=Position(lon=106.3, lat=36))  # fmt: skip
    lead = Lead(id=ID, device="dev-7", kind="dumping", position=Position(lon=106.2, lat=35.9), seen_at=AT,
                note="渣土", evidence=(photo, placed))  # fmt: skip
    assert decoded == Decoded(device="dev-7", id=str(ID), leads=(lead,))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sha256": "AB" * 32}, "sha256 must be 64 lower-case hex digits"),
        ({"size": -1}, "size: -1 is no number of bytes"),
        ({"size": 1.5}, "size: 1.5 is no number of bytes"),
        ({"size": 1 << 63}, "is no number of bytes"),
        ({"lon": 106}, "lat is missing"),
        ({"id": "x"}, "id: 'x' is no UUID"),
    ],
)
def test_a_lead_stays_when_its_evidence_cannot_be_read(change: dict[str, Any], reason: str) -> None:
    decoded = decode("lead", {**LEAD, "evidence": [{**PHOTO, **change}, PHOTO]})
    assert [len(lead.evidence) for lead in decoded.leads] == [1]
    assert decoded.problems[0].startswith("evidence[0]: ")
    assert reason in decoded.problems[0]


@pytest.mark.parametrize(
    "state", ["accepted", "declined", "en_route", "on_scene", "done", "received", "acting"]
)
def test_answers(state: str) -> None:
    answer = Answer(id=ID, device="dev-7", subject=OTHER, state=state, at=AT)
    assert decode("status", {**STATUS, "state": state}) == Decoded(
        device="dev-7", id=str(ID), answers=(answer,))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("status", {"state": "ordered"}, "state 'ordered' is none of accepted, "),
        ("status", {"subject": "alert-1"}, "subject: 'alert-1' is no UUID"),
        ("lead", {"kind": "ufo"}, "kind of lead 'ufo' is none of"),
        ("lead", {"lon": 181}, "longitude 181.0 is outside"),
        ("lead", {"note": 5}, "note: 5 is no text"),
        ("lead", {"evidence": {}}, "evidence: {} is no list"),
        ("patrol", {"inspector": None}, "inspector is missing"),
        ("patrol", {"started_at": "2026-08-11 14:30"}, "has no UTC offset"),
    ],
)
def test_what_is_wrong_is_told_under_the_id_of_the_message(
    kind: str, change: dict[str, Any], reason: str
) -> None:
    decoded = decode(kind, {**SAMPLES[kind], **change})
    assert decoded == Decoded(device="dev-7", id=str(ID), problems=decoded.problems)
    assert reason in decoded.problems[0]


@pytest.mark.parametrize(
    ("name", "told"),
    [("short", "short"), ("x" * 101, None), ("a\0b", None), ("\ud800", None), (7, None), ("", None)],
)
def test_only_an_id_that_can_be_told_back_is(name: object, told: str | None) -> None:
    assert decode("patrol", {**PATROL, "id": name}).id == told


def test_unknown_keys_are_ignored() -> None:
    for kind, sample in SAMPLES.items():
        assert decode(kind, {**sample, "later": {"version": 9}}) == decode(kind, sample)


def test_a_device_of_endless_name_is_refused() -> None:
    payload = json.dumps({**PATROL}).encode()
    decoded = codecs.read(up_topic("d" * 201, "patrol"), payload, NOW)
    assert decoded.problems == ("the name of the device has 201 characters, more than 200",)
