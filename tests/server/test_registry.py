"""Registering: all of a file or nothing, told by place, and twice is once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.settings import Settings
from server.importing import main
from server.registry import RegistryError, register
from server.registry_check import Installation
from warning import rules

SQUARE = [[106.2, 35.9], [106.21, 35.9], [106.21, 35.91], [106.2, 35.91], [106.2, 35.9]]

REGISTRY: dict[str, Any] = {
    "sites": [
        {"code": "GY-001", "region": "640402", "name_zh": "东坡滑坡", "name_en": "East slope",
         "type": "landslide", "mode": "exercise", "rule": "default", "lon": 106.205, "lat": 35.905,
         "polygon": SQUARE, "threatened": 36, "contact": "Ma 0954-000000"},
    ],
    "things": [
        {"code": "st-1", "kind": "station", "name": "雨量1", "site": "GY-001", "region": "640402",
         "mode": "exercise", "time_zone": "Asia/Shanghai",
         "datastreams": [{"name": "rain", "observed_property": "rainfall", "unit": "mm", "valid_min": 0,
                          "valid_max": 300}, {"name": "gap", "unit": "mm"}]},
        {"code": "ph-1", "kind": "phone", "name": "一队", "site": None, "region": "640402"},
    ],
    "units": [{"code": "U-1", "name_zh": "一队", "name_en": "Team 1", "region": "640402", "device": "ph-1",
               "lon": 106.3, "lat": 36.0}],
    "recipients": [{"name": "一队", "channel": "mqtt", "address": "ph-1", "region": "6404"}],
}  # fmt: skip


@pytest.fixture
def registry() -> dict[str, Any]:
    return copy.deepcopy(REGISTRY)


def problems(conn: Connection[Any], registry: dict[str, Any]) -> list[str]:
    with pytest.raises(RegistryError) as caught:
        register(conn, registry)
    assert conn.execute("SELECT count(*) FROM hazard_site").fetchone() == (0,), "something was written"
    return caught.value.problems


def test_a_registry_is_written_whole(conn: Connection[Any], registry: dict[str, Any]) -> None:
    assert register(conn, registry) == {
        "regions": 0, "sites": 1, "things": 2, "datastreams": 2, "units": 1, "recipients": 1}  # fmt: skip
    site = conn.execute("SELECT code, region, mode, polygon, threatened FROM hazard_site").fetchone()
    assert site == ("GY-001", "640402", "exercise", SQUARE, 36)
    things = conn.execute(
        "SELECT t.code, s.code, t.mode, time_zone FROM thing t LEFT JOIN hazard_site s ON s.id = t.site"
        " ORDER BY t.code"
    ).fetchall()
    assert things == [("ph-1", None, "actual", "UTC"), ("st-1", "GY-001", "exercise", "Asia/Shanghai")]
    streams = conn.execute(
        "SELECT name, observed_property, unit, valid_min, valid_max FROM datastream ORDER BY name"
    ).fetchall()
    assert streams == [("gap", "", "mm", None, None), ("rain", "rainfall", "mm", 0, 300)]


def test_the_same_file_again_changes_nothing(conn: Connection[Any], registry: dict[str, Any]) -> None:
    register(conn, registry)
    assert set(register(conn, registry).values()) == {0}


def test_only_what_differs_is_changed_and_numbers_stay(
    conn: Connection[Any], registry: dict[str, Any]
) -> None:
    register(conn, registry)
    before = conn.execute("SELECT id, name FROM datastream ORDER BY id").fetchall()
    registry["sites"][0]["threatened"] = 40
    registry["things"][0]["datastreams"][0]["valid_max"] = 400
    assert register(conn, registry) == {
        "regions": 0, "sites": 1, "things": 0, "datastreams": 1, "units": 0, "recipients": 0}  # fmt: skip
    assert conn.execute("SELECT threatened FROM hazard_site").fetchone() == (40,)
    assert conn.execute("SELECT id, name FROM datastream ORDER BY id").fetchall() == before


def test_what_the_file_does_not_name_stays(conn: Connection[Any], registry: dict[str, Any]) -> None:
    register(conn, registry)
    assert register(conn, {"recipients": registry["recipients"]})["recipients"] == 0
    assert conn.execute("SELECT count(*) FROM thing").fetchone() == (2,)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["sites", 0, "polygon"], SQUARE[:-1], "sites[0].polygon: ring is not closed"),
        (["sites", 0, "polygon"], SQUARE[:2], "sites[0].polygon: a ring has at least 4 points"),
        (["sites", 0, "polygon"], [p[::-1] for p in SQUARE], "point 0: latitude 106.2 is outside -90..90"),
        (["sites", 0, "polygon"], [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]], "Self-intersection"),
        (["sites", 0, "polygon", 1], [106.2], "sites[0].polygon[1][1]: Field required"),
        (["sites", 0, "polygon", 1], [106.2, float("nan")], "sites[0].polygon[1][1]: "),
        (["sites", 0, "lat"], 106.2, "sites[0].lat: Input should be less than or equal to 90"),
        (["sites", 0, "type"], "volcano", "sites[0].type: "),
        (["sites", 0, "mode"], "drill", "sites[0].mode: "),
        (["sites", 0, "threatened"], -1, "sites[0].threatened: "),
        (["sites", 0, "region"], "990000", "sites[0].region: '990000' is no region here"),
        (["sites", 0, "people"], 3, "sites[0].people: Extra inputs are not permitted"),
        (["sites", 0, "name_zh"], " ", "sites[0].name_zh: is empty"),
        (["sites", 0], "GY-001", "sites[0]: "),
        (["things", 0, "code"], "st/+/1", "things[0].code: 'st/+/1' cannot be a code"),
        (["things", 0, "site"], "GY-009", "things[0].site: 'GY-009' is no site"),
        (["things", 0, "time_zone"], "Beijing", "things[0].time_zone: no time zone 'Beijing'"),
        (["things", 0, "datastreams", 0, "valid_min"], 301, "things[0].datastreams[0]: valid_min 301"),
        (["things", 0, "datastreams", 1, "name"], "rain", "things[0]: datastreams stand here twice: rain"),
        (["sites", 0, "mode"], "actual", "things[0].mode: exercise data must not feed the actual site"),
        (["units", 0, "device"], "ph-9", "units[0].device: 'ph-9' is no thing"),
        (["recipients", 0, "address"], "ph-9", "recipients[0].address: 'ph-9' is no thing"),
        (["recipients", 0, "region"], "64x", "recipients[0].region: "),
        (["things"], {}, "things: expected a list, got dict"),
        (["sits"], [], "sits: no such list; there are regions, sites, things, datastreams"),
    ],
)
def test_a_problem_is_told_with_its_place(
    conn: Connection[Any], registry: dict[str, Any], path: list[Any], value: object, told: str
) -> None:
    spot: Any = registry
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = value
    assert any(told in problem for problem in problems(conn, registry))


def test_every_problem_is_told_at_once(conn: Connection[Any], registry: dict[str, Any]) -> None:
    registry["sites"][0] |= {"polygon": SQUARE[:-1], "rule": ""}
    registry["things"][0]["region"] = "1"
    registry["units"].append(registry["units"][0])
    found = problems(conn, registry)
    # a site with problems of its own is still a site: who points to it is not told off as well
    assert [problem.split(":")[0] for problem in found] == [
        "sites[0].rule", "sites[0].polygon", "units[1].code", "units[1].device", "things[0].region",
    ]  # fmt: skip


def test_a_phone_with_a_topic_of_several_levels_cannot_be_told_anything(
    conn: Connection[Any], registry: dict[str, Any]
) -> None:
    registry["things"][1]["code"] = registry["units"][0]["device"] = "team/1"
    assert any(
        "units[0].device: 'team/1' cannot be a level of a topic" in p for p in problems(conn, registry)
    )


def test_a_unit_cannot_take_the_phone_of_another(conn: Connection[Any], registry: dict[str, Any]) -> None:
    register(conn, registry)
    with pytest.raises(RegistryError, match=r"units\[0\].device: 'ph-1' is the phone of unit U-1"):
        register(conn, {"units": [registry["units"][0] | {"code": "U-2"}]})


def test_the_unit_of_stored_results_cannot_be_changed(
    conn: Connection[Any], registry: dict[str, Any]
) -> None:
    register(conn, registry)
    conn.execute("SELECT ensure_observation_partition('2026-07-01Z')")
    conn.execute(
        "INSERT INTO observation SELECT id, '2026-07-01Z', 1, now() FROM datastream WHERE name = 'rain'"
    )
    registry["things"][0]["datastreams"][1]["unit"] = "cm"  # nothing is stored: this one may change
    register(conn, registry)
    registry["things"][0]["datastreams"][0]["unit"] = "cm"
    with pytest.raises(RegistryError, match=r"datastreams\[0\].unit: the stored results are in 'mm'"):
        register(conn, registry)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["sites", 0, "rule"], "rain", "sites[0].rule: no rule 'rain' for a landslide; there are default, "),
        (["sites", 0, "rule"], "debris_flow_rain", "sites[0].rule: debris_flow_rain is made for debris_flow"),
        (["recipients", 0, "channel"], "pigeon", "recipients[0].channel: no channel 'pigeon'; there"),
        (["units", 0, "region"], "620100", "units[0].region: 620100 lies outside of this installation's 64"),
    ],
)
def test_what_nobody_would_notice_until_it_matters(
    conn: Connection[Any], registry: dict[str, Any], tmp_path: Path, path: list[Any], value: str, told: str
) -> None:
    installation = Installation.of(Settings(state=tmp_path, region="64"))
    name, number, field = path
    right, registry[name][number][field] = registry[name][number][field], value
    with pytest.raises(RegistryError) as caught:
        register(conn, registry, installation)
    (problem,) = caught.value.problems
    assert problem.startswith(told)
    registry[name][number][field] = right
    assert register(conn, registry, installation)["sites"] == 1


def test_a_rule_of_ones_own_counts(conn: Connection[Any], registry: dict[str, Any], tmp_path: Path) -> None:
    own = (Path(rules.__file__).parent / "rain_displacement.yaml").read_text()
    (tmp_path / "own.yaml").write_text(own.replace("name: rain_displacement", "name: own"))
    registry["sites"][0]["rule"] = "own"
    installation = Installation.of(Settings(state=tmp_path, rules=str(tmp_path)))
    assert register(conn, registry, installation)["sites"] == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_command_registers_a_file(
    database_url: str, registry: dict[str, Any], dry_run: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    (file := tmp_path / "registry.json").write_text(json.dumps(registry))
    assert main([str(file), "--json", *(["--dry-run"] if dry_run else [])]) == 0
    assert json.loads(capsys.readouterr().out)["things"] == 2
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM thing").fetchone() == (0 if dry_run else 2,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("{", "is no JSON"),
        ("[]", "expected a JSON object with the lists regions"),
        ('{"sites": [1]}', "sites[0]: "),
    ],
)
def test_the_command_tells_problems_one_a_line(
    worker_url: str, text: str | None, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LIUPAN_DATABASE_URL", worker_url)
    file = tmp_path / "registry.json"
    if text is not None:
        file.write_text(text)
    assert main([str(file), "--json"]) == 1
    assert told in json.loads(capsys.readouterr().out)["problem"]
    assert main([str(file)]) == 1
    assert told in capsys.readouterr().err
