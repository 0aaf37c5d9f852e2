"""Database, broker and the four processes, kept running until Ctrl-C."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import FrameType

import psycopg

from domain.process import log_to_stderr
from domain.settings import Settings
from server import broker, database, ports, run_state
from server.migrate import migrate
from server.service import Service
from server.supervisor import Child, Say, halt, launch, watch

log = logging.getLogger(__name__)

#: our processes, each `python -m <name>`
PROCESSES = ("ingest", "warning", "enforcement", "server")

#: how long (s) a port may stay taken by a run that was killed and is still ending
GRACE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What runs: the settings, with the addresses of database and broker, and the processes."""

    settings: Settings
    children: list[Child]
    #: set when nothing is watched any more
    ended: threading.Event

    def pids(self) -> dict[str, int]:
        """Return the process number of each service that runs now, by name."""
        return {c.service.name: c.process.pid for c in self.children if c.process.poll() is None}


def main(argv: list[str]) -> int:
    """Run everything until Ctrl-C, SIGTERM or SIGHUP; one line for each thing that happens."""
    ArgumentParser(prog="liupan up", description=__doc__).parse_args(argv)
    log_to_stderr("up")
    interrupt_on_signals()
    try:
        with running(Settings.from_env()) as stack:
            log.info("everything runs: open %s/docs, stop with Ctrl-C", http_url(stack.settings))
            stack.ended.wait()
    except KeyboardInterrupt:
        log.info("stopped")
        return 0
    return 1


def interrupt_on_signals() -> None:
    """Turn the first SIGINT, SIGTERM or SIGHUP into KeyboardInterrupt; while it unwinds, ignore more."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in numbers:
        signal.signal(each, interrupt)


@contextmanager
def running(settings: Settings, say: Say = log.info, processes: Sequence[str] = PROCESSES) -> Iterator[Stack]:
    """Run the whole installation for the length of the block; what dies is started again.

    `say` is given one line for each thing that happens. RuntimeError, with what to do: it runs already, a
    port is taken, something does not start.
    """
    with run_state.lock(settings.state):
        children: list[Child] = []
        stop = threading.Event()
        try:
            settings = _start_servers(settings, children, say)
            with psycopg.connect(settings.database_url, autocommit=True) as conn:
                migrate(conn)
            children += launch([_process(name, settings) for name in processes], say)
        except BaseException:
            halt(children)
            raise
        stack = Stack(settings=settings, children=children, ended=threading.Event())

        def note() -> None:
            run_state.write(settings.state, _run(stack))

        def keep() -> None:
            try:
                watch(children, stop, note, say)
            finally:
                stack.ended.set()

        note()
        keeper = threading.Thread(target=keep, name="supervisor")
        keeper.start()
        try:
            yield stack
        finally:
            stop.set()
            keeper.join()
            run_state.clear(settings.state)


def http_url(settings: Settings) -> str:
    """Return the address of the HTTP server for this machine."""
    return f"http://{ports.near(settings.http_bind)}:{settings.http_port}"


def _start_servers(settings: Settings, children: list[Child], say: Say) -> Settings:
    """Start the database and the broker that are not set, and return the settings with their addresses."""
    services = []
    patience_s = GRACE_S if run_state.left_behind(settings.state) else 0.0
    run_state.clear(settings.state)
    ports.check_free(settings.http_bind, settings.http_port, "LIUPAN_HTTP", patience_s)
    if settings.intake_port:
        ports.check_free(settings.intake_bind, settings.intake_port, "LIUPAN_INTAKE", patience_s)
    for port, name in ((settings.sl651_port, "LIUPAN_SL651"), (settings.szy206_port, "LIUPAN_SZY206")):
        if port:
            ports.check_free(settings.sl651_bind, port, name, patience_s)
    if not settings.mqtt_url:
        services.append(broker.prepare(settings))
        ports.check_free(settings.mqtt_bind, settings.mqtt_port, "LIUPAN_MQTT", patience_s)
        settings = replace(settings, mqtt_url=broker.url(settings))
    if not settings.database_url:
        services.append(database.prepare(settings))
        ports.check_free("127.0.0.1", settings.database_port, "LIUPAN_DATABASE", patience_s)
        settings = replace(settings, database_url=database.url(settings))
    children += launch(services, say)
    return settings


def _process(name: str, settings: Settings) -> Service:
    return Service(
        name=name,
        argv=[sys.executable, "-P", "-m", name],
        log=settings.state / "log" / f"{name}.log",
        ready=(lambda: ports.accepts(settings.http_bind, settings.http_port)) if name == "server" else None,
        needs=("postgres", "mosquitto"),
        env={f"LIUPAN_{each.name.upper()}": str(getattr(settings, each.name)) for each in fields(settings)},
    )


def _run(stack: Stack) -> dict[str, object]:
    return {
        "database_url": stack.settings.database_url,
        "mqtt_url": stack.settings.mqtt_url,
        "http_url": http_url(stack.settings),
        "pids": stack.pids(),
    }
