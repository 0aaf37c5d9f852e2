"""OGC SensorThings API 1.1 below /v1.1: entities, what they lead to, and creation of Observations.

Every path is declared, so that the description of the interface and the test of regions see them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from psycopg import Connection

from server.caller import Caller, Officer, Reader
from server.errors import Forbidden
from server.routes import Db
from server.sensorthings import Fault, options
from server.sensorthings.entity import Entity, Link, read_id
from server.sensorthings.model import DATASTREAMS, ENTITIES
from server.sensorthings.query import Ask, Row, find, page, path_of, show
from server.sensorthings.relay import hand_on, whole_body
from server.sensorthings.statement import Parents

router = APIRouter(prefix="/v1.1", tags=["sensorthings"])

Route = Callable[..., Any]
Body = Annotated[bytes, Depends(whole_body)]

#: the requirements of OGC 18-088 that are met
CONFORMANCE = [
    f"http://www.opengis.net/spec/iot_sensing/1.1/req/{name}"
    for name in (
        "request-data/status-code", "request-data/query-status-code", "request-data/order",
        "request-data/select", "request-data/orderby", "request-data/top", "request-data/skip",
        "request-data/count", "request-data/pagination", "create-observations-via-mqtt/observations-creation",
    )
]  # fmt: skip


@router.get("")
def show_root(request: Request, caller: Reader) -> dict[str, Any]:
    """Show what there is."""
    value = [{"name": name, "url": f"{_root(request)}/{name}"} for name in ENTITIES]
    return {"value": value, "serverSettings": {"conformance": CONFORMANCE}}


def listed(entity: Entity) -> Route:
    """Return the route to all of an entity's set."""

    def route(request: Request, conn: Db, caller: Reader) -> JSONResponse:
        asked = options.parse(entity, request.query_params.multi_items())
        return JSONResponse(page(_ask(request, conn, caller), entity, asked, entity.name))

    return route


def single(entity: Entity) -> Route:
    """Return the route to one entity by its id."""

    def route(request: Request, conn: Db, caller: Reader, id: str) -> JSONResponse:
        asked = options.parse_for_one(entity, request.query_params.multi_items())
        ask = _ask(request, conn, caller)
        return JSONResponse(show(ask, entity, [_row(ask, entity, id, asked)], asked)[0])

    return route


def followed(entity: Entity, name: str, link: Link) -> Route:
    """Return the route to what a link of an entity leads to."""
    target = ENTITIES[link.to]

    def route(request: Request, conn: Db, caller: Reader, id: str) -> JSONResponse:
        parse = options.parse if link.many else options.parse_for_one
        asked = parse(target, request.query_params.multi_items())
        ask = _ask(request, conn, caller)
        row = _row(ask, entity, id, options.parse(entity, ()))
        key = row[f"to {name}"]
        parents = Parents(link=link, keys=[] if key is None else [key])
        if link.many:
            return JSONResponse(page(ask, target, asked, f"{path_of(entity, row)}/{name}", parents))
        found = find(ask, target, asked, parents=parents)
        if found is None:
            raise _missing(f"{name} of {entity.name}({id})")
        return JSONResponse(show(ask, target, [found], asked)[0])

    return route


@router.post("/Datastreams({id})/Observations", status_code=HTTPStatus.CREATED)
def create_of_datastream(request: Request, caller: Officer, id: str, body: Body) -> Response:
    """Store an Observation, or several, of one datastream; 201 after the commit, with its Location."""
    with request.app.state.pool.connection() as conn:  # not held while ingest is waited for
        _row(_ask(request, conn, caller), DATASTREAMS, id, options.parse(DATASTREAMS, ()))
    return hand_on(request, body)


@router.post("/Observations", status_code=HTTPStatus.CREATED)
@router.post("/CreateObservations", status_code=HTTPStatus.CREATED)
def create(request: Request, caller: Officer, body: Body) -> Response:
    """Store Observations of the datastreams that the body names; for who sees the whole installation."""
    if not caller.whole:
        raise Forbidden("who sees a part of the installation posts to Datastreams(<id>)/Observations")
    return hand_on(request, body)


def _row(ask: Ask, entity: Entity, id: str, asked: options.Options) -> Row:
    key = read_id(entity, id)
    found = None if key is None else find(ask, entity, asked, key=key)
    if found is None:
        raise _missing(f"{entity.name}({id})")
    return found


def _missing(what: str) -> Fault:
    return Fault(HTTPStatus.NOT_FOUND, f"there is no {what}, or it lies in a region that you do not see")


def _ask(request: Request, conn: Connection[Any], caller: Caller) -> Ask:
    return Ask(conn=conn, region=caller.region, root=_root(request))


def _root(request: Request) -> str:
    return f"{request.base_url}v1.1"


def _declare() -> None:
    many, one = _described(options.SUPPORTED), _described(options.OF_ONE)
    for entity in ENTITIES.values():
        path, single_path = f"/{entity.name}", f"/{entity.name}({{id}})"
        router.add_api_route(path, listed(entity), description=f"List {entity.name}.", openapi_extra=many)
        told = f"Show one of {entity.name}."
        router.add_api_route(single_path, single(entity), description=told, openapi_extra=one)
        for name, link in entity.links.items():
            told = f"Follow {name} of one of {entity.name}."
            extra = many if link.many else one
            path = f"{single_path}/{name}"
            router.add_api_route(path, followed(entity, name, link), description=told, openapi_extra=extra)


def _described(names: Iterable[str]) -> dict[str, Any]:
    """Return how the description of the interface tells of these query options."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": options.SUPPORTED[name],
                "schema": {"type": "string"},
            }
            for name in names
        ]
    }


_declare()
