"""The consumers of the warning process as jobs; the assessing runs in a process of its own.

Models that calculate must not hold up the telling of alerts: within one process both would share the lock of
the interpreter, and each hop of an alert would wait for the models of all sites. The child ends with its
parent, however that ends, and the parent with its child.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

import psycopg
from psycopg import Connection

from domain.flow import Handler, consume, share_partitions
from domain.process import Job, log_to_stderr, run
from warning.assess import assessor

#: given the connection: a function that tells which partitions may be worked on now
Gate = Callable[[Connection[Any]], Callable[[], Sequence[int] | None]]

#: how often the parent looks whether it should stop (s); that the child has ended it is told at once
LOOK_S = 0.2


def everything(conn: Connection[Any]) -> Callable[[], None]:
    """Let a consumer work on all partitions."""
    return lambda: None


def consuming(database_url: str, consumer: str, handler: Handler, gate: Gate = everything) -> Job:
    """Return the job of one consumer, on a connection of its own."""

    def work(stop: threading.Event) -> None:
        with psycopg.connect(database_url, autocommit=True, application_name="liupan-warning") as conn:
            consume(conn, consumer, handler, stop, gate(conn))

    return work


def assessing(database_url: str, rules_folder: str) -> Job:
    """Return the job that runs the assessing in a child process; RuntimeError when the child has ended."""

    def work(stop: threading.Event) -> None:
        context = multiprocessing.get_context("spawn")
        child = context.Process(target=_assess, args=(database_url, rules_folder), name="assess")
        child.start()
        while not stop.is_set() and not wait([child.sentinel], LOOK_S):
            pass
        if stop.is_set():
            child.terminate()
        child.join()
        if not stop.is_set():
            raise RuntimeError(f"its process ended with code {child.exitcode}, the reason stands above")

    return work


def _assess(database_url: str, rules_folder: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log_to_stderr("warning")
    partitions: Gate = lambda conn: share_partitions(conn, "assess")  # noqa: E731
    sys.exit(run({"assess": consuming(database_url, "assess", assessor(rules_folder), partitions)}))


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)  # nobody is left to tell; what was not committed is handled by the next process
