"""SensorThings POST: 201 and where it stands after the commit, 400 or 404 and quarantine for the rest."""

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
from ingest import batch, http
from ingest.inbox import Inbox
from ingest.registry import Registry
from ingest.rejected import replay

US = 1786503000000000  # 2026-08-12T02:50:00Z, by date -d
TIMED = {"result": 1.5, "phenomenonTime": "2026-08-12T02:50:00Z"}


@pytest.fixture
def db(registered_url: str) -> Iterator[Connection[Any]]:
    """A connection; rain is datastream 1, st-beijing has the datastream 2, st-free the datastream 3."""
    with psycopg.connect(registered_url, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        for code in ("st-beijing", "st-free"):
            conn.execute(
                "INSERT INTO datastream (thing, name, unit)"
                " SELECT id, 'tilt', 'deg' FROM thing WHERE code = %s",
                (code,),
            )
        yield conn


@pytest.fixture
def client(db: Connection[Any], registered_url: str) -> Iterator[TestClient]:
    """A client of the door, while what comes through it is stored."""
    box, stop = Inbox(), threading.Event()
    with psycopg.connect(registered_url, autocommit=True) as conn, TestClient(http.app(box)) as made:
        work = threading.Thread(
            target=batch.run, args=(conn, box, lambda *_: None, Settings(state=Path()), stop)
        )
        work.start()
        yield made
        stop.set()
        work.join()


def stored(db: Connection[Any]) -> list[Any]:
    return db.execute(
        "SELECT datastream, (extract(epoch FROM phenomenon_time) * 1000000)::bigint, result FROM observation"
        " ORDER BY 1, 2"
    ).fetchall()


def refused(db: Connection[Any]) -> list[Any]:
    return db.execute("SELECT topic, device, reason FROM rejected ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("Datastreams(1)/Observations", {}),
        ("Datastreams(1)/Observations", {"Datastream": {"@iot.id": 1}}),
        ("Observations", {"Datastream": {"@iot.id": 1}}),
        ("CreateObservations", {"Datastream": {"@iot.id": 1}}),
    ],
)
def test_an_observation_is_created_where_location_says(
    client: TestClient, db: Connection[Any], path: str, more: dict[str, Any]
) -> None:
    told = client.post(f"/v1.1/{path}", json={**TIMED, **more})
    assert (told.status_code, told.content) == (201, b"")
    assert told.headers["location"] == f"http://testserver/v1.1/Observations('1,{US}')"
    assert stored(db) == [(1, US, 1.5)]
    assert refused(db) == []


def test_the_location_names_the_host_that_was_asked(client: TestClient) -> None:
    told = client.post("/v1.1/Datastreams(1)/Observations", json=TIMED, headers={"Host": "portal:18830"})
    assert told.headers["location"].startswith("http://portal:18830/v1.1/Observations(")


def test_a_second_time_is_201_and_another_value_a_revision(client: TestClient, db: Connection[Any]) -> None:
    first = client.post("/v1.1/Datastreams(1)/Observations", json=TIMED)
    for result in (1.5, 2.5):
        again = client.post("/v1.1/Datastreams(1)/Observations", json={**TIMED, "result": result})
        assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert stored(db) == [(1, US, 1.5)]
    assert db.execute("SELECT result FROM observation_revision").fetchall() == [(2.5,)]


def test_without_a_time_it_is_that_of_receipt(client: TestClient, db: Connection[Any]) -> None:
    told = client.post("/v1.1/Datastreams(1)/Observations", json={"result": 1})
    ((datastream, microseconds, _),) = stored(db)
    assert told.headers["location"].endswith(f"/v1.1/Observations('{datastream},{microseconds}')")
    assert db.execute("SELECT phenomenon_time = received_at FROM observation").fetchall() == [(True,)]


def test_the_location_has_the_time_as_it_is_stored(client: TestClient, db: Connection[Any]) -> None:
    """st-beijing is registered as a thing that writes Beijing time behind a Z."""
    told = client.post(
        "/v1.1/Datastreams(2)/Observations", json={"result": 1, "phenomenonTime": "2026-08-12T10:50:00Z"}
    )
    assert told.headers["location"].endswith(f"('2,{US}')")
    assert stored(db) == [(2, US, 1)]


def test_a_text_is_a_state_of_the_thing(client: TestClient, db: Connection[Any]) -> None:
    told = client.post("/v1.1/Datastreams(3)/Observations", json={**TIMED, "result": "open"})
    assert (told.status_code, told.headers["location"]) == (201, "http://testserver/v1.1/Datastreams(3)")
    assert stored(db) == []
    state = db.execute("SELECT state -> 'tilt' ->> 'result' FROM thing WHERE code = 'st-free'").fetchall()
    assert state == [("open",)]


def test_data_arrays_answer_each_result_in_its_place(client: TestClient, db: Connection[Any]) -> None:
    """Good, unreadable, of an unknown datastream, from a clock that was never set, a state."""
    array: dict[str, Any] = {"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result"]}
    array["dataArray"] = [[TIMED["phenomenonTime"], 1.5], [None, None], ["1980-01-06T00:00:00Z", 2]]
    lost = {"Datastream": {"@iot.id": 99}, "components": ["result"], "dataArray": [[3]]}
    text = {"Datastream": {"@iot.id": 3}, "components": ["result"], "dataArray": [["on"]]}
    told = client.post("/v1.1/CreateObservations", json=[array, lost, text])
    link = f"http://testserver/v1.1/Observations('1,{US}')"
    state = "http://testserver/v1.1/Datastreams(3)"
    assert (told.status_code, told.json()) == (201, [link, "error", "error", "error", state])
    assert stored(db) == [(1, US, 1.5)]
    ((topic, device, reason),) = refused(db)
    assert (topic, device) == ("http/sta/CreateObservations", "st-a")
    for part in ("[0]dataArray[1]: result is missing", "the clock was never set", "the number 99"):
        assert part in reason


def test_nothing_to_create(client: TestClient, db: Connection[Any]) -> None:
    told = client.post("/v1.1/CreateObservations", json=[])
    assert (told.status_code, told.json(), refused(db)) == (201, [], [])


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("Datastreams(1)/Observations", b'{"result": "1"}', 400, "write the number without quotes"),
        ("Datastreams(1)/Observations", b"{", 400, "not JSON"),
        ("Observations", b'{"result": 1}', 400, "Datastream is missing"),
        ("Observations", b'{"result": 1, "Datastream": {"@iot.id": 99}}', 404, "there is no datastream"),
        ("Observations", b'{"result": 1, "Datastream": {"@iot.id": -1}}', 404, "there is no datastream"),
        ("Observations", b'{"result": 1, "Datastream": {"@iot.id": 1%s}}' % (b"0" * 30), 404, "there is no"),
        ("Datastreams(99)/Observations", b'{"result": 1}', 404, "no datastream with the number 99: "),
        ("Datastreams(1)/Observations", b'{"result": 1, "phenomenonTime": "2099-01-01T00:00:00Z"}', 400,
         "device clock: 2099-01-01T00:00:00+00:00 is more than 24 h ahead"),
        ("CreateObservations", b'[{"result": 1}, {"result": "\\u0000"}]', 400, "Datastream is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_told_and_kept(
    client: TestClient, db: Connection[Any], path: str, body: bytes, status: int, reason: str
) -> None:
    told = client.post(f"/v1.1/{path}", content=body)
    said = told.json()
    assert (told.status_code, said["code"], said["type"]) == (status, status, "error")
    assert reason in said["message"]
    assert stored(db) == []
    assert [(topic, why) for topic, _, why in refused(db)] == [(f"http/sta/{path}", said["message"])]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "", "%E5%85%AD", "1%00", "1" * 5000])
def test_no_number_no_place(client: TestClient, db: Connection[Any], number: str) -> None:
    told = client.post(f"/v1.1/Datastreams({number})/Observations", json=TIMED)
    assert told.status_code == 404
    assert (stored(db), refused(db)) == ([], [])


def test_what_the_database_refuses_is_told(client: TestClient, db: Connection[Any]) -> None:
    told = client.post("/v1.1/Datastreams(3)/Observations", content=b'{"result": "a\\u0000b"}')
    assert told.status_code == 400
    assert "the database refuses it" in told.json()["message"]
    assert len(refused(db)) == 1


def test_it_is_stored_once_its_datastream_is_registered(client: TestClient, db: Connection[Any]) -> None:
    assert client.post("/v1.1/Datastreams(4)/Observations", json=TIMED).status_code == 404
    db.execute("INSERT INTO datastream (thing, name) SELECT id, 'late' FROM thing WHERE code = 'st-b'")
    assert replay(db, Registry(), 1) == ""
    assert stored(db) == [(4, US, 1.5)]


def test_a_datastream_of_a_remembered_thing_is_known_at_once(client: TestClient, db: Connection[Any]) -> None:
    """What is remembered of st-free is older than its new datastream."""
    assert client.post("/v1.1/Datastreams(3)/Observations", json=TIMED).status_code == 201
    db.execute("INSERT INTO datastream (thing, name, unit) SELECT id, 'new', 'mm' FROM thing"
               " WHERE code = 'st-free'")  # fmt: skip
    assert client.post("/v1.1/Datastreams(4)/Observations", json=TIMED).status_code == 201
    assert stored(db) == [(3, US, 1.5), (4, US, 1.5)]
    assert db.execute("SELECT unit FROM datastream WHERE id = 4").fetchall() == [("mm",)]
