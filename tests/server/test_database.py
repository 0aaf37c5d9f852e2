"""The embedded PostgreSQL: only for us, only on this machine, and nothing committed is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from domain.settings import Settings
from server import database, service
from server.database import url


@pytest.fixture
def settings(state: Path, free_port: Callable[[], int]) -> Settings:
    return Settings(state=state / "a folder", database_port=free_port())


def test_what_was_committed_outlives_a_stop_and_a_kill(settings: Settings) -> None:
    with service.running(database.prepare(settings)) as process, psycopg.connect(url(settings)) as conn:
        conn.execute("CREATE TABLE kept (n integer)")
        conn.execute("INSERT INTO kept VALUES (1)")
    assert process.returncode == 0
    with service.running(database.prepare(settings)) as process:
        with psycopg.connect(url(settings)) as conn:
            conn.execute("INSERT INTO kept VALUES (2)")
        process.kill()
        process.wait()
    with service.running(database.prepare(settings)), psycopg.connect(url(settings)) as conn:
        assert conn.execute("SELECT n FROM kept ORDER BY n").fetchall() == [(1,), (2,)]
        assert conn.execute("SHOW fsync").fetchone() == ("on",)
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_server_that_was_left_behind_is_stopped_and_replaced(settings: Settings) -> None:
    with service.running(database.prepare(settings)) as left, service.running(database.prepare(settings)):
        assert left.poll() == 0
        with psycopg.connect(url(settings)) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


def test_it_is_ours_alone(settings: Settings) -> None:
    with service.running(database.prepare(settings)) as process:
        password = settings.state / "postgres.password"
        assert password.stat().st_mode & 0o777 == 0o600
        assert Path(f"/proc/{process.pid}").stat().st_uid != 0
        wrong = url(settings).replace(password.read_text(), "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        with psycopg.connect(url(settings)) as conn:
            assert conn.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
            assert conn.execute("SHOW unix_socket_directories").fetchone() == ("",)


def test_a_half_made_folder_is_made_anew(settings: Settings) -> None:
    half = settings.state / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with service.running(database.prepare(settings)), psycopg.connect(url(settings)) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("liupan",)


def test_a_process_number_that_somebody_else_has_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n")
    database.end_leftover(tmp_path)


def test_one_that_is_set_is_used(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, database_url="postgresql://elsewhere/x")
    with database.available(settings) as address:
        assert address == "postgresql://elsewhere/x"
    assert not list(tmp_path.iterdir())
