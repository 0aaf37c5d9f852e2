"""The schema is applied once, whoever starts first, and the regions are there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg import Connection

from server.migrate import SCHEMA, has_timescaledb, migrate


def test_a_second_run_applies_nothing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        assert migrate(conn) == []


def test_one_observation_table_of_the_kind_that_the_server_can(conn: Connection[Any]) -> None:
    names = {name for (name,) in conn.execute("SELECT name FROM migration")}
    other = "native" if has_timescaledb(conn) else "timescale"
    assert names == {path.name for path in SCHEMA.glob("*.sql") if not path.stem.endswith(other)}
    table = conn.execute("SELECT relkind FROM pg_class WHERE oid = 'observation'::regclass").fetchone()
    assert table == ("r" if has_timescaledb(conn) else "p",)


def test_several_processes_may_migrate_at_once(server_url: str) -> None:
    from urllib.parse import urlsplit

    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE liupan_test_at_once")
        url = urlsplit(server_url)._replace(path="/liupan_test_at_once").geturl()

        def run(_: int) -> int:
            with psycopg.connect(url, autocommit=True) as conn:
                return len(migrate(conn))

        try:
            with ThreadPoolExecutor(3) as pool:
                applied = sorted(pool.map(run, range(3)))
        finally:
            admin.execute("DROP DATABASE liupan_test_at_once WITH (FORCE)")
    assert applied[:2] == [0, 0]
    assert applied[2] > 0
