"""An installation of its own beside the real one: for the demo and for measuring."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from domain.settings import Settings
from server import run_state

#: what an installation cannot do without; elsewhere port 0 means that nobody listens
NEEDED = ("database_port", "mqtt_port", "http_port")


def apart(settings: Settings, folder: Path) -> Settings:
    """Return settings for an installation with its own database and broker in the folder, on free ports.

    The usual ports are kept where nobody listens on them.
    """
    names = [each.name for each in fields(settings)]
    wanted = {
        name: getattr(settings, name)
        for name in names
        if name.endswith("_port") and (name in NEEDED or getattr(settings, name))
    }
    ports: dict[str, Any] = dict(zip(wanted, free_ports(*wanted.values()), strict=True))
    binds: dict[str, Any] = {name: "127.0.0.1" for name in names if name.endswith("_bind")}
    return replace(settings, state=folder, database_url="", mqtt_url="", **ports, **binds)


def free_ports(*wanted: int) -> list[int]:
    """Return for each port this one if it is free, or else another that is; 0 wants any."""
    listeners = []
    for port in wanted:
        try:
            listener = socket.create_server(("127.0.0.1", port))
        except OSError:
            listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def clear(folder: Path) -> None:
    """Empty the state folder of an installation that does not run; RuntimeError when it does."""
    with run_state.lock(folder):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                with suppress(FileNotFoundError):
                    entry.unlink()
