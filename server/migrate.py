"""The schema: applies server/schema/*.sql once each, and keeps the table of regions up to date."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from domain.process import log_to_stderr
from domain.settings import Settings
from server import database, regions, run_state

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).with_name("schema")

#: several processes may start at once: one migrates, the others wait
LOCK = 6_402_000


def main(argv: list[str]) -> int:
    """Migrate the database that is set or runs; without either the embedded one is started for it."""
    ArgumentParser(prog="liupan migrate", description=__doc__).parse_args(argv)
    log_to_stderr("migrate")
    settings = run_state.joined(Settings.from_env())
    with database.available(settings) as url, psycopg.connect(url, autocommit=True) as conn:
        applied = migrate(conn)
    print(f"{len(applied)} migrations applied: {', '.join(applied)}" if applied else "nothing to do")
    return 0


def migrate(conn: Connection[Any]) -> list[str]:
    """Apply in name order, each in its own transaction, the files not applied yet; return their names.

    The connection must be in autocommit mode and may create tables.
    """
    conn.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());"
            "CREATE TABLE IF NOT EXISTS installation"
            " (one boolean PRIMARY KEY DEFAULT true CHECK (one), timescaledb boolean NOT NULL)"
        )
        other = "_native.sql" if has_timescaledb(conn) else "_timescale.sql"
        done = {name for (name,) in conn.execute("SELECT name FROM migration")}
        todo = [path for path in sorted(SCHEMA.glob("*.sql"))
                if path.name not in done and not path.name.endswith(other)]  # fmt: skip
        for path in todo:
            with conn.transaction():
                conn.execute(path.read_bytes())
                conn.execute("INSERT INTO migration (name) VALUES (%s)", (path.name,))
            log.info("applied %s", path.name)
        if changed := regions.load(conn):
            log.info("%d regions loaded", changed)
    finally:
        conn.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    return [path.name for path in todo]


def has_timescaledb(conn: Connection[Any]) -> bool:
    """Say whether this installation keeps observations in TimescaleDB: found out once, then remembered."""
    known = conn.execute("SELECT timescaledb FROM installation").fetchone()
    if known is None:
        found = _enable_timescaledb(conn)
        known = conn.execute(
            "INSERT INTO installation (timescaledb) VALUES (%s) RETURNING timescaledb", (found,)
        ).fetchone()
        log.info("TimescaleDB %s", "is used" if found else "is not there: native partitions are used")
    return bool(known and known[0])


def _enable_timescaledb(conn: Connection[Any]) -> bool:
    # Creating the extension where its library is not preloaded would end the connection, so look first.
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
        " AND current_setting('timescaledb.max_background_workers', true) IS NOT NULL"
    ).fetchone()
    if not row or not row[0]:
        return False
    conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    return True
