"""Fixtures: a real PostgreSQL, a real broker, the data folder."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import Connection, sql

from domain.settings import Settings
from server import broker as embedded_broker
from server import database as embedded_database
from server import service
from server.migrate import migrate

TEMPLATE = "liupan_test_template"
numbers = itertools.count(1)

#: processes of several tests run side by side: a door that nobody asked for would be one too many
os.environ |= {"LIUPAN_INTAKE_PORT": "0", "LIUPAN_SL651_PORT": "0"}


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Ask it for a port on which nobody listens."""
    return _free_port


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server on which databases can be made: LIUPAN_TEST_DATABASE_URL, or an embedded one."""
    if url := os.environ.get("LIUPAN_TEST_DATABASE_URL"):
        yield url
        return
    with TemporaryDirectory(prefix="liupan-") as folder:
        settings = Settings(state=Path(folder), database_port=_free_port())
        with service.running(embedded_database.prepare(settings)):
            yield embedded_database.url(settings, "postgres")


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a migrated database that others are cloned from."""
    name = f"{TEMPLATE}_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(at(server_url, name), autocommit=True) as conn:
            migrate(conn)
        # Nobody may be connected to a database that is cloned; TimescaleDB's scheduler would be.
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        yield name
        drop(admin, name)


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """An empty, migrated database for this test alone."""
    yield from clone(server_url, template)


@pytest.fixture(scope="session")
def worker_url(server_url: str, template: str) -> Iterator[str]:
    yield from clone(server_url, template)


@pytest.fixture
def conn(worker_url: str) -> Iterator[Connection[Any]]:
    """A connection whose every change is undone after the test."""
    with psycopg.connect(worker_url, autocommit=True) as conn, conn.transaction(force_rollback=True):
        yield conn


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The address of a real broker shared by this worker's tests."""
    with TemporaryDirectory(prefix="liupan-") as folder:
        settings = Settings(state=Path(folder), mqtt_port=_free_port())
        with service.running(embedded_broker.prepare(settings)):
            yield embedded_broker.url(settings)


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder; not pytest's own, whose permissions each new test session takes away again."""
    with TemporaryDirectory(prefix="liupan-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of reference data."""
    default = Path(__file__).parents[1] / "../shared/data"
    folder = Path(os.environ.get("LIUPAN_DATA") or default).resolve()
    if not folder.is_dir():
        reason = f"no reference data in {folder}: set LIUPAN_DATA"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def clone(server_url: str, template: str) -> Iterator[str]:
    name = f"liupan_test_{os.getpid()}_{next(numbers)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield at(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as admin:
        drop(admin, name)


def drop(admin: Connection[Any], name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def at(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
