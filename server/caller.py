"""Who asks: the region that he may see and his role; the only place that decides it.

There are no accounts yet: everybody who reaches the port is an officer of the whole installation, and may
make himself smaller. Accounts will change this module and no route.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Header, Request

from server.errors import Forbidden


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"  # read
    OFFICER = "officer"  # read, and order rescue teams


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who asks; he sees what lies in regions whose GB/T 2260 code begins with `region`."""

    region: str
    role: Role
    #: sees the whole installation, and so also what belongs to no region (payloads of unknown senders)
    whole: bool


def caller(
    request: Request,
    x_liupan_region: Annotated[
        str | None, Header(pattern="^[0-9]{0,12}$", description="see only this prefix of region codes")
    ] = None,
    x_liupan_role: Annotated[Role | None, Header(description="be no more than this")] = None,
) -> Caller:
    """Return who asks. Forbidden: the header asks for a region outside of the installation's own."""
    own: str = request.app.state.settings.region
    region = own if x_liupan_region is None else x_liupan_region
    if not region.startswith(own):
        raise Forbidden(f"region {region!r} lies outside of this installation's {own!r}")
    return Caller(region=region, role=x_liupan_role or Role.OFFICER, whole=region == own)


Reader = Annotated[Caller, Depends(caller)]


def officer(who: Reader) -> Caller:
    """Return who asks, when he may give orders; Forbidden otherwise."""
    if who.role is not Role.OFFICER:
        raise Forbidden(f"a {who.role} may not give orders")
    return who


Officer = Annotated[Caller, Depends(officer)]
