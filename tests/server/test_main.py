"""The server as a process: it ends cleanly, and outlives its database."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.flow import emit
from domain.settings import Settings
from server import database, service
from server.migrate import migrate


@pytest.mark.parametrize(
    ("variables", "told"),
    [({}, "LIUPAN_DATABASE_URL is not set"), ({"LIUPAN_HTTP_PORT": "x"}, "LIUPAN_HTTP_PORT must be a whole")],
)
def test_settings_that_cannot_be_used_are_told_in_one_line(variables: dict[str, str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server"], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_ends_cleanly_when_it_is_told_to(serve: Callable[[str], Any], database_url: str) -> None:
    running = serve(database_url)
    running.process.terminate()
    assert running.process.wait(20) == 0


def status(running: Any, path: str) -> int:
    code: int = running.get(path)[0]
    return code


def wait_for(running: Any, path: str, wanted: int) -> None:
    deadline = time.monotonic() + 60
    while status(running, path) != wanted:
        assert time.monotonic() < deadline, f"{path} does not answer {wanted}"
        time.sleep(0.1)


def test_it_outlives_its_database(serve: Callable[[str], Any], state: Path) -> None:
    settings = Settings(state=state, database_port=free_port())
    with service.running(database.prepare(settings)):
        url = database.url(settings)
        with psycopg.connect(url, autocommit=True) as conn:
            migrate(conn)
        running = serve(url)
        assert status(running, "/healthz") == 200
        feed = HTTPConnection("127.0.0.1", running.port, timeout=60)
        feed.request("GET", "/live")
        stream = feed.getresponse()
        read_event(stream, "snapshot")
    for path in ("/healthz", "/sites"):
        code, body = running.get(path)
        assert (code, json.loads(body)["detail"]) == (
            503, "the database cannot be reached at the moment; try again")  # fmt: skip
    with closing(feed), closing(stream), service.running(database.prepare(settings)):
        wait_for(running, "/healthz", 200)
        assert status(running, "/sites") == 200
        with psycopg.connect(url, autocommit=True) as conn:
            emit(conn, "moved", subject="after", region="64")
        read_event(stream, "moved")  # on the same connection: the client has noticed nothing


def read_event(stream: Any, name: str) -> None:
    while line := stream.readline():
        if line.startswith(b"event: "):
            assert line == f"event: {name}\n".encode()
            return
    raise EOFError("the feed has ended")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
