"""One child process: started in a session of its own, waited for, stopped; dies with its parent."""

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
    #: added to this process's own environment
    env: Mapping[str, str] = field(default_factory=dict)
    #: system user to run as; None: the one who asks
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    #: killed when it has not stopped by itself after this long (s)
    patience_s: float = 10.0


def start(service: Service) -> subprocess.Popen[bytes]:
    """Start the process, its output going to its log; it ends when this process does, however that ends."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    if service.log.exists() and service.log.stat().st_size > LOG_SIZE:
        service.log.replace(service.log.with_suffix(".old.log"))
    with service.log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - our own command lines
            service.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **service.env},
            user=service.user,
            group=service.user,
            extra_groups=[] if service.user else None,
            start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor only
            preexec_fn=lambda: _die_with_parent(service.stop_signal),  # noqa: PLW1509 - one call of prctl
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


def _die_with_parent(number: int) -> None:
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
