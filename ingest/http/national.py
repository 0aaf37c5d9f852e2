"""The paths of the national platforms and of their provincial relatives, for stations that post.

Answers are those of the platform that these paths come from: {"errno", "error"}, 0 is good. What cannot be
stored at all is kept in quarantine and answered with HTTP 200 too, so that it does not come again for ever.
Source of the paths: gateways and clients of vendors (the standard is not public).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from domain import wire
from ingest.http import Body, hand_over

router = APIRouter()

#: stands for a device that is not named, or cannot be part of a topic
NOBODY = "-"


@router.post("/api/devices/datapoints")
def datapoints(
    request: Request, payload: Body, device: Annotated[str, Query(alias="deviceId")] = ""
) -> dict[str, Any]:
    """Take data (JSON, the device is named in it) or raw GNSS observations (`?deviceId=`)."""
    return _keep(request, device or _named_in(payload), payload)


@router.post("/api/devices/{device}/datapoints")
def datapoints_of(request: Request, device: str, payload: Body) -> dict[str, Any]:
    """Take data as the platform of Guizhou does."""
    return _keep(request, device, payload)


def _keep(request: Request, device: str, payload: bytes) -> dict[str, Any]:
    is_level = device.isprintable() and not set(device) & set("/+#") and 0 < len(device) <= 100
    outcome = hand_over(request, f"http/dp/{device if is_level else NOBODY}", payload)
    if outcome.kept or not outcome.reason:
        return {"errno": 0, "error": "succ"}
    return {"errno": 1, "error": outcome.reason}


def _named_in(payload: bytes) -> str:
    try:
        named = wire.decode(payload).get("deviceId")
    except ValueError:
        return NOBODY
    return str(named) if isinstance(named, str | int) else NOBODY
