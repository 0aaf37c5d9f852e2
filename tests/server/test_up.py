"""`liupan up` with everything real: all is there, what is killed comes back, nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest

from domain.settings import Settings
from server import run_state, up

EVERYTHING = {"mosquitto", "postgres", "ingest", "warning", "enforcement", "server"}


@pytest.fixture
def env(state: Path, free_port: Callable[[], int]) -> dict[str, str]:
    """The environment of an installation of its own."""
    ours = {"LIUPAN_STATE": str(state / "a folder")}
    names = ("HTTP", "MQTT", "DATABASE", "INTAKE", "SL651")
    ports = {f"LIUPAN_{name}_PORT": str(free_port()) for name in names}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIUPAN_")}
    return kept | ours | ports


@pytest.fixture
def start(env: dict[str, str]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Ask it to start `liupan up`; whatever runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "server.cli", "up"]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Return the next line that the supervisor says with these words in it."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}: {''.join(said)}")


def read_run(env: dict[str, str]) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((Path(env["LIUPAN_STATE"]) / "run.json").read_text())
    return run


def wait_for_everything(env: dict[str, str]) -> dict[str, Any]:
    """Return run.json once everything runs again: what lost the database has died, too."""
    until = time.monotonic() + 60
    while set((run := read_run(env))["pids"]) != EVERYTHING or not all(map(alive, run["pids"].values())):
        assert time.monotonic() < until, f"not everything came back: {run}"
        time.sleep(0.1)
    return run


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int]) -> bool:
    """Say whether they have all ended within 20 s."""
    until = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def test_what_is_killed_is_started_again_and_a_signal_ends_all(
    start: Callable[[], subprocess.Popen[str]], env: dict[str, str]
) -> None:
    process = start()
    wait_for(process, "everything runs")
    first = read_run(env)
    assert set(first["pids"]) == EVERYTHING
    with urlopen(f"{first['http_url']}/healthz") as answer:  # noqa: S310
        assert answer.status == 200
    with psycopg.connect(first["database_url"], autocommit=True) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 1 AS n")
    for name in ("ingest", "postgres"):
        os.kill(first["pids"][name], signal.SIGKILL)
        wait_for(process, f"{name} died (SIGKILL)")
        wait_for(process, f"{name} started again")
    second = wait_for_everything(env)
    for name in ("ingest", "postgres"):
        assert second["pids"][name] != first["pids"][name]

    other = subprocess.run(
        [sys.executable, "-m", "server.cli", "up"], env=env, capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert other.stderr.startswith("liupan up: Liupan runs already on ")
    assert other.stderr.count("\n") == 1

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not any(map(alive, [*first["pids"].values(), *second["pids"].values()]))
    assert not (Path(env["LIUPAN_STATE"]) / "run.json").exists()


def test_nothing_outlives_a_killed_supervisor_and_all_data_do(
    start: Callable[[], subprocess.Popen[str]], env: dict[str, str]
) -> None:
    process = start()
    wait_for(process, "everything runs")
    run = read_run(env)
    with psycopg.connect(run["database_url"], autocommit=True) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 1 AS n")
    process.kill()
    process = start()  # at once: it must wait for what is still ending
    wait_for(process, "everything runs")
    assert gone(list(run["pids"].values()))
    with psycopg.connect(read_run(env)["database_url"]) as conn:
        assert conn.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_real_servers_take_the_place_of_the_embedded_ones(
    database_url: str, broker: str, state: Path, free_port: Callable[[], int]
) -> None:
    settings = Settings(state=state, database_url=database_url, mqtt_url=broker, http_port=free_port(),
                        intake_port=0, sl651_port=0)  # fmt: skip
    said: list[str] = []
    with up.running(settings, said.append) as stack:
        assert set(stack.pids()) == EVERYTHING - {"mosquitto", "postgres"}
        run = run_state.read(state)
        assert run is not None
        assert (run["database_url"], run["mqtt_url"]) == (database_url, broker)
        assert run["pids"] == stack.pids()
    assert stack.pids() == {}
    assert not (state / "postgres").exists()


@pytest.mark.parametrize("variable", ["LIUPAN_DATABASE_PORT", "LIUPAN_SL651_PORT"])
def test_a_taken_port_names_the_variable_and_leaves_nothing_running(
    env: dict[str, str], variable: str
) -> None:
    with socket.create_server(("127.0.0.1", int(env[variable]))):
        done = subprocess.run(
            [sys.executable, "-m", "server.cli", "up"], env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"liupan up: port {env[variable]} is taken by another program: set {variable} to a free one"
    )
