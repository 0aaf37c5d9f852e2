"""OwnTracks by HTTP: one message or an array in the body; the answer is the list of what is new for it.

Source: OwnTracks booklet, HTTP chapter. The user comes from `?u=`, `X-Limit-U` or Basic authentication (not
checked: there are no accounts yet), the device from `?d=` or `X-Limit-D`; else from the message's `topic`.
"""

from __future__ import annotations

import base64

from fastapi import APIRouter, Request

from ingest.http import Body, hand_over

router = APIRouter()


@router.post("/pub")
@router.post("/owntracks")
def publish(request: Request, payload: Body) -> list[object]:
    """Answer with nothing new after the commit; a message that cannot be read is in quarantine by then."""
    query, headers = request.query_params, request.headers
    user = query.get("u") or _utf8(headers.get("X-Limit-U", "")) or _user(headers.get("Authorization", ""))
    device = query.get("d") or _utf8(headers.get("X-Limit-D", ""))
    hand_over(request, f"http/owntracks/{_level(user)}/{_level(device)}", payload)
    return []


def _user(authorization: str) -> str:
    """Return the user of Basic authentication (RFC 7617), '' when there is none."""
    scheme, _, pair = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(pair, validate=True).decode(errors="replace").partition(":")[0]
    except ValueError:
        return ""


def _utf8(header: str) -> str:
    """Return the header as its sender wrote it: HTTP hands bytes on as Latin-1."""
    return header.encode("latin-1", "replace").decode(errors="replace")


def _level(name: str) -> str:
    """Return the name as a level of a topic, '' where it cannot be one."""
    return name if name.isprintable() and "/" not in name else ""
