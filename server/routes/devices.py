"""Devices that nobody has registered: they belong to no region, so only who sees all sees them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from server.caller import Officer, Reader
from server.errors import Forbidden
from server.registry_check import Installation
from server.routes import Db
from server.unclaimed import Claim, Claimed, Unclaimed, claim, unclaimed

router = APIRouter(prefix="/devices", tags=["devices"])


@router.get("/unclaimed")
def list_unclaimed(
    conn: Db,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=500, description="at most this many")] = 100,
) -> list[Unclaimed]:
    """List unclaimed devices, those first that were heard last; empty for who does not see all regions."""
    return unclaimed(conn, limit=limit) if caller.whole else []


@router.post("/unclaimed/{device:path}/claim")
def claim_device(conn: Db, caller: Officer, request: Request, device: str, said: Claim) -> Claimed:
    """Register a device as a thing; what it has said so far is stored after all."""
    if not caller.whole:
        raise Forbidden(f"who sees only {caller.region} may not claim: the device belongs to no region yet")
    return claim(conn, device, said, Installation.of(request.app.state.settings))
