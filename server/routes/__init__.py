"""One file per noun; here is what they share: the connection of a request, rows as models, pages, levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, LiteralString, TypeVar

from fastapi import Depends, Query, Request
from psycopg import Connection
from psycopg.rows import class_row
from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer

from domain.alert import Level
from server.errors import NotFound


class Out(BaseModel):
    """Something that is shown; made from a row whose columns have the fields' names."""

    model_config = ConfigDict(frozen=True)


Shown = TypeVar("Shown", bound=Out)

#: a level goes out by its word: none, blue, yellow, orange, red
LevelWord = Annotated[Level, PlainSerializer(lambda level: Level(level).word, return_type=str)]

#: rows of one page
Limit = Annotated[int, Query(ge=1, le=500, description="at most this many")]

#: a time in a request: ISO 8601 with an offset, whose + must be written %2B
Moment = AwareDatetime | None


def connection(request: Request) -> Iterator[Connection[Any]]:
    """Lend a connection of the pool for the length of the route's function."""
    with request.app.state.pool.connection() as conn:
        yield conn


Db = Annotated[Connection[Any], Depends(connection, scope="function")]


def rows(
    conn: Connection[Any], model: type[Shown], query: LiteralString, params: Mapping[str, object]
) -> list[Shown]:
    """Return what the query finds, each row as one `model`."""
    with conn.cursor(row_factory=class_row(model)) as cursor:
        return cursor.execute(query, params).fetchall()


def row(
    conn: Connection[Any], model: type[Shown], query: LiteralString, params: Mapping[str, object], what: str
) -> Shown:
    """Return the one row that the query finds; NotFound says that there is no `what`."""
    with conn.cursor(row_factory=class_row(model)) as cursor:
        found = cursor.execute(query, params).fetchone()
    if found is None:
        raise NotFound(f"there is no {what}, or it lies in a region that you do not see")
    return found
