"""Replies to commands: whose they are, what they measured, and the event that tells of them.

A reply names its command by the msgid, and so its device. Every reply is told once; the same one again is
absorbed, another one to the same command is refused: the first stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import Connection

from domain.flow import emit
from domain.reply import Reply
from domain.wire import encode
from ingest.codecs import dp
from ingest.decoded import Decoded

if TYPE_CHECKING:
    from ingest.resolve import Arrival, Contents


@dataclass(slots=True)
class Asked:
    """A command that was given to a device: what a reply to it must fit to, and the one that came already."""

    device: str
    name: str
    key_sha256: str
    replied: str | None


def attribute(conn: Connection[Any], arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
    """Return the arrivals, each reply with its device and with the results in it; what is refused is said."""
    msgids = [reply.msgid for arrival in arrivals for reply in arrival.decoded.replies]
    if not msgids:
        return arrivals
    asked = _asked(conn, [msgid for msgid in msgids if _is_uuid(msgid)])
    return [
        arrival._replace(decoded=_attributed(arrival, asked)) if arrival.decoded.replies else arrival
        for arrival in arrivals
    ]


def keep(conn: Connection[Any], batch: Sequence[Contents]) -> None:
    """Emit `replied` for each reply, in the open transaction."""
    for contents in batch:
        for reply, sender in contents.replies:
            body = {
                "device": sender.code,
                "result": reply.result,
                "reason": reply.values.get("reason", ""),
                "reply": reply.text,
                "at": contents.arrival.received_at,
            }
            emit(conn, "replied", subject=reply.msgid, region=sender.region, body=body)


def _asked(conn: Connection[Any], msgids: Sequence[str]) -> dict[str, Asked]:
    rows = conn.execute(
        "SELECT c.id::text, t.code, c.name, encode(sha256(convert_to(t.apikey, 'UTF8')), 'hex'),"
        "  coalesce(c.reply, (SELECT e.body ->> 'reply' FROM event e"
        "                     WHERE e.kind = 'replied' AND e.subject = c.id::text ORDER BY e.id LIMIT 1))"
        " FROM command c JOIN thing t ON t.id = c.thing WHERE c.id = ANY(%s::uuid[])",
        (list(msgids),),
    )
    return {msgid: Asked(*rest) for msgid, *rest in rows}


def _attributed(arrival: Arrival, asked: dict[str, Asked]) -> Decoded:
    [reply] = arrival.decoded.replies
    command = asked.get(reply.msgid)
    if command is None:
        return Decoded(problems=("a reply to a command that was not given here",))
    if reply.key_sha256 not in ("", command.key_sha256):
        problem = f"a reply to a command for {command.device} with another apikey: another device sent it"
        return Decoded(problems=(problem,))
    if reply.name != command.name:
        problem = f"a reply to {reply.name}, but its msgid is that of a {command.name}"
        return Decoded(device=command.device, problems=(problem,))
    if command.replied is not None:
        again = command.replied == reply.text
        problem = f"a second, different reply to the {command.name} {reply.msgid}: the first stays"
        return Decoded(device=command.device, problems=() if again else (problem,))
    command.replied = reply.text
    return _measured(arrival, reply, command.device)


def _measured(arrival: Arrival, reply: Reply, device: str) -> Decoded:
    """Return the reply with what it measured, read as the device's own `$dp` payload would be."""
    said = Decoded(device=device, replies=(reply,))
    if reply.name not in ("sample", "getstatus"):
        return said
    sensors = reply.values.get("datastreams", {})
    if not isinstance(sensors, dict):
        return said._replace(problems=("datastreams: expected a JSON object of sensors with their values",))
    if "state" in reply.values:
        sensors = {**sensors, "S1_ZT_1": reply.values["state"]}
    if not sensors:
        return said
    try:
        measured = dp.decode(dp.TOPIC, encode({device: sensors}), arrival.received_at)
    except ValueError as error:
        return said._replace(problems=(str(error),))
    return said._replace(readings=measured.readings, problems=measured.problems)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
