"""Commands over HTTP and from the command line: asked for where that is legal, and shown without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from server import command
from server.registry import RegistryError, register

STATION = {"code": "70000001", "kind": "station", "name": "裂缝计", "region": "640402", "mode": "exercise"}


@pytest.fixture
def db(database_url: str, client: TestClient) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        register(conn, {"things": [{**STATION, "apikey": "secret-key"}]})
        yield conn


def events(db: Connection[Any]) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT consumer, region, body ->> 'thing', body ->> 'name', body ->> 'mode' FROM event"
        " WHERE kind = 'commanded' ORDER BY consumer"
    ).fetchall()


def test_a_command_is_stored_with_its_event_in_the_mode_of_the_thing(
    client: TestClient, db: Connection[Any]
) -> None:
    words = {"sensor": "L1_LF_1", "sample": 60, "upload": "300", "plus": 60}
    response = client.post("/things/70000001/commands", json={"name": "sampling", "params": words})
    assert response.status_code == 201
    told = response.json()
    assert (told["thing"], told["name"], told["state"], told["mode"], told["tries"]) == (
        "70000001", "setsensortime", "pending", "exercise", 0)  # fmt: skip
    assert told["params"] == {
        "sensor_id": "L1_LF_1", "sample_intv": "60", "upload_intv": "300", "plus_intv": "60"}  # fmt: skip
    assert told["asked_by"] == "officer 64"
    assert client.get(f"/commands/{told['id']}").json() == told
    assert client.get("/things/70000001/commands").json() == [told]
    assert events(db) == [
        (consumer, "640402", "70000001", "setsensortime", "exercise") for consumer in ("command", "live")
    ]


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("sampling", {"sensor": "L1_LF_1", "sample": 0, "upload": 1, "plus": 1},
         "sample_intv: 0 is not a whole number of 1 to 86400 s"),
        ("setworkmode", {"mode": "3"}, "mode: '3' is not 0 正常 normal, 1 节能 power saving, 2"),
        ("fly", {}, "no command 'fly'; there are sampling, "),
        ("upgrade", {"md5": "0" * 32, "size": 1}, "upgrade needs the firmware sent behind it"),
    ],
)  # fmt: skip
def test_what_a_station_cannot_do_is_refused_with_what_it_can(
    client: TestClient, db: Connection[Any], name: str, params: dict[str, Any], told: str
) -> None:
    response = client.post("/things/70000001/commands", json={"name": name, "params": params})
    assert response.status_code == 422
    assert response.json()["detail"].startswith(told)
    assert events(db) == []
    assert client.get("/things/70000001/commands").json() == []


@pytest.mark.parametrize("body", [{}, {"name": "status", "params": {"a": True}}, {"name": "status", "x": 1}])
def test_what_is_no_command_at_all(client: TestClient, db: Connection[Any], body: dict[str, Any]) -> None:
    assert client.post("/things/70000001/commands", json=body).status_code == 422
    assert events(db) == []


def test_things_that_take_no_commands(client: TestClient, db: Connection[Any]) -> None:
    register(db, {"things": [{**STATION, "code": "keyless"}]})
    for code, told in {
        "keyless": "keyless has no apikey, it would refuse: register it with `liupan import`",
        "phone-A": "phone-A is no national station",
        "thing/A-A": "thing/A-A is no national station",
    }.items():
        response = client.post(f"/things/{code}/commands", json={"name": "status"})
        assert response.status_code == 422
        assert response.json()["detail"].startswith(told)
    assert client.post("/things/nothing/commands", json={"name": "status"}).status_code == 404


def test_who_may_not_does_not_command(client: TestClient, db: Connection[Any]) -> None:
    path, wanted = "/things/70000001/commands", {"name": "status"}
    assert client.post(path, json=wanted, headers={"X-Liupan-Role": "viewer"}).status_code == 403
    assert client.post(path, json=wanted, headers={"X-Liupan-Region": "6405"}).status_code == 404
    assert events(db) == []


def test_a_command_is_taken_back_once(client: TestClient, db: Connection[Any]) -> None:
    told = client.post("/things/70000001/commands", json={"name": "emergency"}).json()
    path = f"/commands/{told['id']}/cancel"
    assert client.post(path, headers={"X-Liupan-Role": "viewer"}).status_code == 403
    assert client.post(path, headers={"X-Liupan-Region": "6405"}).status_code == 404
    taken = client.post(path).json()
    assert (taken["state"], taken["reason"]) == ("cancelled", "cancelled by officer 64")
    again = client.post(path)
    assert again.status_code == 409
    assert "a command that is cancelled cannot become cancelled" in again.json()["detail"]
    assert [
        state for (state,) in db.execute("SELECT body ->> 'state' FROM event WHERE kind = 'advanced'")
    ] == ["cancelled"]


def test_pages_of_commands_are_the_newest_first(client: TestClient, db: Connection[Any]) -> None:
    path = "/things/70000001/commands"
    ids = [client.post(path, json={"name": "status"}).json()["id"] for _ in range(3)]
    assert [c["id"] for c in client.get(path, params={"limit": 2}).json()] == [ids[2], ids[1]]
    assert [c["id"] for c in client.get(path, params={"after": ids[1]}).json()] == [ids[0]]


def test_a_reply_is_shown_with_its_values(client: TestClient) -> None:
    told = client.get("/commands/aaaaaaaa-0000-7000-8000-000000000000").json()
    assert told["values"] == {"reason": "why-A"}
    assert told["params"] == {"id": "id-A", "key": "***"}


def test_an_import_without_the_secret_keeps_it_and_one_with_it_changes_it(db: Connection[Any]) -> None:
    def key() -> Any:
        return db.execute("SELECT apikey FROM thing WHERE code = '70000001'").fetchone()

    assert register(db, {"things": [STATION]})["things"] == 0
    assert key() == ("secret-key",)
    assert register(db, {"things": [{**STATION, "apikey": "other"}]})["things"] == 1
    assert key() == ("other",)
    register(db, {"things": [{**STATION, "apikey": ""}]})
    assert key() == ("",)
    with pytest.raises(RegistryError) as caught:
        register(db, {"things": [{**STATION, "apikey": "two words"}]})
    assert caught.value.problems[0].startswith("things[0].apikey: ")
    assert "two words" not in str(caught.value.problems)


@pytest.fixture
def run(
    database_url: str,
    db: Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)

    def run(*argv: str) -> tuple[int, str]:
        return command.main(list(argv)), "".join(capsys.readouterr())

    return run


def test_the_command_line_asks(run: Any, db: Connection[Any]) -> None:
    code, out = run("70000001", "speak", "text=请立即撤离", "times=3", "--json")
    told = json.loads(out)
    assert (code, told["name"], told["state"]) == (0, "broadcast", "pending")
    assert told["params"] == {"b_num": "3", "b_size": "10", "b_content": "请立即撤离"}
    assert "secret-key" not in out
    assert [consumer for consumer, *_ in events(db)] == ["command", "live"]


def test_the_command_line_waits_in_vain(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUPAN_LANG", "en")
    code, out = run("70000001", "status", "--wait", "0.3")
    assert code == 1
    assert out.startswith("70000001 · getstatus · not sent yet · ")


@pytest.mark.parametrize("param", ["sensor", "=1", ""])
def test_a_parameter_without_name_or_value(run: Any, param: str) -> None:
    with pytest.raises(ValueError, match="is no parameter: write name=value"):
        run("70000001", "sampling", param)


def test_no_such_thing(run: Any) -> None:
    assert run("nowhere", "status") == (1, "liupan command: there is no thing 'nowhere'\n")
