"""The HTTP server: all of its wiring, top to bottom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from psycopg_pool import ConnectionPool

from domain.settings import Settings
from server import errors
from server.live import Feed, listen
from server.routes import (
    alerts,
    assessments,
    cases,
    commands,
    counts,
    device_reports,
    devices,
    dispatches,
    health,
    incidents,
    leads,
    live,
    observations,
    regions,
    registry,
    rejected,
    sensorthings,
    sites,
    station_files,
    things,
    tracks,
    units,
)

#: commands stands before things, whose codes may contain slashes
NOUNS = (regions, sites, commands, things, observations, station_files, assessments, alerts, incidents,
         dispatches, units, tracks, device_reports, leads, cases, rejected, devices,
         registry, counts, live, health,
         sensorthings)  # fmt: skip


def make_pool(settings: Settings) -> ConnectionPool:
    """Return the pool, not open yet; it survives a database that goes away and comes back.

    While it is away a request waits 3 s at most; each later request makes the pool try again.
    """
    return ConnectionPool(
        settings.database(),
        kwargs={
            "autocommit": True,
            "application_name": "liupan-server",
            "options": "-c statement_timeout=20s",
        },
        min_size=1,
        max_size=10,
        timeout=3.0,
        reconnect_timeout=2.0,
        check=ConnectionPool.check_connection,
        open=False,
    )


def create_app(settings: Settings, ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """Return the application; `ending` tells open live feeds that the process is about to end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        app.state.settings = settings
        app.state.pool = make_pool(settings)
        app.state.feed = Feed(asyncio.get_running_loop(), ending)
        listener = threading.Thread(target=listen, args=(settings.database(), app.state.feed, stop))
        app.state.pool.open()
        listener.start()
        try:
            yield
        finally:
            stop.set()
            await asyncio.to_thread(listener.join)
            app.state.pool.close()

    app = FastAPIOffline(title="Liupan", redoc_url=None, lifespan=lifespan, description=__doc__)
    errors.install(app)
    for noun in NOUNS:
        app.include_router(noun.router)

    @app.get("/", include_in_schema=False)
    def start() -> RedirectResponse:
        """Lead people to the description of the interface."""
        return RedirectResponse("/docs")

    return app
