"""The HTTP door: 2xx after the commit, 503 when nothing can be stored, bounded bodies."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from psycopg import Connection

from domain.settings import Settings
from domain.wire import up_topic
from ingest import batch, http, inbox
from ingest.http import Body, hand_over
from ingest.inbox import Inbox

router = APIRouter()


@router.post("/echo")
def echo(request: Request, payload: Body) -> dict[str, Any]:
    """Hand over what a station would have published."""
    outcome = hand_over(request, up_topic("st-a", "observation"), payload)
    return {"kept": outcome.kept, "reason": outcome.reason}


class Mute:
    """Nobody listens to the broker here."""

    def tell(self, device: str, stored: object) -> None: ...

    def flush(self) -> None: ...


@pytest.fixture
def box() -> Inbox:
    return Inbox()


@pytest.fixture
def client(box: Inbox) -> Iterator[TestClient]:
    app: FastAPI = http.app(box)
    app.include_router(router)
    with TestClient(app) as made:
        yield made


@pytest.fixture
def stored(registered_url: str, box: Inbox) -> Iterator[Connection[Any]]:
    """A connection, while another one stores what is in the inbox."""
    stop = threading.Event()
    with (
        psycopg.connect(registered_url, autocommit=True) as conn,
        psycopg.connect(registered_url, autocommit=True) as reader,
    ):
        settings = Settings(state=Path())
        work = threading.Thread(target=batch.run, args=(conn, box, Mute(), settings, stop))
        work.start()
        yield reader
        stop.set()
        work.join()


BODY = b'{"datastream": "rain", "phenomenon_time": "2026-08-12T02:50:00Z", "result": 1.5, "unit": "mm"}'


def test_the_answer_comes_after_the_commit(client: TestClient, stored: Connection[Any]) -> None:
    assert client.post("/echo", content=BODY).json() == {"kept": True, "reason": ""}
    assert stored.execute("SELECT result FROM observation").fetchall() == [(1.5,)]


def test_what_cannot_be_read_is_kept_and_the_device_hears_why(
    client: TestClient, stored: Connection[Any]
) -> None:
    told = client.post("/echo", content=b"{").json()
    assert not told["kept"]
    assert told["reason"]
    assert stored.execute("SELECT payload FROM rejected").fetchall() == [(b"{",)]


def test_a_device_is_asked_to_come_again_while_nothing_can_be_stored(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE_S", 0.05)
    told = client.post("/echo", content=BODY)
    assert (told.status_code, told.headers["retry-after"]) == (503, str(http.RETRY_AFTER_S))
    monkeypatch.setattr(inbox, "WAITING", 0)
    assert client.post("/echo", content=BODY).status_code == 503


def test_a_body_without_end_is_refused_before_it_is_whole(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST", 1000)
    told = client.post("/echo", content=(b"x" * 100 for _ in range(20)))
    assert told.status_code == 413


def test_the_job_listens_until_it_is_stopped(box: Inbox, free_port: Any) -> None:
    port, stop = free_port(), threading.Event()
    job = http.serving(Settings(state=Path(), intake_port=port), box)
    work = threading.Thread(target=job, args=(stop,))
    work.start()
    end = time.monotonic() + 20
    while not _answers(port) and time.monotonic() < end:
        time.sleep(0.05)
    assert _answers(port)
    stop.set()
    work.join(20)
    assert not work.is_alive()


def test_a_taken_port_ends_the_process_with_a_word(box: Inbox, free_port: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"127.0.0.1:{port}"):
            http.serving(Settings(state=Path(), intake_port=port), box)(threading.Event())


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def test_an_unknown_path_says_so(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
