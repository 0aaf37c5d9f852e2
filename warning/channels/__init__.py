"""Delivery channels, one file each: the module is the plug-in, its name is the channel's name.

A channel has `send(delivery, outlet) -> None`: it hands one delivery over, or raises to have it retried.
What goes to the broker goes through the outlet, which waits for the acknowledgement of a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from uuid import UUID

from domain.alert import Level
from warning.outlet import Outlet


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An alert as a recipient needs it; the polygon is the site's ring of [longitude, latitude]."""

    identifier: str
    mode: str
    message_type: str
    level: Level
    headline_zh: str
    headline_en: str
    instruction_zh: str
    instruction_en: str
    sent: datetime
    expires: datetime
    site: Mapping[str, object]
    threatened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert for one recipient by one channel; its id is the same at every try."""

    id: UUID
    channel: str
    address: str
    region: str
    notice: Notice


Send = Callable[[Delivery, Outlet], None]


def load() -> dict[str, Send]:
    """Return the channels by name; AttributeError at start for a module without `send`."""
    return {found.name: import_module(f"{__name__}.{found.name}").send for found in iter_modules(__path__)}
