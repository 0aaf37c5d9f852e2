"""One supervisor on a state folder; the others find what it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server import run_state

RUN = {"database_url": "postgresql://d", "mqtt_url": "mqtt://m", "http_url": "http://h", "pids": {}}


def test_a_second_supervisor_is_told_that_one_runs(tmp_path: Path) -> None:
    told = pytest.raises(RuntimeError, match="runs already on")
    with run_state.lock(tmp_path), told, run_state.lock(tmp_path):
        pass
    with run_state.lock(tmp_path):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from server import run_state\n"
        "with run_state.lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with run_state.lock(tmp_path):
        pass


def test_what_runs_is_found_while_it_runs(tmp_path: Path) -> None:
    assert run_state.read(tmp_path) is None
    with run_state.lock(tmp_path):
        run_state.write(tmp_path, RUN)
        assert run_state.read(tmp_path) == RUN
    assert run_state.read(tmp_path) is None
    assert run_state.left_behind(tmp_path)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    run_state.write(tmp_path, RUN)
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600


def test_addresses_that_are_set_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUPAN_STATE", str(tmp_path))
    monkeypatch.setenv("LIUPAN_MQTT_URL", "mqtt://real")
    monkeypatch.delenv("LIUPAN_DATABASE_URL", raising=False)
    with run_state.lock(tmp_path):
        run_state.write(tmp_path, RUN)
        settings = run_state.connect_settings()
    assert (settings.database_url, settings.mqtt_url) == ("postgresql://d", "mqtt://real")


def test_nothing_runs_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUPAN_STATE", str(tmp_path))
    monkeypatch.delenv("LIUPAN_DATABASE_URL", raising=False)
    monkeypatch.delenv("LIUPAN_MQTT_URL", raising=False)
    with pytest.raises(ValueError, match=r"nothing runs on .*: start `liupan up`"):
        run_state.connect_settings()
