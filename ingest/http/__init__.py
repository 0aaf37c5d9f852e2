"""The door for devices that speak HTTP: every module of this folder that has a `router` is one protocol.

What comes gets a topic below `http/` and goes the way of all messages; the device hears 2xx after the commit.
A record that cannot be read goes to quarantine and is answered like any other: a phone that hears 4xx sends
the same record again for ever, and everything behind it waits (OwnTracks, Traccar Client).
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from datetime import UTC, datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request

from domain.process import Job
from domain.settings import Settings
from ingest.inbox import Inbox, Incoming
from ingest.store import Outcome

#: a body of more bytes is refused
LONGEST = 16_000_000
#: a device that has waited so long (s) is asked to come again
PATIENCE_S = 30.0
RETRY_AFTER_S = 10


def serving(settings: Settings, inbox: Inbox) -> Job:
    """Return the job that listens on the intake port and fills the inbox; RuntimeError: the port is taken."""
    place = (settings.intake_bind, settings.intake_port)

    def serve(stop: threading.Event) -> None:
        try:
            listening = socket.create_server(place)
        except OSError as error:
            raise RuntimeError(
                f"cannot listen on {place[0]}:{place[1]} (LIUPAN_INTAKE_PORT): {error}"
            ) from error
        server = uvicorn.Server(
            uvicorn.Config(app(inbox, settings.database_url), log_config=None, access_log=False)
        )
        listener = threading.Thread(target=server.run, args=([listening],), name="intake")
        listener.start()
        stop.wait()
        server.should_exit = True
        listener.join()

    return serve


def app(inbox: Inbox, database_url: str = "") -> FastAPI:
    """Return the application that puts what it is told into the inbox, and reads there what waits for it."""
    made = FastAPI(title="Liupan intake", docs_url=None, redoc_url=None, openapi_url=None)
    made.state.inbox, made.state.database_url = inbox, database_url
    for found in iter_modules(__path__):
        if router := getattr(import_module(f"{__name__}.{found.name}"), "router", None):
            made.include_router(router)
    return made


async def whole_body(request: Request) -> bytes:
    """Return the body, for `Depends`; HTTPException 413: it is too long."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise HTTPException(413, f"longer than {LONGEST} bytes")
    return b"".join(parts)


#: the parameter of a route that takes the raw body
Body = Annotated[bytes, Depends(whole_body)]


def hand_over(request: Request, topic: str, payload: bytes) -> Outcome:
    """Put the payload into the inbox and return what became of it, after the commit.

    HTTPException 503: it is not stored yet, the device should come again.
    """
    told: Future[Outcome] = Future()
    incoming = Incoming(topic, payload, datetime.now(UTC), told.set_result)
    try:
        if request.app.state.inbox.put(incoming, PATIENCE_S):
            return told.result(PATIENCE_S)
    except TimeoutError:
        pass
    raise HTTPException(503, "not stored yet: come again", {"Retry-After": str(RETRY_AFTER_S)})
