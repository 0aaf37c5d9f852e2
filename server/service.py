"""One child process: started, waited for, stopped; it dies with its parent."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

log = logging.getLogger(__name__)

#: a log that has grown beyond this (bytes) is set aside when its process starts
LOG_SIZE = 10_000_000

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How one process is started, known to be ready, and stopped."""

    name: str
    argv: Sequence[str]
    log: Path
    #: is it ready? None: it is as soon as it runs
    ready: Callable[[], bool] | None = None
    #: names of services that must be ready before it is started again
    needs: Sequence[str] = ()
    #: added to this process's own environment
    env: Mapping[str, str] = field(default_factory=dict)
    #: system user to run as; None: the one who asks
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    #: what it gets when this process dies without having stopped it
    orphan_signal: int = signal.SIGKILL
    #: killed when it has not stopped by itself after this long (s)
    patience_s: float = 8.0


class AsUser(TypedDict):
    """Arguments of subprocess that change the user."""

    user: str | None
    group: str | None
    extra_groups: list[str] | None


def as_user(user: str | None) -> AsUser:
    """Return what makes subprocess run a command as that user; None changes nothing."""
    return {"user": user, "group": user, "extra_groups": [] if user else None}


def start(service: Service) -> subprocess.Popen[bytes]:
    """Start the process, its output going to its log; it ends when the thread that started it does.

    It leads a session of its own, so that Ctrl-C in the terminal reaches its supervisor only.
    """
    service.log.parent.mkdir(parents=True, exist_ok=True)
    if service.log.exists() and service.log.stat().st_size > LOG_SIZE:
        service.log.replace(service.log.with_suffix(".old.log"))
    parent = os.getpid()
    with service.log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603
            service.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **service.env},
            cwd="/" if service.user else None,  # ours may be closed to that user
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent, service.orphan_signal),  # noqa: PLW1509
            **as_user(service.user),
        )


def wait_ready(service: Service, process: subprocess.Popen[bytes]) -> None:
    """Wait, however long it takes, until it is ready; RuntimeError with its last words if it ends."""
    said_at = time.monotonic()
    while service.ready and not service.ready():
        if process.poll() is not None:
            raise RuntimeError(
                f"{service.name} ended with code {process.returncode}: {last_words(service.log)}"
                f" (all of it in {service.log})"
            )
        if time.monotonic() - said_at > 10:
            said_at = time.monotonic()
            log.info("still waiting for %s: %s", service.name, last_words(service.log))
        time.sleep(0.02)


def stop(service: Service, process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop and wait; kill it when its patience is over."""
    if process.poll() is None:
        process.send_signal(service.stop_signal)
    try:
        process.wait(service.patience_s)
    except subprocess.TimeoutExpired:
        log.warning("%s did not stop within %.0f s: killed", service.name, service.patience_s)
        process.kill()
        process.wait()


@contextmanager
def running(service: Service) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process, ready, for the length of the block."""
    process = start(service)
    try:
        wait_ready(service, process)
        yield process
    finally:
        stop(service, process)


def last_words(path: Path) -> str:
    """Return the last line that a log has, or `no output`."""
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1].strip() if lines else "no output"


def _die_with(parent: int, number: int) -> None:
    """In the new process: ask the kernel for a signal when the parent dies. Only system calls are safe."""
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)
