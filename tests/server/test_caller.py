"""Nobody sees rows of another region, on any route: a new route that forgets the filter fails here."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from domain.track_format import FORMATS
from server.app import NOUNS

ID = {x: f"{x.lower() * 8}-0000-7000-8000-000000000000" for x in "AB"}

#: path -> what stands for its parameters, {x} being the region; a new route with parameters needs a line
PARAMETERS: dict[str, dict[str, str]] = {
    "/regions/{code}": {"code": "{region}"},
    "/sites/{code}": {"code": "site-{x}"},
    "/things/{code}": {"code": "thing/{x}-{x}"},
    "/things/{code}/commands": {"code": "thing/{x}-{x}"},
    "/commands/{id}": {"id": "{id}"},
    "/observations": {"thing": "thing/{x}-{x}", "datastream": "stream/{x}-{x}"},
    "/observations/rollup": {"thing": "thing/{x}-{x}", "datastream": "stream/{x}-{x}"},
    "/station-files/{id}": {"id": "{id}"},
    "/station-files/{id}/data": {"id": "{id}"},
    "/assessments/{id}": {"id": "{id}"},
    "/alerts/{identifier}.xml": {"identifier": "alert-{x}"},
    "/alerts/{identifier}": {"identifier": "alert-{x}"},
    "/incidents/{id}": {"id": "{id}"},
    "/incidents/{id}/routes": {"id": "{id}"},
    "/dispatches/{id}": {"id": "{id}"},
    "/tracks/{device}": {"device": "phone-{x}"},
    **{f"/tracks/{{device}}.{ending}": {"device": "phone-{x}"} for ending in FORMATS},
    "/leads/{id}": {"id": "{id}"},
    "/cases/{id}": {"id": "{id}"},
}

#: ids of SensorThings entities, which follow from the order in which conftest.py makes the rows
IDS = {
    "Things": {"A": "1", "B": "3"},
    "Locations": {"A": "1", "B": "2"},
    "Datastreams": {"A": "1", "B": "2"},
    "Sensors": {"A": "1", "B": "2"},
    "ObservedProperties": {"A": "'displacement'", "B": "'rainfall'"},
    "Observations": {"A": "1,1782864000000000", "B": "2,1782864000000000"},
    "FeaturesOfInterest": {"A": "1", "B": "2"},
}

#: shows nothing that bears a name: here only the refusal of the other's parameters tells
NAMELESS = {
    "/healthz",
    "/observations",
    "/observations/rollup",
    "/counts",
    "/v1.1",
    "/devices/unclaimed",
}
#: never ends; its own test is in test_live.py
ENDLESS = {"/live"}

REGION = {"A": "640402", "B": "640502"}
SENSORTHINGS = {"A": r"\('1,|displacement", "B": r"\('2,|rainfall"}
MARKS = {x: re.compile(f"-{x}\\b|{x.lower() * 8}|{REGION[x]}|{SENSORTHINGS[x]}") for x in "AB"}

PATHS = sorted(
    {
        route.path_format
        for noun in NOUNS
        for route in noun.router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    }
    - ENDLESS
)
PARAMETERS |= {
    path: {"id": f"{{{name}}}"} for path in PATHS for name in IDS if path.startswith(f"/v1.1/{name}({{id}})")
}


def get(client: TestClient, path: str, x: str, region: str | None) -> tuple[int, str]:
    """Return status and body of the path with the parameters of x, asked for by somebody of a region."""
    ids = {name: of[x] for name, of in IDS.items()}
    told = PARAMETERS.get(path, {})
    values = {k: v.format(x=x, region=REGION[x], id=ID[x], **ids) for k, v in told.items()}
    inside = {name: values.pop(name) for name in list(values) if "{" + name + "}" in path}
    headers = {} if region is None else {"X-Liupan-Region": region}
    response = client.get(path.format(**inside), params=values, headers=headers)
    return response.status_code, response.text


@pytest.mark.parametrize("path", PATHS)
def test_each_sees_his_own_region_and_nothing_of_the_other(reader: TestClient, path: str) -> None:
    for own, other, prefix in (("A", "B", "6404"), ("B", "A", "640502")):
        status, body = get(reader, path, own, prefix)
        assert status == 200, body
        assert MARKS[own].search(body) or path in NAMELESS
        assert not MARKS[other].search(body)


@pytest.mark.parametrize("path", PATHS)
def test_no_route_shows_the_secret_of_a_station(reader: TestClient, path: str) -> None:
    status, body = get(reader, path, "A", None)
    assert (status, "hush" in body, b"hush".hex() in body) == (200, False, False)


@pytest.mark.parametrize("path", [path for path in PATHS if path in PARAMETERS])
def test_a_thing_of_another_region_is_not_there(reader: TestClient, path: str) -> None:
    status, body = get(reader, path, "B", "6404")
    assert status == 404
    assert "there is no " in body
    assert get(reader, path, "B", "6405")[0] == 200, "it is there: the test would prove nothing"


@pytest.mark.parametrize("path", [path for path in PATHS if path not in PARAMETERS and path not in NAMELESS])
def test_who_sees_the_whole_installation_sees_both(reader: TestClient, path: str) -> None:
    status, body = get(reader, path, "A", None)
    assert status == 200
    assert path == "/regions" or (MARKS["A"].search(body) and MARKS["B"].search(body))


@pytest.mark.parametrize("region", ["62", "6", "", "00"])
def test_nobody_sees_more_than_the_installation(reader: TestClient, region: str) -> None:
    response = reader.get("/sites", headers={"X-Liupan-Region": region})
    assert response.status_code == 403
    assert response.json()["detail"] == f"region {region!r} lies outside of this installation's '64'"


@pytest.mark.parametrize("region", ["64%", "64_", "六", "64' OR ''='"])
def test_a_region_is_digits(reader: TestClient, region: str) -> None:
    assert reader.get("/sites", headers=[(b"X-Liupan-Region", region.encode())]).status_code == 422


def test_the_world_has_rows_of_both_regions_in_every_table(world_url: str) -> None:
    """Else a route over a table that is forgotten here could show anything."""
    own_rows = {"region", "migration", "installation", "feed_floor", "rollup_state"}
    with psycopg.connect(world_url) as conn:
        tables: list[tuple[Any, ...]] = conn.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        for (table,) in tables:
            if table not in own_rows:
                count = conn.execute(f"SELECT count(*) FROM {table}").fetchone()
                assert count is not None
                assert count[0] >= 2, f"put a row of each region into {table}, in tests/server/conftest.py"


def test_what_nobody_known_has_sent_is_seen_by_who_sees_everything(
    client: TestClient, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO rejected (topic, payload, sha256, reason, device, first_at, last_at)"
            " VALUES ('t', 'x', 'x', 'unknown sender', 'nobody', now(), now())"
        )
    assert "unknown sender" in client.get("/rejected").text
    assert "unknown sender" not in client.get("/rejected", headers={"X-Liupan-Region": "6404"}).text
