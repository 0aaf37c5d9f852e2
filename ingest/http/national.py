"""The paths of the national platforms and of their provincial relatives, for stations that post.

Answers are those of the platform that these paths come from: {"errno", "error"}, 0 is good. What cannot be
stored at all is kept in quarantine and answered with HTTP 200 too, so that it does not come again for ever;
only a wrong apikey is answered with 401. Source of the paths: gateways and clients of vendors (the standard
is not public); nothing public tells how waiting commands are listed, so that is the plainest form.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from domain import reply, wire
from domain.command import build
from ingest.barred import WRONG_KEY
from ingest.http import Body, hand_over

router = APIRouter()

GOOD = {"errno": 0, "error": "succ"}
#: stands for a device that is not named, or cannot be part of a topic
NOBODY = "-"


@router.post("/api/devices/datapoints")
def datapoints(
    request: Request, payload: Body, device: Annotated[str, Query(alias="deviceId")] = ""
) -> JSONResponse:
    """Take data (JSON, the device is named in it) or raw GNSS observations (`?deviceId=`)."""
    return _keep(request, device or _text_in(payload, "deviceId") or NOBODY, payload)


@router.post("/api/devices/{device}/datapoints")
def datapoints_of(request: Request, device: str, payload: Body) -> JSONResponse:
    """Take data as the platform of Guizhou does."""
    return _keep(request, device, payload)


@router.get("/api/devices/{device}/deliveryHistory")
def delivery_history(request: Request, device: str) -> dict[str, Any]:
    """Tell a station the commands that wait for its answer; HTTPException 401: not with its apikey."""
    with psycopg.connect(request.app.state.database_url, autocommit=True) as conn:
        rows = conn.execute(
            "SELECT t.apikey, c.id::text, c.name, c.params FROM thing t"
            " LEFT JOIN command c ON c.thing = t.id AND c.mode = t.mode AND c.state IN ('pending', 'sent')"
            " WHERE t.code = %s ORDER BY c.id",
            (device,),
        ).fetchall()
    if not rows or not rows[0][0] or not compare_digest(rows[0][0].encode(), _key_of(request).encode()):
        raise HTTPException(401, WRONG_KEY)
    waiting = [build(name, params, key, msgid).decode("gb2312") for key, msgid, name, params in rows if msgid]
    return {**GOOD, "data": waiting}


@router.post("/api/devices/{device}/deliveryResponse")
def delivery_response(request: Request, device: str, payload: Body) -> JSONResponse:
    """Take the answer to a command, named by its msgid: {"data": "$cmd=...&msgid=...&result=succ"}."""
    return _answer(request, reply.TOPIC, _text_in(payload, "data").encode(errors="replace") or payload)


def _keep(request: Request, device: str, payload: bytes) -> JSONResponse:
    is_level = device.isprintable() and not set(device) & set("/+#") and 0 < len(device) <= 100
    topic = f"http/dp/{device if is_level else NOBODY}"
    if key := _key_of(request):
        topic += "/" + sha256(key.encode()).hexdigest()
    return _answer(request, topic, payload)


def _answer(request: Request, topic: str, payload: bytes) -> JSONResponse:
    outcome = hand_over(request, topic, payload)
    if outcome.kept or not outcome.reason:
        return JSONResponse(GOOD)
    return JSONResponse({"errno": 1, "error": outcome.reason}, 401 if WRONG_KEY in outcome.reason else 200)


def _key_of(request: Request) -> str:
    return request.headers.get("apikey") or request.headers.get("api-key") or ""


def _text_in(payload: bytes, name: str) -> str:
    """Return what the JSON says under that name, '' when it says nothing there."""
    try:
        said = wire.decode(payload).get(name)
    except ValueError:
        return ""
    return str(said) if isinstance(said, str | int) else ""
