"""What went wrong, told over HTTP: one table from exception to status, and no inner details to clients."""

from __future__ import annotations

import logging

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from domain.incident import IllegalMove
from server.registry_read import RegistryError
from server.sensorthings import Fault

log = logging.getLogger(__name__)


class NotFound(Exception):
    """There is no such thing, or it lies in a region that the caller may not see."""


class Forbidden(Exception):
    """The caller may not do this."""


class Taken(Exception):
    """It is there already, or somebody else was faster."""


#: exception -> status; its own words are for people
TOLD: dict[type[Exception], int] = {NotFound: 404, Forbidden: 403, Taken: 409, IllegalMove: 409,
                                    RegistryError: 422}  # fmt: skip

#: exception -> status and what is said instead of its words, which stay in the log
HIDDEN: dict[type[Exception], tuple[int, str]] = {
    psycopg.OperationalError: (503, "the database cannot be reached at the moment; try again"),
    psycopg.DataError: (422, "a value in the request is nothing that the database can hold"),
}


def install(app: FastAPI) -> None:
    """Make the app answer with the tables' statuses; everything else is a 500 without details."""

    def told(_: Request, error: Exception) -> JSONResponse:
        status = next(TOLD[kind] for kind in type(error).__mro__ if kind in TOLD)
        return JSONResponse({"detail": str(error)}, status)

    def hidden(request: Request, error: Exception) -> JSONResponse:
        status, words = next(HIDDEN[kind] for kind in type(error).__mro__ if kind in HIDDEN)
        log.warning("%s %s: %s", request.method, request.url.path, " ".join(str(error).split()))
        return JSONResponse({"detail": words}, status)

    def fault(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Fault)  # noqa: S101 - it is installed for nothing else
        return error.told()

    app.add_exception_handler(Fault, fault)
    for kind in TOLD:
        app.add_exception_handler(kind, told)
    for kind in HIDDEN:
        app.add_exception_handler(kind, hidden)
