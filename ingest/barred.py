"""Senders of whom nothing in a payload may be stored, although it could be read: who or when is in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ingest.decoded import Decoded
from ingest.fields import quoted
from ingest.registry import Sender

NOBODY: dict[str, str] = {}
#: Beijing time behind a Z is 8 h ahead; what was measured within the last hour lies this far ahead of receipt
BEIJING = timedelta(hours=7), timedelta(hours=8, minutes=10)

#: why nothing is stored of who comes with another apikey than the registered one, or without
WRONG_KEY = "wrong apikey: it is not the one that is registered for the device"


def barred(decoded: Decoded, received_at: datetime, senders: Mapping[str, Sender]) -> dict[str, str]:
    """Return the senders of whom nothing may be stored, each with the reason.

    A payload that names several is stored only when all are registered. Times that would be right in Beijing
    are refused: once they were stored, the right results at the same times would be mere revisions.
    """
    sender = senders.get(decoded.device) if decoded.key_sha256 is not None else None
    if sender and sender.key_sha256 not in ("", decoded.key_sha256):
        return {sender.code: WRONG_KEY}
    if len(decoded.readings) == 1 and not decoded.files:  # as nearly always: said quickly
        at = decoded.readings[0].phenomenon_time
        if at is None or at.tzinfo is None or at - received_at < BEIJING[0]:
            return NOBODY
    newest = _newest(decoded)
    unknown = [thing for thing in newest if thing not in senders]
    if unknown and len(newest) > 1:
        reason = (
            f"names {len(newest)} devices, which must all be registered, and {quoted(unknown[0])} is not"
            " registered: add it with `liupan import FILE`, then store this with"
            " `liupan rejected replay --all`"
        )
        return dict.fromkeys(newest, reason)
    return {
        thing: _set_zone(thing, at, received_at)
        for thing, at in newest.items()
        if at is not None
        and (sender := senders.get(thing)) is not None
        and sender.zone == "UTC"
        and BEIJING[0] <= at - received_at <= BEIJING[1]
    }


def _newest(decoded: Decoded) -> dict[str, datetime | None]:
    """Return the newest time that each sender in the payload writes in UTC, None where it writes none."""
    newest: dict[str, datetime | None] = {}
    told = dict.fromkeys((reading.thing, reading.phenomenon_time) for reading in decoded.readings)
    for thing, at in (*told, *((file.thing, file.at) for file in decoded.files)):
        known = newest.setdefault(thing, None)
        if at is not None and not at.utcoffset() and (known is None or at > known):
            newest[thing] = at
    return newest


def _set_zone(thing: str, at: datetime, received_at: datetime) -> str:
    return (
        f"device clock: {quoted(thing)} writes {at.isoformat()}, about 8 h ahead of its receipt"
        f" {received_at.isoformat()}: if it writes Beijing time behind the Z, set its time_zone to"
        " Asia/Shanghai with `liupan import FILE`, then store this with `liupan rejected replay --all`; else"
        " set its clock"
    )
