"""Commands to stations: asked for, sent until a reply comes or the time is up, and moved on only here.

A repeat bears the same msgid, so that the station acts once. A station that is asleep finds the command in
its session at the broker when it comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from paho.mqtt.client import Client
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.command import CommandState, build, check_move, resolve, topic
from domain.command_words import COMMANDS
from domain.flow import Event, Handler, emit
from domain.wire import new_id
from warning.outlet import Outlet

log = logging.getLogger(__name__)

#: s to wait for a reply after each sending; after the last one the command has timed out
WAITS_S = (30, 120, 600)
#: nothing is sent later than this after it was asked: a loudspeaker must not speak of yesterday's storm
AT_ALL = timedelta(seconds=sum(WAITS_S))

#: result in a reply -> state; a reply with values has none
ANSWERS = {"fail": CommandState.FAILED, "succ": CommandState.SUCCEEDED, "": CommandState.SUCCEEDED}
ANSWERED = frozenset(ANSWERS.values())
OPEN = frozenset({CommandState.PENDING, CommandState.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command with what its moves need to know; `thing_mode` and `apikey` are those of now."""

    id: UUID
    thing: str
    region: str
    name: str
    params: dict[str, str] = field(repr=False)
    mode: str
    state: str
    asked_at: datetime
    tries: int
    thing_mode: str
    apikey: str = field(repr=False)


def ask(conn: Connection[Any], thing: str, name: str, params: Mapping[str, object], by: str) -> UUID:
    """Ask a station to do something, in its own mode; return the command's id.

    ValueError: a parameter that it cannot have, or a thing without commands. LookupError: no such thing.
    """
    command, texts = resolve(name, params)
    if command.topic != "cmd":
        raise ValueError(
            f"{command.name} needs the firmware sent behind it, which is not done yet: use update"
        )
    with conn.transaction():
        row = conn.execute(
            "SELECT id, region, mode, kind, apikey <> '' FROM thing WHERE code = %s", (thing,)
        ).fetchone()
        if row is None:
            raise LookupError(f"there is no thing {thing!r}")
        number, region, mode, kind, has_key = row
        if kind != "station" or "/" in thing:
            raise ValueError(f"{thing} is no national station: nothing would hear the command")
        if not has_key:
            raise ValueError(f"{thing} has no apikey, it would refuse: register it with `liupan import`")
        id = new_id()
        conn.execute(
            "INSERT INTO command (id, thing, region, name, params, mode, state, asked_by, asked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                id,
                number,
                region,
                command.name,
                Jsonb(texts),
                mode,
                CommandState.PENDING,
                by,
                datetime.now(UTC),
            ),
        )
        body = {"thing": thing, "name": command.name, "mode": mode, "by": by}
        emit(conn, "commanded", subject=str(id), region=region, body=body)
    return id


def cancel(conn: Connection[Any], id: UUID, by: str) -> None:
    """Send the command no more; IllegalMove when it has ended already, LookupError: no such command."""
    with conn.transaction():
        _move(conn, _order(conn, id), CommandState.CANCELLED, reason=f"cancelled by {by}")


def commander(client: Client) -> Handler:
    """Return the handler of `commanded`, `unreplied` and `replied`, publishing through this client."""

    def command(conn: Connection[Any], events: Sequence[Event]) -> None:
        outlet = Outlet(client=client)
        for event in events:
            order = _order(conn, UUID(event.subject))
            if event.kind == "replied":
                _answered(conn, order, event.body)
            elif order.state in OPEN:
                _send(conn, order, outlet)
        outlet.settle()

    return command


def _send(conn: Connection[Any], order: Order, outlet: Outlet) -> None:
    """Send the command, for the first time or again, or end it."""
    if order.thing_mode != order.mode:
        reason = f"{order.thing} is {order.thing_mode} now, the command is {order.mode}"
        _move(conn, order, CommandState.CANCELLED, reason=reason)
    elif not order.apikey:
        _move(conn, order, CommandState.CANCELLED, reason=f"{order.thing} has no apikey any more")
    elif order.tries >= len(WAITS_S) or datetime.now(UTC) - order.asked_at > AT_ALL:
        _move(conn, order, CommandState.TIMED_OUT, reason=_too_late(order.tries))
    else:
        payload = build(order.name, order.params, order.apikey, str(order.id))
        outlet.publish(topic(order.thing, COMMANDS[order.name]), payload)
        conn.execute("UPDATE command SET tries = tries + 1 WHERE id = %s", (order.id,))
        if order.state == CommandState.PENDING:
            _move(conn, order, CommandState.SENT)
        emit(conn, "unreplied", subject=str(order.id), region=order.region, delay_s=WAITS_S[order.tries])


def _too_late(tries: int) -> str:
    minutes = AT_ALL.seconds // 60
    if not tries:
        return f"it could not be sent within {minutes} min, and nobody may want it any more: ask again"
    return f"no reply to {tries} sendings within {minutes} min; a late one still counts"


def _answered(conn: Connection[Any], order: Order, said: Mapping[str, Any]) -> None:
    """Note what the device says; its first reply counts."""
    if order.state in ANSWERED:
        log.info("%s has replied to %s %s again", order.thing, order.name, order.id)
        return
    if order.thing != said["device"]:
        raise ValueError(f"a reply of {said['device']} to the command {order.id}, which is for {order.thing}")
    state = ANSWERS[said["result"]]
    reason = ""
    if state == CommandState.FAILED:
        reason = str(said["reason"] or "the device answered fail")
        if order.tries > 1:
            reason += f"; it was sent {order.tries} times, the device may have obeyed one before"
    _move(conn, order, state, reason=reason, reply=said["reply"], answered_at=said["at"])


def _order(conn: Connection[Any], id: UUID) -> Order:
    """Return the command and hold it until the transaction ends; LookupError: there is none."""
    with conn.cursor(row_factory=class_row(Order)) as cursor:
        order = cursor.execute(
            "SELECT c.id, t.code AS thing, c.region, c.name, c.params, c.mode, c.state, c.asked_at, c.tries,"
            " t.mode AS thing_mode, t.apikey"
            " FROM command c JOIN thing t ON t.id = c.thing WHERE c.id = %s FOR UPDATE OF c",
            (id,),
        ).fetchone()
    if order is None:
        raise LookupError(f"no command {id}")
    return order


def _move(
    conn: Connection[Any],
    order: Order,
    state: CommandState,
    *,
    reason: str = "",
    reply: str | None = None,
    answered_at: str | None = None,
) -> None:
    """Bring a command into its next state and tell it; IllegalMove when that cannot follow."""
    check_move(CommandState(order.state), state)
    conn.execute(
        "UPDATE command SET state = %(state)s, reason = %(reason)s, reply = %(reply)s,"
        " sent_at = CASE WHEN %(state)s = 'sent' THEN clock_timestamp() ELSE sent_at END,"
        " answered_at = %(answered_at)s::timestamptz WHERE id = %(id)s",
        {"state": state, "reason": reason, "reply": reply, "answered_at": answered_at, "id": order.id},
    )
    body = {"thing": order.thing, "name": order.name, "state": state, "mode": order.mode, "reason": reason}
    emit(conn, "advanced", subject=str(order.id), region=order.region, body=body)
