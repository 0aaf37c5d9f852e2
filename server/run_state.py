"""What runs on a state folder: the lock that one supervisor holds, and run.json, where the others find it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from domain.settings import Settings


@contextmanager
def lock(state: Path) -> Iterator[None]:
    """Hold the state folder for the block; RuntimeError when another process holds it.

    The kernel lets it go when the process ends, however that ends.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a") as file:
        until = time.monotonic() + 0.5
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() > until:  # no mere look of `read`
                raise RuntimeError(
                    f"Liupan runs already on {state}: stop it first, or set LIUPAN_STATE to another folder"
                )
            time.sleep(0.05)
        yield


def write(state: Path, run: Mapping[str, object]) -> None:
    """Write run.json, readable for its owner only: it holds the database's password."""
    made = state / "run.json.new"
    with open(made, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump(run, file, indent=1)
    made.replace(state / "run.json")


def clear(state: Path) -> None:
    """Remove run.json."""
    (state / "run.json").unlink(missing_ok=True)


def left_behind(state: Path) -> bool:
    """Say whether the last run ended without clearing up; asked while holding the lock."""
    return (state / "run.json").exists()


def read(state: Path) -> dict[str, Any] | None:
    """Return what runs on the folder now (database_url, mqtt_url, http_url, pids by name), None: nothing."""
    try:
        run: dict[str, Any] = json.loads((state / "run.json").read_text())
        with (state / "lock").open() as file:
            if _try_lock(file, fcntl.LOCK_SH):
                return None  # nobody holds the folder: the file was left behind
    except FileNotFoundError:
        return None
    return run


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def joined(settings: Settings) -> Settings:
    """Return the settings with the addresses of what runs on the state folder, where none is set."""
    run = read(settings.state) if not (settings.database_url and settings.mqtt_url) else None
    if run is None:
        return settings
    return replace(
        settings,
        database_url=settings.database_url or run["database_url"],
        mqtt_url=settings.mqtt_url or run["mqtt_url"],
    )


def connect_settings() -> Settings:
    """Return the settings of the environment, joined; ValueError when no address is known.

    For commands that work on what runs already.
    """
    settings = joined(Settings.from_env())
    if not (settings.database_url or settings.mqtt_url):
        raise ValueError(
            f"nothing runs on {settings.state}: start `liupan up` in another terminal, in the same folder,"
            " or set LIUPAN_DATABASE_URL and LIUPAN_MQTT_URL"
        )
    return settings
