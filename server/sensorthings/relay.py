"""POST of SensorThings on this server's port: the body goes on to ingest, its answer comes back.

Only ingest writes observations; this way a client needs one address for reading and writing.
"""

from __future__ import annotations

from email.message import Message
from http import HTTPStatus
from http.client import HTTPException as BrokenAnswer
from urllib.error import HTTPError
from urllib.request import Request as Onward
from urllib.request import urlopen

from fastapi import Request
from fastapi.responses import Response

from domain.settings import Settings
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
    # a server on all interfaces is reached on the loopback one
    host = "127.0.0.1" if settings.intake_bind in ("0.0.0.0", "::") else settings.intake_bind  # noqa: S104
    headers = {"Host": request.url.netloc, "X-Forwarded-Proto": request.url.scheme}
    address = f"http://{host}:{settings.intake_port}{request.url.path}"
    try:
        with urlopen(Onward(address, body, headers), timeout=PATIENCE_S) as answer:
            return _told(answer.status, answer.headers, answer.read())
    except HTTPError as answer:
        return _told(answer.code, answer.headers, answer.read())
    except (OSError, BrokenAnswer) as error:
        words = f"ingest does not answer ({error}): come again"
        raise Fault(HTTPStatus.SERVICE_UNAVAILABLE, words) from error


def _told(status: int, headers: Message, body: bytes) -> Response:
    return Response(body, status, {name: headers[name] for name in TOLD if headers[name]})
