"""Commands to stations: asked for, looked at, taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer

from domain.command import public
from domain.reply import parse
from server.caller import Caller, Officer, Reader
from server.routes import Db, Limit, Out, row, rows
from warning.command import ask, cancel

router = APIRouter(tags=["commands"])


class Wanted(BaseModel):
    """What a station shall do: a command, raw or friendly, with its parameters (domain/command_words.py)."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(examples=["sampling"])]
    params: Annotated[
        dict[str, str | int | float],
        Field(examples=[{"sensor": "L1_LF_1", "sample": 60, "upload": 300, "plus": 60}]),
    ] = {}


class Command(Out):
    """A command and how far it has come; `values` is what the reply holds."""

    id: UUID
    thing: str
    region: str
    mode: str
    name: str
    params: dict[str, str]
    state: str
    reason: str
    asked_by: str
    asked_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    tries: int
    reply: str | None

    @field_serializer("params")
    def _covered(self, params: dict[str, str]) -> dict[str, str]:
        return public(self.name, params)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def values(self) -> dict[str, Any]:
        """What the reply holds beside its result."""
        return dict(parse(self.reply.encode()).values) if self.reply else {}


QUERY: LiteralString = (
    "SELECT c.id, t.code AS thing, c.region, c.mode, c.name, c.params, c.state, c.reason, c.asked_by,"
    " c.asked_at, c.sent_at, c.answered_at, c.tries, c.reply"
    " FROM command c JOIN thing t ON t.id = c.thing WHERE starts_with(t.region, %(region)s)"
)


class Code(Out):
    """The code of a thing that the caller may see."""

    code: str


@router.post("/things/{code:path}/commands", status_code=201)
def ask_command(conn: Db, caller: Officer, code: str, wanted: Wanted) -> Command:
    """Ask the station to do something; it is sent at once, and again until the station replies."""
    _check_visible(conn, caller, code)
    try:
        id = ask(conn, code, wanted.name, wanted.params, f"{caller.role} {caller.region}")
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return show_command(conn, caller, id)


@router.get("/things/{code:path}/commands")
def list_commands(
    conn: Db,
    caller: Reader,
    code: str,
    after: Annotated[UUID | None, Query(description="id of the last one of the page before")] = None,
    limit: Limit = 100,
) -> list[Command]:
    """List the commands to a station, the newest first."""
    _check_visible(conn, caller, code)
    return rows(
        conn,
        Command,
        QUERY + " AND t.code = %(code)s AND (%(after)s::uuid IS NULL OR c.id < %(after)s)"
        " ORDER BY c.id DESC LIMIT %(limit)s",
        {"region": caller.region, "code": code, "after": after, "limit": limit},
    )


@router.get("/commands/{id}")
def show_command(conn: Db, caller: Reader, id: UUID) -> Command:
    """Show one command."""
    return row(
        conn, Command, QUERY + " AND c.id = %(id)s", {"region": caller.region, "id": id}, f"command {id}"
    )


@router.post("/commands/{id}/cancel")
def cancel_command(conn: Db, caller: Officer, id: UUID) -> Command:
    """Send the command no more; a station that has it already may still obey."""
    show_command(conn, caller, id)
    cancel(conn, id, f"{caller.role} {caller.region}")
    return show_command(conn, caller, id)


def _check_visible(conn: Db, caller: Caller, code: str) -> None:
    row(
        conn,
        Code,
        "SELECT code FROM thing WHERE starts_with(region, %(region)s) AND code = %(code)s",
        {"region": caller.region, "code": code},
        f"thing {code}",
    )
