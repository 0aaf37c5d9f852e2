"""Keeps services running: what dies is started again, later each time; all are stopped in reverse order."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from server import service
from server.service import Service

#: seconds before a dead service is started again, after its first death, its second, ...
BACK_OFF_S = (1, 2, 5, 10)

#: who has lived this long (s) begins again with the first
WELL_S = 60

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Child:
    """A service, and the process that runs it."""

    service: Service
    process: subprocess.Popen[bytes]
    born: float
    deaths: int = 0
    #: when to start it again (monotonic s); None: it runs
    due: float | None = None


def launch(services: Iterable[Service], say: Say) -> list[Child]:
    """Start the services together and wait until all are ready.

    RuntimeError: one of them has ended instead; then the others are stopped.
    """
    children: list[Child] = []
    try:
        for each in services:
            children.append(Child(service=each, process=service.start(each), born=time.monotonic()))
        for child in children:
            service.wait_ready(child.service, child.process)
            say(f"{child.service.name} started (pid {child.process.pid})")
    except BaseException:
        halt(children)
        raise
    return children


def watch(children: Sequence[Child], stop: threading.Event, changed: Callable[[], None], say: Say) -> None:
    """Start again what dies, until `stop` is set; then stop all. `changed` is called after each new start."""
    try:
        while not stop.wait(0.1):
            for child in children:
                if child.due is None:
                    _look(child, say)
                elif time.monotonic() >= child.due and _needs_are_ready(child, children):
                    child.process = service.start(child.service)
                    child.born, child.due = time.monotonic(), None
                    changed()
                    say(f"{child.service.name} started again (pid {child.process.pid})")
    finally:
        halt(children)


def halt(children: Sequence[Child]) -> None:
    """Stop the services: those that need others together and first, then those others, the last one first."""
    users = [child for child in children if child.service.needs]
    for child in users:
        if child.process.poll() is None:
            child.process.send_signal(child.service.stop_signal)
    for child in users + [child for child in reversed(children) if child not in users]:
        service.stop(child.service, child.process)


def _look(child: Child, say: Say) -> None:
    code = child.process.poll()
    if code is None:
        return
    if time.monotonic() - child.born > WELL_S:
        child.deaths = 0
    wait_s = BACK_OFF_S[min(child.deaths, len(BACK_OFF_S) - 1)]
    child.deaths += 1
    child.due = time.monotonic() + wait_s
    how = f"code {code}" if code >= 0 else signal.Signals(-code).name
    say(f"{child.service.name} died ({how}): {service.last_words(child.service.log)}")


def _needs_are_ready(child: Child, children: Sequence[Child]) -> bool:
    needed = [other for other in children if other.service.name in child.service.needs]
    return all(o.due is None and (o.service.ready is None or o.service.ready()) for o in needed)
