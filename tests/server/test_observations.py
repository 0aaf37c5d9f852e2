"""The newest results and the series, with what is doubtful about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from domain.quality import Flag

SERIES = {"thing": "thing/A-A", "datastream": "stream/A-A"}


@pytest.fixture
def db(client: TestClient, database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for hour in (1, 2, 3):
            conn.execute(
                "INSERT INTO observation"
                " SELECT id, '2026-07-01Z'::timestamptz + %s * interval '1 hour', %s, now()"
                " FROM datastream WHERE name = 'stream/A-A'",
                (hour, hour * 10),
            )
        conn.execute("SELECT fill_latest()")
        yield conn


def results(client: TestClient, **params: str | int) -> list[float]:
    response = client.get("/observations", params={**SERIES, **params})
    assert response.status_code == 200, response.text
    return [observation["result"] for observation in response.json()]


def test_flags_and_revisions_stand_beside_the_first_result(reader: TestClient) -> None:
    (observation,) = reader.get("/observations", params=SERIES).json()
    assert (observation["phenomenon_time"], observation["result"]) == ("2026-07-01T00:00:00Z", 1.5)
    assert observation["flags"] == ["range"]
    assert [revision["result"] for revision in observation["revisions"]] == [2.5]


def test_a_series_from_and_to_the_newest_first(client: TestClient, db: Connection[Any]) -> None:
    assert results(client) == [30, 20, 10, 1.5]
    assert results(client, **{"from": "2026-07-01T01:00:00Z"}) == [30, 20, 10]
    assert results(client, to="2026-07-01T10:00:00+08:00") == [10, 1.5]
    assert results(client, **{"from": "2026-07-01T01:00:00Z", "to": "2026-07-01T02:00:00Z"}) == [10]


def test_a_series_page_by_page(client: TestClient, db: Connection[Any]) -> None:
    page = client.get("/observations", params={**SERIES, "limit": 2}).json()
    assert [observation["result"] for observation in page] == [30, 20]
    assert results(client, limit=2, to=page[-1]["phenomenon_time"]) == [10, 1.5]


@pytest.mark.parametrize(
    "params",
    [{"from": "2026-07-01T00:00:00"}, {"from": "yesterday"}, {"limit": 0}, {"limit": 10_001}, {"limit": "x"}],
)
def test_what_cannot_be_meant_is_told(reader: TestClient, params: dict[str, Any]) -> None:
    response = reader.get("/observations", params={**SERIES, **params})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", next(iter(params))]


def test_no_such_datastream(reader: TestClient) -> None:
    assert reader.get("/observations", params={**SERIES, "datastream": "x"}).status_code == 404


def test_the_newest_of_each_datastream(client: TestClient, db: Connection[Any]) -> None:
    found = client.get("/observations/latest").json()
    assert [(o["thing"], o["site"], o["result"], o["unit"]) for o in found] == [
        ("thing/A-A", "site-A", 30, "mm"), ("thing/B-B", "site-B", 1.5, "mm")]  # fmt: skip
    for params in ({"site": "site-B"}, {"thing": "thing/B-B"}, {"after": "thing/A-A"}):
        assert client.get("/observations/latest", params=params).json() == found[1:]
    assert client.get("/observations/latest", params={"limit": 3}).json() == found[:1], "phones come first"


def test_a_result_from_the_future_does_not_hide_the_newest(client: TestClient, db: Connection[Any]) -> None:
    db.execute("SELECT ensure_observation_partition('2035-01-01Z')")
    db.execute(
        "INSERT INTO observation SELECT id, '2035-01-01Z', 99, now(), %s FROM datastream"
        " WHERE name = 'stream/A-A'",
        (int(Flag.FUTURE),),
    )
    db.execute("SELECT fill_latest()")
    assert client.get("/observations/latest").json()[0]["result"] == 30
    assert results(client)[:2] == [99, 30], "the series hides nothing"


def test_hours_and_days_the_newest_first(client: TestClient, db: Connection[Any]) -> None:
    db.execute("SELECT fill_rollups()")
    hours = client.get("/observations/rollup", params=SERIES).json()
    begins = ["07-01T02:00:00Z", "07-01T01:00:00Z", "07-01T00:00:00Z", "06-30T23:00:00Z"]
    assert [hour["begin_time"].removeprefix("2026-") for hour in hours] == begins
    assert hours[0] == {
        "begin_time": "2026-07-01T02:00:00Z", "count": 1, "marked": 0, "min": 30, "max": 30, "mean": 30,
        "sum": 30, "last": 30, "last_time": "2026-07-01T03:00:00Z"}  # fmt: skip
    assert (hours[3]["count"], hours[3]["marked"], hours[3]["mean"]) == (0, 1, None)
    (day,) = client.get("/observations/rollup", params={**SERIES, "every": "1d"}).json()
    assert day == {
        "begin_time": "2026-06-30T16:00:00Z", "count": 3, "marked": 1, "min": 10, "max": 30, "mean": 20,
        "sum": 60, "last": 30, "last_time": "2026-07-01T03:00:00Z"}  # fmt: skip


def test_hours_from_and_to_and_page_by_page(client: TestClient, db: Connection[Any]) -> None:
    db.execute("SELECT fill_rollups()")

    def sums(**params: str | int) -> list[float]:
        return [
            hour["sum"] for hour in client.get("/observations/rollup", params={**SERIES, **params}).json()
        ]

    assert sums(limit=2) == [30, 20]
    assert sums(to="2026-07-01T01:00:00Z", limit=1) == [10]
    assert sums(**{"from": "2026-07-01T09:00:00+08:00", "to": "2026-07-01T10:00:00+08:00"}) == [20]


@pytest.mark.parametrize("params", [{"every": "2h"}, {"from": "2026-07-01T00:00:00"}, {"limit": 0}])
def test_rollups_that_cannot_be_meant(reader: TestClient, params: dict[str, Any]) -> None:
    assert reader.get("/observations/rollup", params={**SERIES, **params}).status_code == 422
