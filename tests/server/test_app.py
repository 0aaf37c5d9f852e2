"""What all routes have in common: the description, the errors, the lost database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from domain.settings import Settings
from server.app import create_app


def test_the_description_needs_no_internet(reader: TestClient) -> None:
    page = reader.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert any(link.endswith(".js") for link in links)
    assert any(link.endswith(".css") for link in links)
    for link in links:
        assert link.startswith("/"), f"{link} is somewhere else"
        assert reader.get(link).status_code == 200
    assert "url: '/openapi.json'" in page.text


def test_people_who_come_to_the_front_door_are_led_to_the_description(reader: TestClient) -> None:
    response = reader.get("/")
    assert response.url.path == "/docs"


def test_every_route_is_described(reader: TestClient) -> None:
    paths = reader.get("/openapi.json").json()["paths"]
    assert {"/sites", "/observations/latest", "/alerts/{identifier}.xml", "/live", "/healthz"} <= set(paths)
    for path, verbs in paths.items():
        for verb, route in verbs.items():
            assert route.get("description"), f"{verb} {path} has no docstring"


@pytest.mark.parametrize("path", ["/sites/%00", "/things/a%00b", "/observations?thing=%00&datastream=x"])
def test_what_no_text_can_hold_is_the_askers_fault(reader: TestClient, path: str) -> None:
    response = reader.get(path)
    assert response.status_code == 422
    assert response.json() == {"detail": "a value in the request is nothing that the database can hold"}


@pytest.mark.parametrize("path", ["/sites?limit=0", "/sites?limit=501", "/leads?after=x"])
def test_a_parameter_that_cannot_be_meant_is_told(reader: TestClient, path: str) -> None:
    assert reader.get(path).status_code == 422


def test_an_unknown_failure_tells_nothing_of_the_inside(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.routes.health.QUERY", "SELECT secret FROM safe")
    app = reader.app
    with pytest.raises(Exception, match="safe"):
        reader.get("/healthz")
    response = TestClient(app, raise_server_exceptions=False).get("/healthz")
    assert (response.status_code, response.text) == (500, "Internal Server Error")


def test_without_a_database_the_answer_is_503() -> None:
    settings = Settings(state=Path(), database_url="postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    with TestClient(create_app(settings)) as client:
        for path in ("/healthz", "/sites"):
            response = client.get(path)
            assert response.status_code == 503
            assert response.json() == {"detail": "the database cannot be reached at the moment; try again"}
        assert client.get("/docs").status_code == 200
