"""OsmAnd and Traccar Client by HTTP: GET or POST, a query string, an urlencoded body or JSON.

Source: Traccar's OsmAnd protocol. Whoever names no device hears 400; everything else is answered 200, stored
or in quarantine, as Traccar Client sends a refused record again for ever.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from ingest.codecs.osmand import device_of
from ingest.http import Body, hand_over

router = APIRouter()


@router.get("/")
@router.post("/")
@router.get("/osmand")
@router.post("/osmand")
def report(request: Request, body: Body) -> Response:
    """Answer after the commit. HTTPException 400: no device is named, the payload is in quarantine."""
    payload = request.scope["query_string"] or body
    device = device_of(payload)
    hand_over(request, f"http/osmand/{_level(device)}", payload)
    if not device:
        raise HTTPException(400, "no id: write ?id=<device> (or device_id in JSON)")
    return Response()


def _level(device: str) -> str:
    """Return the device as a level of a topic; the codec reads it in the payload itself."""
    return "".join(c if c.isprintable() and c != "/" else "_" for c in device)
