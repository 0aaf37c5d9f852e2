"""The national paths over HTTP, with a real database: answered when stored, and what cannot be is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from domain.settings import Settings
from domain.wire import new_id
from ingest import batch, http, rejected
from ingest.inbox import Inbox
from ingest.registry import Registry

GOOD = {"errno": 0, "error": "succ"}
AT = "2026-08-11T22:10:00.000Z"


@pytest.fixture
def conn(registered_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(registered_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def client(registered_url: str) -> Iterator[TestClient]:
    """A client of the door, behind which everything is stored."""
    box, stop = Inbox(), threading.Event()
    with (
        psycopg.connect(registered_url, autocommit=True) as conn,
        TestClient(http.app(box, registered_url)) as made,
    ):
        settings = Settings(state=Path())
        work = threading.Thread(target=batch.run, args=(conn, box, lambda *_: None, settings, stop))
        work.start()
        yield made
        stop.set()
        work.join()


def stored(conn: Connection[Any]) -> list[tuple[str, str, float]]:
    return conn.execute(
        "SELECT t.code, d.name, o.result FROM observation o JOIN datastream d ON d.id = o.datastream"
        " JOIN thing t ON t.id = d.thing ORDER BY d.id, o.phenomenon_time"
    ).fetchall()


def refused(conn: Connection[Any]) -> list[tuple[str, str]]:
    return conn.execute("SELECT topic, reason FROM rejected ORDER BY id").fetchall()


def posted(device: object, sensors: object) -> dict[str, object]:
    return {"deviceId": device, "apikey": "secret", "data": {str(device): sensors}}


@pytest.mark.parametrize("kind", ["?type=1", "?type=3", ""])
def test_data_are_stored_before_the_answer(client: TestClient, conn: Connection[Any], kind: str) -> None:
    body = posted("st-a", {"L3_YL_1": {AT: "23.5"}})
    assert client.post(f"/api/devices/datapoints{kind}", json=body).json() == GOOD
    assert stored(conn) == [("st-a", "L3_YL_1/value", 23.5)]
    assert refused(conn) == []


def test_the_device_may_stand_in_the_query_or_in_the_path(client: TestClient, conn: Connection[Any]) -> None:
    body = {"data": {"L1_LF_1": {AT: 1}}}
    assert client.post("/api/devices/datapoints?type=3&deviceId=st-a", json=body).json() == GOOD
    points = [{"id": "L1_LF_1", "datapoints": [{"at": AT, "value": 2}]}]
    told = client.post(
        "/api/devices/st-b/datapoints", json={"datastreams": points}, headers={"api-key": "secret"}
    )
    assert (told.status_code, told.json()) == (200, GOOD)
    assert stored(conn) == [("st-a", "L1_LF_1/value", 1.0), ("st-b", "L1_LF_1/value", 2.0)]


def test_raw_observations_are_kept(client: TestClient, conn: Connection[Any]) -> None:
    raw = b"\xd3\x00\x13" + bytes(range(22))
    told = client.post(
        "/api/devices/datapoints?type=3&deviceId=st-a",
        content=raw,
        headers={"apikey": "secret", "Content-Type": "application/octet-stream"},
    )
    assert (told.status_code, told.json()) == (200, GOOD)
    assert conn.execute("SELECT name, data FROM station_file").fetchall() == [("gpsInitial", raw)]
    assert refused(conn) == []


def test_another_apikey_than_the_registered_one_is_refused_and_kept(
    client: TestClient, conn: Connection[Any]
) -> None:
    conn.execute("UPDATE thing SET apikey = 'right' WHERE code = 'st-a'")
    path, body = "/api/devices/datapoints?type=1", posted("st-a", {"L1_LF_1": {AT: 1}})
    told = client.post(path, json=body)
    assert (told.status_code, told.json()["errno"]) == (401, 1)
    assert told.json()["error"].startswith("wrong apikey")
    other = "/api/devices/st-a/datapoints"
    assert client.post(other, json={"data": {"L1_LF_1": {AT: 2}}}).status_code == 401, "none is wrong too"
    assert client.post(other, json=body, headers={"api-key": "wrong"}).status_code == 401
    assert stored(conn) == []
    assert [reason.split(":")[0] for _, reason in refused(conn)] == ["wrong apikey"] * 3
    assert client.post(path, json={**body, "apikey": "right"}).json() == GOOD
    assert client.post(other, json=body, headers={"api-key": "right"}).json() == GOOD
    assert stored(conn) == [("st-a", "L1_LF_1/value", 1.0)]


def test_what_was_refused_is_stored_when_the_registered_apikey_was_wrong(
    client: TestClient, conn: Connection[Any]
) -> None:
    conn.execute("UPDATE thing SET apikey = 'wrong' WHERE code = 'st-a'")
    body = {"data": {"L1_LF_1": {AT: 1}}}
    told = client.post("/api/devices/st-a/datapoints", json=body, headers={"api-key": "right"})
    assert told.status_code == 401
    conn.execute("UPDATE thing SET apikey = 'right' WHERE code = 'st-a'")
    [number] = rejected.waiting(conn)
    assert rejected.replay(conn, Registry(), number) == ""
    assert stored(conn) == [("st-a", "L1_LF_1/value", 1.0)]


def test_a_station_asks_for_its_commands_and_answers_them(client: TestClient, conn: Connection[Any]) -> None:
    conn.execute("UPDATE thing SET apikey = 'right' WHERE code = 'st-a'")
    waiting = [ask(conn, name, params, state) for name, params, state in (
        ("setworkmode", '{"mode": "2"}', "sent"), ("reboot", "{}", "succeeded"), ("sample", "{}", "pending"),
    )]  # fmt: skip
    path = "/api/devices/st-a/deliveryHistory"
    keys: list[dict[str, str]] = [{}, {"apikey": "wrong"}]
    assert [client.get(path, headers=key).status_code for key in keys] == [401, 401]
    assert client.get("/api/devices/st-b/deliveryHistory").status_code == 401, "it has no apikey"
    assert client.get("/api/devices/nobody/deliveryHistory").status_code == 401
    told = client.get(path, headers={"apikey": "right"}).json()
    assert told == {
        **GOOD,
        "data": [
            f"$cmd=setworkmode&mode=2&apikey=right&msgid={waiting[0]}",
            f"$cmd=sample&apikey=right&msgid={waiting[2]}",
        ],
    }
    said = {"data": f"$cmd=setworkmode&msgid={waiting[0]}&result=succ"}
    assert client.post("/api/devices/st-a/deliveryResponse", json=said).json() == GOOD
    assert conn.execute(
        "SELECT subject, body ->> 'device', body ->> 'result' FROM event"
        " WHERE kind = 'replied' AND consumer = 'command'"
    ).fetchall() == [(waiting[0], "st-a", "succ")]
    said = {"data": "$cmd=setworkmode&msgid=0198a000-0000-7000-8000-000000000001&result=succ"}
    told = client.post("/api/devices/st-a/deliveryResponse", json=said).json()
    assert told == {"errno": 1, "error": "a reply to a command that was not given here"}
    assert client.post("/api/devices/st-a/deliveryResponse", content=b"x").json()["errno"] == 1


def ask(conn: Connection[Any], name: str, params: str, state: str) -> str:
    row = conn.execute(
        "INSERT INTO command (id, thing, region, name, params, mode, state, asked_by, asked_at)"
        " SELECT %s, id, region, %s, %s::jsonb, mode, %s, 'officer', now() FROM thing WHERE code = 'st-a'"
        " RETURNING id::text",
        (new_id(), name, params, state),
    ).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize(
    ("body", "topic", "reason"),
    [
        (b"{", "http/dp/-", "not JSON"),
        (b'{"deviceId": ["x"], "data": {"st-a": {"L1_LF_1": 1}}}', "http/dp/-", "may not speak for 'st-a'"),
        (b'{"deviceId": "st-a/#", "data": {"st-a": {"L1_LF_1": 1}}}', "http/dp/-", "may not speak for"),
        (
            b'{"deviceId": 70000009, "data": {"70000009": {"L1_LF_1": 1}}}',
            "http/dp/70000009",
            "not registered",
        ),
    ],
)
def test_what_cannot_be_stored_is_kept_with_its_reason(
    client: TestClient, conn: Connection[Any], body: bytes, topic: str, reason: str
) -> None:
    told = client.post("/api/devices/datapoints?type=1", content=body)
    assert (told.status_code, told.json()["errno"]) == (200, 1)
    assert reason in told.json()["error"]
    [(kept_topic, kept_reason)] = refused(conn)
    assert (kept_topic, kept_reason) == (topic, told.json()["error"])
    assert stored(conn) == []


def test_what_is_stored_in_part_is_good(client: TestClient, conn: Connection[Any]) -> None:
    body = posted("st-a", {"L1_LF_1": {AT: 1}, "L3_QW_1": {AT: "nan"}})
    assert client.post("/api/devices/datapoints?type=1", json=body).json() == GOOD
    assert stored(conn) == [("st-a", "L1_LF_1/value", 1.0)]
    assert len(refused(conn)) == 1
