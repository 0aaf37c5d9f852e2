"""OwnTracks by HTTP: one message or an array in the body; the answer is the list of what is new for the phone.

Source: OwnTracks booklet, HTTP chapter. The user comes from Basic authentication (not checked: there are no
accounts yet), `X-Limit-U` or `?u=`, the device from `X-Limit-D` or `?d=`; else the message's `topic` names both.
"""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Header, Request

from ingest.http import Body, hand_over

router = APIRouter()


@router.post("/pub")
@router.post("/owntracks")
def publish(
    request: Request,
    payload: Body,
    u: str = "",
    d: str = "",
    x_limit_u: Annotated[str, Header()] = "",
    x_limit_d: Annotated[str, Header()] = "",
    authorization: Annotated[str, Header()] = "",
) -> list[object]:
    """Answer with nothing new after the commit; a message that cannot be read is in quarantine by then."""
    user = u or _utf8(x_limit_u) or _user(authorization)
    topic = f"http/owntracks/{_level(user)}/{_level(d or _utf8(x_limit_d))}"
    hand_over(request, topic, payload)
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
