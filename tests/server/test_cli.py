"""The launcher: every command is there, and what goes wrong is told in one line."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from server import cli, run_state


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUPAN_STATE", str(tmp_path / "state"))
    for name in ("LIUPAN_DATABASE_URL", "LIUPAN_MQTT_URL"):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_tells_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(import_module(cli.COMMANDS[name].module).main)
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: liupan {name}")


@pytest.mark.parametrize("argv", [["help"], ["--help"]])
def test_help_lists_every_command_in_both_languages(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in cli.COMMANDS.items():
        assert any(line.split()[:1] == [name] and command.zh in line and command.en in line for line in lines)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 2
    assert capsys.readouterr().err == "liupan: there is no command 'fly'; see liupan help\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "liupan 0.1.0\n"


def test_without_anything_running_it_says_what_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "sites.json"]) == 1
    assert capsys.readouterr().err.startswith("liupan import: nothing runs on ")


def test_a_database_that_is_away_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIUPAN_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    assert cli.main(["migrate"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("liupan migrate: ")
    assert told.count("\n") == 1


def test_a_setting_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIUPAN_HTTP_PORT", "eighty")
    assert cli.main(["migrate"]) == 1
    assert (
        capsys.readouterr().err == "liupan migrate: LIUPAN_HTTP_PORT must be a whole number, not 'eighty'\n"
    )


def test_migrate_finds_the_database_that_runs(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    with run_state.lock(state):
        run_state.write(state, {"database_url": database_url, "mqtt_url": "mqtt://127.0.0.1", "pids": {}})
        assert cli.main(["migrate"]) == 0
    assert capsys.readouterr().out == "nothing to do\n"
