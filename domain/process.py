"""How a process runs: a thread for each job, a clean stop on a signal, a loud end otherwise."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from queue import SimpleQueue

log = logging.getLogger(__name__)

#: exit code of a process that broke off and wants to be started again (EX_TEMPFAIL of sysexits.h)
BROKEN = 75

#: a job works until the sign is set; what it raises ends the process
Job = Callable[[threading.Event], None]


def log_to_stderr(name: str) -> None:
    """Write the log of this process to stderr in the form that all processes share."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s")


def run(jobs: Mapping[str, Job], patience_s: float = 5.0) -> int:
    """Run each job in a thread of its name until SIGTERM or SIGINT; return the exit code.

    A job that raises ends the whole process with code 75 and one line in the log: half a process helps
    nobody. After a signal the jobs have `patience_s` seconds to finish; what is cut off was not committed.
    """
    end: SimpleQueue[int] = SimpleQueue()  # its put() may interrupt itself, as a signal handler does
    stop, first = threading.Event(), threading.Lock()

    def break_off(died: threading.ExceptHookArgs) -> None:
        if first.acquire(blocking=False):  # the others tell the same: the database is gone
            log.critical("%s broke off: %s", died.thread and died.thread.name, _in_one_line(died))
            end.put(BROKEN)

    threading.excepthook = break_off
    # a job that waits for the database a dozen times must not wait 5 ms (the default) each time for one
    # that calculates
    sys.setswitchinterval(0.0005)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.put(0))
    threads = [
        threading.Thread(target=job, args=(stop,), name=name, daemon=True) for name, job in jobs.items()
    ]
    for thread in threads:
        thread.start()
    log.info("running: %s", ", ".join(jobs))
    code = end.get()
    stop.set()
    for thread in threads if code == 0 else []:
        thread.join(patience_s)
    if code == 0:
        log.info("stopped")  # else the reason stays the last line, which the supervisor repeats
    return code


def _in_one_line(died: threading.ExceptHookArgs) -> str:
    at = traceback.extract_tb(died.exc_traceback)[-1:]
    place = f" ({at[0].filename}:{at[0].lineno})" if at else ""
    return f"{died.exc_type.__name__}: {' '.join(str(died.exc_value).split())}{place}"
