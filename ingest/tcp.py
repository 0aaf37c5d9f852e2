"""The door for stations that hold a TCP connection: each frame is answered once it is stored.

One thread serves all of them and never waits for one. A station that hears nothing sends again, so what is on
its way when something breaks is not lost.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from contextlib import ExitStack
from selectors import EVENT_READ, EVENT_WRITE
from threading import Event

from domain.process import Job
from domain.settings import Settings
from ingest.inbox import Inbox
from ingest.lines import LINES, Door
from ingest.protocols import SL651, SZY206, Protocol

log = logging.getLogger(__name__)

#: how often (s) it is looked whether to stop, and who is late
TICK_S = 0.5


def serving(settings: Settings, inbox: Inbox) -> Job:
    """Return the job that listens on the ports that are set; RuntimeError: one cannot be listened on."""
    wanted = [(SL651, settings.sl651_port), (SZY206, settings.szy206_port)]
    ports = [(protocol, port) for protocol, port in wanted if port]

    def serve(stop: Event) -> None:
        with ExitStack() as stack:
            waker, woken = (stack.enter_context(each) for each in socket.socketpair())
            selector = stack.enter_context(selectors.DefaultSelector())
            door = Door(inbox=inbox, selector=selector, waker=waker, woken=woken)
            stack.callback(door.close_all)
            for each in (waker, woken):
                each.setblocking(False)
            selector.register(woken, EVENT_READ)
            for protocol, port in ports:
                listening = stack.enter_context(_listen(protocol, settings.sl651_bind, port))
                selector.register(listening, EVENT_READ, protocol)
            _turn_until(stop, door)

    return serve


def _turn_until(stop: Event, door: Door) -> None:
    swept_s = time.monotonic()
    while not stop.is_set():
        for key, ready in door.selector.select(TICK_S):
            _turn(door, key, ready)
        if time.monotonic() - swept_s > TICK_S:
            swept_s = time.monotonic()
            door.sweep(swept_s)


def _turn(door: Door, key: selectors.SelectorKey, ready: int) -> None:
    """Do what one socket is ready for."""
    if isinstance(key.data, Protocol):
        door.accept(key.fileobj, key.data)  # type: ignore[arg-type]
    elif key.data is None:
        door.answer()
    elif key.data in door.lines:  # it may have been cut off since the select
        if ready & EVENT_WRITE:
            door.settle(key.data)
        if ready & EVENT_READ and key.data in door.lines:
            door.read(key.data)


def _listen(protocol: Protocol, bind: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((bind, port), backlog=LINES)
    except OSError as error:
        variable = f"LIUPAN_{protocol.name.upper()}_PORT"
        raise RuntimeError(f"cannot listen on {bind}:{port} ({variable}): {error}") from error
    listening.setblocking(False)
    log.info("waiting for %s stations on %s:%d", protocol.name, bind, port)
    return listening
