"""POST on the server's port: through ingest into the database, and back by the Location."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from domain.settings import Settings
from ingest import batch, http
from ingest.inbox import Inbox
from server import ports
from server.sensorthings import relay

TIMED = {"result": 12.5, "phenomenonTime": "2026-07-01T08:00:00+08:00"}
DAY_US = 1782864000000000  # 2026-07-01T00:00:00Z, by date -d


@pytest.fixture
def server(client: TestClient, free_port: Callable[[], int]) -> TestClient:
    """A client of a server that looks for ingest on a port where nobody listens yet."""
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.settings = replace(app.state.settings, intake_port=free_port())
    return client


@pytest.fixture
def whole(server: TestClient, database_url: str) -> Iterator[TestClient]:
    """The client, while the door and the storing of ingest run."""
    assert isinstance(server.app, FastAPI)
    settings: Settings = server.app.state.settings
    box, stop = Inbox(), threading.Event()
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DELETE FROM observation")
        jobs = [
            threading.Thread(target=http.serving(settings, box), args=(stop,)),
            threading.Thread(target=batch.run, args=(conn, box, lambda *_: None, settings, stop)),
        ]
        for job in jobs:
            job.start()
        while not ports.accepts(settings.intake_bind, settings.intake_port):
            time.sleep(0.02)
        yield server
        stop.set()
        for job in jobs:
            job.join()


def test_what_is_created_is_read_where_location_says(whole: TestClient) -> None:
    told = whole.post("/v1.1/Datastreams(1)/Observations", json=TIMED)
    assert (told.status_code, told.content) == (201, b"")
    assert told.headers["location"] == f"http://testserver/v1.1/Observations('1,{DAY_US}')"
    shown = whole.get(urlsplit(told.headers["location"]).path).json()
    assert (shown["result"], shown["phenomenonTime"]) == (12.5, "2026-07-01T00:00:00Z")
    assert shown["@iot.selfLink"] == told.headers["location"]
    assert whole.get(urlsplit(shown["Datastream@iot.navigationLink"]).path).json()["@iot.id"] == 1


@pytest.mark.parametrize("host", ["portal.example", "portal.example:8443", "[::1]:18830"])
def test_links_name_the_host_that_was_asked(whole: TestClient, host: str) -> None:
    body = {**TIMED, "Datastream": {"@iot.id": 2}}
    for path in ("Observations", "CreateObservations"):
        told = whole.post(f"https://{host}/v1.1/{path}", json=body)
        assert told.headers["location"] == f"https://{host}/v1.1/Observations('2,{DAY_US}')"


def test_errors_come_through(whole: TestClient) -> None:
    told = whole.post("/v1.1/Datastreams(1)/Observations", content=b"{")
    assert (told.status_code, told.json()["type"]) == (400, "error")
    assert told.json()["message"].startswith("not JSON")
    told = whole.post("/v1.1/Observations", json={**TIMED, "Datastream": {"@iot.id": 77}})
    assert (told.status_code, told.json()["code"]) == (404, 404)
    assert whole.get("/v1.1/Observations").json()["value"] == []


def test_nobody_writes_into_another_region_or_as_a_viewer(whole: TestClient) -> None:
    own, viewer = {"X-Liupan-Region": "6404"}, {"X-Liupan-Role": "viewer"}
    path = "/v1.1/Datastreams(2)/Observations"
    assert whole.post(path, json=TIMED, headers=own).status_code == 404
    assert whole.post(path, json=TIMED, headers=viewer).status_code == 403
    for path in ("/v1.1/Observations", "/v1.1/CreateObservations"):
        assert whole.post(path, json={**TIMED, "Datastream": {"@iot.id": 2}}, headers=own).status_code == 403
    body = {**TIMED, "Datastream": {"@iot.id": 2}}
    told = whole.post("/v1.1/Datastreams(1)/Observations", json=body, headers=own)
    assert (told.status_code, "the body says 2" in told.json()["message"]) == (400, True)
    assert whole.get("/v1.1/Observations").json()["value"] == []
    assert whole.post("/v1.1/Datastreams(1)/Observations", json=TIMED, headers=own).status_code == 201


def test_who_finds_ingest_away_should_come_again(server: TestClient) -> None:
    told = server.post("/v1.1/Datastreams(1)/Observations", json=TIMED)
    assert (told.status_code, told.headers["retry-after"], told.json()["code"]) == (503, "10", 503)
    assert "ingest does not answer" in told.json()["message"]


def test_a_body_without_end_is_refused(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LONGEST", 1000)
    told = server.post("/v1.1/Datastreams(1)/Observations", content=(b"x" * 100 for _ in range(20)))
    assert (told.status_code, told.json()["message"]) == (413, "longer than 1000 bytes")


def test_a_real_series_there_and_back(whole: TestClient, data: Path) -> None:
    """Daily GNSS of the Salmon Falls landslide (station BLKM, north): as read from the file, and in figures.

    The two values stand in its lines of 2017-01-16 and 2018-06-08.
    """
    with (data / "salmonfalls" / "BLKM.pbo.nam08.csv").open() as file:
        rows = [(row[0], float(row[1])) for row in csv.reader(file) if row and row[0][:2] == "20"]
    north = {f"{day}T00:00:00Z": mm for day, mm in rows}
    assert (len(rows), north["2017-01-16T00:00:00Z"], north["2018-06-08T00:00:00Z"]) == (412, -5.47, 12.28)
    array = {
        "Datastream": {"@iot.id": 1},
        "components": ["phenomenonTime", "result"],
        "dataArray@iot.count": len(north),
        "dataArray": [list(row) for row in north.items()],
    }
    told = whole.post("/v1.1/CreateObservations", json=[array])
    assert (told.status_code, len(told.json()), "error" in told.json()) == (201, 412, False)
    shown: dict[str, Any] = {}
    link = "/v1.1/Datastreams(1)/Observations?$top=100&$orderby=phenomenonTime desc"
    while link:
        parts = urlsplit(link)
        page = whole.get(f"{parts.path}?{parts.query}").json()
        shown |= {each["phenomenonTime"]: each["result"] for each in page["value"]}
        link = page.get("@iot.nextLink", "")
    assert shown == north
    moved: dict[str, str | int] = {
        "$filter": "result gt 12 and phenomenonTime ge 2018-01-01T00:00:00Z",
        "$count": "true",
        "$top": 0,
    }
    expected = sum(mm > 12 for at, mm in north.items() if at >= "2018")
    found = whole.get("/v1.1/Datastreams(1)/Observations", params=moved).json()
    assert found["@iot.count"] == expected > 0
