"""OGC SensorThings API 1.1 (18-088): Observations are created; reading is on the HTTP server's port.

201 with the Location of the Observation comes after the commit; what cannot be stored is answered by 400, or
by 404 for an unknown datastream, and is in quarantine. A value that is known already is 201 again, so that a
gateway may repeat itself; a different one for the same time is kept as a revision.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from domain import wire
from ingest.codecs import sensorthings
from ingest.decoded import Numbered
from ingest.http import Body, hand_over
from ingest.numbered import NO_DATASTREAM

router = APIRouter(prefix="/v1.1")


@router.post("/Datastreams({number})/Observations")
def create_of_datastream(request: Request, body: Body, number: str) -> Response:
    """Store what the body holds of the datastream."""
    path = f"Datastreams({number})/Observations"
    if sensorthings.number_in(path) is None:
        return _refusal(404, f"{NO_DATASTREAM} {number!r}: the numbers stand in /v1.1/Datastreams")
    return _create(request, path, body)


@router.post("/Observations")
def create(request: Request, body: Body) -> Response:
    """Store what the body holds; it names the datastream."""
    return _create(request, "Observations", body)


@router.post("/CreateObservations")
def create_many(request: Request, body: Body) -> Response:
    """Store data arrays; the answer is a list of links, with `error` for what could not be stored."""
    return _create(request, "CreateObservations", body)


def _create(request: Request, path: str, body: bytes) -> Response:
    topic = f"http/sta/{path}"
    outcome = hand_over(request, topic, body)
    if outcome.reason and not outcome.kept:
        return _refusal(404 if outcome.reason.startswith(NO_DATASTREAM) else 400, outcome.reason)
    content, keys = wire.parse(body), iter(outcome.keys)
    if sensorthings.is_many(content):
        found = sensorthings.results(topic, content)
        links = [
            _link(request, each, next(keys)) if isinstance(each, Numbered) else "error" for each in found
        ]
        return JSONResponse(links, 201)
    (result,) = sensorthings.decode(topic, body, datetime.now(UTC)).numbered
    return Response(status_code=201, headers={"Location": _link(request, result, next(keys))})


def _link(request: Request, result: Numbered, key: tuple[int, int] | None) -> str:
    """Return where the result stands: an Observation, or for a text the Datastream; `error` when nowhere."""
    if key is None:
        return "error"
    datastream, at_us = key
    place = f"Observations('{datastream},{at_us}')"
    if isinstance(result.result, str):
        place = f"Datastreams({datastream})"
    return f"{request.base_url}v1.1/{place}"


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"code": status, "type": "error", "message": reason}, status)
