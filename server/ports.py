"""Ports of this machine: taken, free, listened on."""

from __future__ import annotations

import errno
import socket
import time


def near(bind: str) -> str:
    """Return the address under which this machine reaches what listens on `bind`."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104


def accepts(bind: str, port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        socket.create_connection((near(bind), port), timeout=1).close()
    except OSError:
        return False
    return True


def check_free(bind: str, port: int, variable: str, patience_s: float = 0.0) -> None:
    """Return when the port can be listened on; RuntimeError names the variable to set.

    A port that is taken may become free within `patience_s`.
    """
    until = time.monotonic() + patience_s
    while (problem := _problem(bind, port)) and time.monotonic() < until:
        time.sleep(0.1)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        raise RuntimeError(f"port {port} is taken by another program: set {variable}_PORT to a free one")
    raise RuntimeError(
        f"cannot listen on {bind or 'all addresses'}, port {port} ({problem.strerror}):"
        f" set {variable}_BIND or {variable}_PORT"
    )


def _problem(bind: str, port: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        socket.create_server((bind, port), family=family).close()
    except OSError as error:
        return error
    return None
