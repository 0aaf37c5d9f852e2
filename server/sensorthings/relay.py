"""POST of SensorThings on this server's port: the body goes on to ingest, its answer comes back.

Only ingest writes observations; this way a client needs one address for reading and writing.
"""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from fastapi import Request
from fastapi.responses import Response

from domain.settings import Settings
from server import ports
from server.sensorthings import Fault

#: a body of more bytes is refused, as ingest does
LONGEST = 16_000_000
#: ingest answers within 30 s, or says that one should come again
PATIENCE_S = 35.0
#: what of the answer is for the client
TOLD = ("Location", "Content-Type", "Retry-After")


async def whole_body(request: Request) -> bytes:
    """Return the body, for `Depends`; Fault 413: it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Fault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"longer than {LONGEST} bytes")
    return bytes(body)


def hand_on(request: Request, body: bytes) -> Response:
    """Return what ingest answers to this body on this path; Fault 503: it does not.

    It is asked in the name of the host that the client has asked, as its answer has links.
    """
    settings: Settings = request.app.state.settings
    headers = {"Host": request.url.netloc, "X-Forwarded-Proto": request.url.scheme}
    ingest = HTTPConnection(ports.near(settings.intake_bind), settings.intake_port, timeout=PATIENCE_S)
    try:
        with closing(ingest):
            ingest.request("POST", request.url.path, body, headers)
            answer = ingest.getresponse()
            told = {name: value for name in TOLD if (value := answer.headers[name])}
            return Response(answer.read(), answer.status, told)
    except (OSError, HTTPException) as error:
        words = f"ingest does not answer on port {settings.intake_port} ({error}): come again"
        raise Fault(HTTPStatus.SERVICE_UNAVAILABLE, words) from error
