"""What phones say: into its tables once, with one event, and refused when a key comes with other contents."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from domain.wire import up_topic
from ingest.store import Outcome

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
STORED = Outcome(kept=True, reason="")
ID, OTHER = (UUID(f"0198a000-0000-7000-8000-{number:012}") for number in (1, 2))

Put = Callable[..., list[Outcome]]

PATROL = {"id": str(ID), "inspector": "马某", "started_at": AT.isoformat()}
PHOTO = {"id": str(OTHER), "sha256": "ab" * 32, "media_type": "image/jpeg", "size": 70_000,
         "captured_at": AT.isoformat()}  # fmt: skip
LEAD = {
    "id": str(ID),
    "kind": "dumping",
    "lon": 106.2,
    "lat": 35.9,
    "seen_at": AT.isoformat(),
    "note": "渣土",
}
STATUS = {"id": str(ID), "subject": str(OTHER), "state": "en_route", "at": AT.isoformat()}


def say(device: str, kind: str, message: object) -> tuple[str, bytes]:
    return up_topic(device, kind), json.dumps(message).encode()


def point(minutes: int, lon: float = 106.2, **more: object) -> dict[str, object]:
    return {"at": (AT + timedelta(minutes=minutes)).isoformat(), "lon": lon, "lat": 35.9, **more}


def events(conn: Connection[Any], kind: str) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT subject, region, body FROM event WHERE kind = %s AND consumer = 'live' ORDER BY id", (kind,)
    ).fetchall()


def count(conn: Connection[Any], table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def test_fixes_are_stored_once_and_told_per_device(enrolled: Connection[Any], put: Put) -> None:
    full = point(2, altitude_m=1800.5, accuracy_m=4.5, speed_m_s=1.25, course_deg=270)
    track = say("ph-1", "track", {"id": str(ID), "points": [full, point(0), point(1), point(1, 106.3)]})
    location = {"_type": "location", "lat": 35.5, "lon": 106.5, "tst": AT.timestamp()}
    assert put(track, ("owntracks/mei/ph-3", json.dumps(location).encode())) == [STORED] * 2
    assert put(track, say("ph-1", "track", {"points": [point(1), point(-5)]})) == [STORED] * 2
    assert put(track) == [STORED]
    rows = enrolled.execute(
        "SELECT device, at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg, region, received_at"
        " FROM track_point ORDER BY device, at, lon"
    ).fetchall()
    none = (None,) * 4
    expected = [
        ("mei/ph-3", AT, 106.5, 35.5, *none),
        ("ph-1", AT - timedelta(minutes=5), 106.2, 35.9, *none),
        ("ph-1", AT, 106.2, 35.9, *none),
        ("ph-1", AT + timedelta(minutes=1), 106.2, 35.9, *none),
        ("ph-1", AT + timedelta(minutes=1), 106.3, 35.9, *none),
        ("ph-1", AT + timedelta(minutes=2), 106.2, 35.9, 1800.5, 4.5, 1.25, 270),
    ]
    assert rows == [(*row, "640402", RECEIVED) for row in expected]
    told = [
        (subject, region, body["points"], body["last"]["lon"])
        for subject, region, body in events(enrolled, "tracked")
    ]
    assert sorted(told[:2]) == [("mei/ph-3", "640402", 1, 106.5), ("ph-1", "640402", 4, 106.2)]
    assert told[2:] == [("ph-1", "640402", 1, 106.2)]
    last = events(enrolled, "tracked")[2][2]["last"]
    assert datetime.fromisoformat(last["at"]) == AT - timedelta(minutes=5)


def test_one_fix_out_of_its_time_leaves_the_others(enrolled: Connection[Any], put: Put) -> None:
    points = [
        point(0),
        {**point(0), "at": "1970-01-01T00:00:00Z"},
        {**point(0), "at": "2027-01-01T00:00:00Z"},
    ]
    [outcome] = put(say("ph-1", "track", {"id": str(ID), "points": points}))
    assert outcome.kept
    assert outcome.reason.count("device clock: ") == 2
    assert (count(enrolled, "track_point"), count(enrolled, "rejected")) == (1, 1)


def test_a_patrol_begins_goes_on_and_ends(enrolled: Connection[Any], put: Put) -> None:
    end = (AT + timedelta(hours=2)).isoformat()
    begun, ended = say("ph-1", "patrol", PATROL), say("ph-1", "patrol", {**PATROL, "ended_at": end})
    for message in (begun, begun, ended, begun, ended):
        assert put(message) == [STORED]
    rows = enrolled.execute(
        "SELECT id, device, inspector, started_at, ended_at, region FROM patrol"
    ).fetchall()
    assert rows == [(ID, "ph-1", "马某", AT, AT + timedelta(hours=2), "640402")]
    bodies = [body for subject, _, body in events(enrolled, "patrolled") if subject == str(ID)]
    assert [body.get("ended_at") for body in bodies] == [None, end]
    assert {(body["device"], body["inspector"], body["mode"]) for body in bodies} == {
        ("ph-1", "马某", "exercise")
    }


def test_the_end_of_a_patrol_may_come_before_its_begin(enrolled: Connection[Any], put: Put) -> None:
    end = (AT + timedelta(hours=2)).isoformat()
    messages = say("ph-1", "patrol", {**PATROL, "ended_at": end}), say("ph-1", "patrol", PATROL)
    assert put(*messages) == [STORED] * 2
    assert enrolled.execute("SELECT ended_at FROM patrol").fetchall() == [(AT + timedelta(hours=2),)]
    assert len(events(enrolled, "patrolled")) == 1


def test_a_lead_is_stored_once_with_its_evidence(enrolled: Connection[Any], put: Put) -> None:
    placed = {**PHOTO, "id": str(ID), "lon": 106.25, "lat": 35.95}
    lead, more = (
        say("ph-1", "lead", {**LEAD, "evidence": [PHOTO]}),
        say("ph-1", "lead", {**LEAD, "evidence": [placed]}),
    )
    assert put(lead, lead) + put(lead) + put(more) == [STORED] * 4
    assert enrolled.execute(
        "SELECT id, device, kind, lon, lat, seen_at, note, region, mode, received_at FROM lead"
    ).fetchall() == [(ID, "ph-1", "dumping", 106.2, 35.9, AT, "渣土", "640402", "exercise", RECEIVED)]
    assert enrolled.execute(
        "SELECT id, lead, sha256, media_type, size, captured_at, lon, lat FROM evidence ORDER BY id"
    ).fetchall() == [
        (ID, ID, "ab" * 32, "image/jpeg", 70_000, AT, 106.25, 35.95),
        (OTHER, ID, "ab" * 32, "image/jpeg", 70_000, AT, None, None),
    ]
    body = {"kind": "dumping", "device": "ph-1", "mode": "exercise", "lon": 106.2, "lat": 35.9}
    assert events(enrolled, "reported") == [(str(ID), "640402", body)]
    row = enrolled.execute(
        "SELECT count(*) FROM event WHERE kind = 'reported' AND consumer = 'triage'"
    ).fetchone()
    assert row == (1,)


def test_an_answer_is_stored_once(enrolled: Connection[Any], put: Put) -> None:
    status = say("ph-1", "status", STATUS)
    assert put(status, status) + put(status) == [STORED] * 3
    assert enrolled.execute("SELECT id, device, subject, state, at, received_at FROM answer").fetchall() == [
        (ID, "ph-1", str(OTHER), "en_route", AT, RECEIVED)]  # fmt: skip
    rows = enrolled.execute(
        "SELECT subject, region, body, consumer FROM event WHERE kind = 'answered'"
    ).fetchall()
    body = {"device": "ph-1", "state": "en_route", "at": AT.isoformat(), "id": str(ID)}
    assert rows == [(str(OTHER), "640402", body, "respond")]


@pytest.mark.parametrize(
    ("kind", "sample", "change"),
    [
        ("patrol", PATROL, {"inspector": "李某"}),
        ("patrol", PATROL, {"started_at": (AT - timedelta(hours=1)).isoformat()}),
        ("lead", LEAD, {"note": "其他"}),
        ("lead", LEAD, {"lat": 35.91}),
        ("status", STATUS, {"state": "done"}),
    ],
)
@pytest.mark.parametrize("device", ["ph-1", "ph-2"])
def test_a_known_id_with_other_contents_is_refused_and_the_first_stays(
    enrolled: Connection[Any],
    put: Put,
    kind: str,
    sample: dict[str, Any],
    change: dict[str, Any],
    device: str,
) -> None:
    table = {"patrol": "patrol", "lead": "lead", "status": "answer"}[kind]
    put(say("ph-1", kind, sample))
    before = enrolled.execute(f"SELECT * FROM {table}").fetchall()
    [outcome] = put(say(device, kind, {**sample, **change}))
    assert outcome == Outcome(
        kept=False, reason=f"{table} {ID} is known with other contents: the first stays"
    )
    assert enrolled.execute(f"SELECT * FROM {table}").fetchall() == before
    assert count(enrolled, "rejected") == 1


def test_a_device_cannot_end_the_patrol_of_another(enrolled: Connection[Any], put: Put) -> None:
    put(say("ph-1", "patrol", PATROL))
    [outcome] = put(say("ph-2", "patrol", {**PATROL, "ended_at": RECEIVED.isoformat()}))
    assert "is known with other contents" in outcome.reason
    assert enrolled.execute("SELECT device, ended_at FROM patrol").fetchall() == [("ph-1", None)]


def test_evidence_belongs_to_the_lead_that_named_it_first(enrolled: Connection[Any], put: Put) -> None:
    put(say("ph-1", "lead", {**LEAD, "evidence": [PHOTO]}))
    second = {**LEAD, "id": str(OTHER), "evidence": [{**PHOTO, "sha256": "cd" * 32}]}
    [outcome] = put(say("ph-1", "lead", second))
    assert outcome.kept, "the lead itself is new"
    assert outcome.reason == f"evidence {OTHER} is known with other contents: the first stays"
    assert enrolled.execute("SELECT lead, sha256 FROM evidence").fetchall() == [(ID, "ab" * 32)]
    assert (count(enrolled, "lead"), count(enrolled, "rejected")) == (2, 1)


@pytest.mark.parametrize(("kind", "sample"), [("patrol", PATROL), ("lead", LEAD), ("status", STATUS),
                                              ("track", {"points": [point(0)]})])  # fmt: skip
def test_a_phone_must_be_registered(enrolled: Connection[Any], put: Put, kind: str, sample: object) -> None:
    [outcome] = put(say("ph-9", kind, sample))
    assert not outcome.kept
    assert outcome.reason.startswith("device 'ph-9' is not registered")
    assert sum(count(enrolled, table) for table in ("patrol", "lead", "answer", "track_point")) == 0


def owntracks(kind: str, tst: float | None = None, **more: object) -> tuple[str, bytes]:
    message = {"_type": kind, **({"tst": tst} if tst else {}), **more}
    return "owntracks/mei/ph-3", json.dumps(message).encode()


ENTERED = owntracks("transition", AT.timestamp(), event="enter", desc="坡脚", lat=35.9, lon=106.2, wtst=1)


def test_what_a_device_reports_is_stored_once_and_told(enrolled: Connection[Any], put: Put) -> None:
    left = owntracks("transition", AT.timestamp(), event="leave", desc="坡脚", lat=35.9, lon=106.2, wtst=1)
    assert put(ENTERED, ENTERED, left) + put(ENTERED) == [STORED] * 4
    assert enrolled.execute(
        "SELECT device, kind, about, at, lon, lat, body ->> 'event', region, mode, received_at"
        " FROM device_report ORDER BY about"
    ).fetchall() == [
        ("mei/ph-3", "transition", f"{event} 坡脚", AT, 106.2, 35.9, event, "640402", "exercise", RECEIVED)
        for event in ("enter", "leave")
    ]
    [(subject, region, body), _] = events(enrolled, "device_reported")
    assert (subject, region) == ("mei/ph-3", "640402")
    at = body.pop("at")
    assert datetime.fromisoformat(at) == AT
    assert body == {
        "kind": "transition",
        "about": "enter 坡脚",
        "mode": "exercise",
        "lon": 106.2,
        "lat": 35.9,
    }


def test_a_report_with_known_key_and_other_contents_is_refused(enrolled: Connection[Any], put: Put) -> None:
    put(ENTERED)
    other = owntracks("transition", AT.timestamp(), event="enter", desc="坡脚", lat=36.9, lon=106.2, wtst=1)
    [outcome] = put(other)
    assert not outcome.kept
    assert outcome.reason.endswith("is known with other contents: the first stays")
    assert (count(enrolled, "device_report"), count(enrolled, "rejected")) == (1, 1)


def test_a_report_without_a_time_is_new_when_it_differs(enrolled: Connection[Any], put: Put) -> None:
    """Cards are retained: they come again with every connection, for ever."""
    card = owntracks("card", name="马某", face="YWJj")
    for minutes, message in ((0, card), (1, card), (2, owntracks("card", name="马某")), (3, card)):
        assert put(message, at=RECEIVED + timedelta(minutes=minutes)) == [STORED]
    rows = enrolled.execute("SELECT at, body ->> 'face' FROM device_report ORDER BY at").fetchall()
    assert rows == [
        (RECEIVED + timedelta(minutes=m), face) for m, face in ((0, "YWJj"), (2, None), (3, "YWJj"))
    ]


def test_what_else_is_said_with_a_fix_is_kept_with_it(enrolled: Connection[Any], put: Put) -> None:
    place = {"lat": 35.9, "lon": 106.2, "vel": 1e-60}
    assert put(owntracks("location", AT.timestamp(), batt=71, conn="w", **place)) == [STORED]
    assert put(say("ph-1", "track", {"points": [point(0)]})) == [STORED]
    rows = enrolled.execute("SELECT device, extra, speed_m_s FROM track_point ORDER BY device").fetchall()
    assert rows == [("mei/ph-3", {"battery": 71, "conn": "w"}, 0), ("ph-1", None, None)]


def test_one_bad_message_of_an_array_leaves_the_others(enrolled: Connection[Any], put: Put) -> None:
    at = AT.timestamp()
    good = {"_type": "location", "lat": 35.9, "lon": 106.2, "tst": at}
    bad: list[dict[str, Any]] = [
        {**good, "tst": 0}, {**good, "tag": "\0"}, {**good, "alt": 1e39}, {"_type": "lwt", "tst": 1000},
        {"_type": "transition", "event": "enter", "tst": at, "desc": "\0"}, {"_type": "x"}, {"_type": "cmd"},
    ]  # fmt: skip
    array = [good, *bad, {**good, "tst": at + 1}, {"_type": "lwt", "tst": at}]
    [outcome] = put(("owntracks/mei/ph-3", json.dumps(array).encode()))
    assert outcome.kept
    assert outcome.reason.count("the clock was never set") == 2
    assert "[2]: it holds what cannot be stored" in outcome.reason
    assert "[3]: altitude_m 1e+39 is nothing" in outcome.reason
    assert (count(enrolled, "track_point"), count(enrolled, "rejected")) == (2, 1)
    rows = enrolled.execute("SELECT kind, at FROM device_report ORDER BY at").fetchall()
    assert rows == [("lwt", AT), ("lwt", RECEIVED)], "what a clock of 1970 reports is of its receipt"


def test_a_lora_node_is_stored_once_however_many_gateways_hear_it(
    enrolled: Connection[Any], put: Put
) -> None:
    event = {"deduplicationId": "c9db", "time": AT.isoformat(), "deviceInfo": {"devEui": "st-a"}, "fCnt": 4,
             "object": {"rain": 0.5, "state": "ok"}, "rxInfo": [{"rssi": -90, "snr": 3}]}  # fmt: skip
    topic, payload = "application/1/device/st-a/event/up", json.dumps(event).encode()
    assert put((topic, payload), (topic, payload)) + put((topic, payload)) == [STORED] * 3
    rows = enrolled.execute(
        "SELECT d.name, d.unit, o.result, o.phenomenon_time FROM observation o"
        " JOIN datastream d ON d.id = o.datastream ORDER BY d.name"
    ).fetchall()
    assert rows == [
        ("fCnt", "", 4, AT),
        ("rain", "mm", 0.5, AT),
        ("rssi", "dBm", -90, AT),
        ("snr", "dB", 3, AT),
    ]
    assert count(enrolled, "observation_revision") == 0
