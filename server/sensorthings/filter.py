"""`$filter` of SensorThings: comparisons joined by and, or, not and parentheses, as SQL with parameters only.

Grammar (OGC 18-088, built-in filter operations; a subset of OData 4.0 URL conventions, 5.1.1):
    either = both {"or" both}; both = one {"and" one}
    one = "not" one | "(" either ")" | operand ("eq" | "ne" | "gt" | "ge" | "lt" | "le") operand
    operand = property | number | 'text' | time
Nothing that a client writes gets into the SQL: properties are names of a table, values are parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Literal, NamedTuple, NoReturn

from psycopg import sql

from domain.clock import parse_time
from server.sensorthings import Fault
from server.sensorthings.entity import Entity, Kind, read_id
from server.sensorthings.tokens import Token, tokens_of

#: an expression may be nested so deep
DEEPEST = 50

COMPARE: Mapping[str, sql.SQL] = {
    "eq": sql.SQL("="), "ne": sql.SQL("<>"), "gt": sql.SQL(">"),
    "ge": sql.SQL(">="), "lt": sql.SQL("<"), "le": sql.SQL("<="),
}  # fmt: skip
#: the same comparison with its sides changed
MIRROR: Mapping[str, str] = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
#: what OData has besides, and we have not
UNSUPPORTED = frozenset({"add", "sub", "mul", "div", "mod", "has", "in", "null", "true", "false"})


class Operand(NamedTuple):
    """One side of a comparison; a literal has its value, a property has none."""

    kind: Kind | Literal["id"]
    sql: sql.Composable
    value: str | float | datetime | None
    place: int


class Condition(NamedTuple):
    """A condition of SQL and the values of its parameters."""

    sql: sql.Composable
    params: dict[str, object]


#: without a filter
ALL = Condition(sql.SQL("true"), {})


@dataclass(slots=True, kw_only=True)
class Reading:
    """Where the reading stands: tokens, the next one's place in them, the parameters so far."""

    entity: Entity
    tokens: list[Token]
    next: int = 0
    depth: int = 0
    params: dict[str, object] = field(default_factory=dict)

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.next]

    def take(self, *texts: str) -> Token | None:
        """Return the next token and step behind it, if it is one of these; None otherwise."""
        token = self.token
        if token.kind in ("word", "mark") and token.text in texts:
            self.next += 1
            return token
        return None

    def bind(self, value: object, kind: sql.SQL) -> sql.Composable:
        """Return a new parameter with this value."""
        name = f"f{len(self.params)}"
        self.params[name] = value
        return sql.SQL("{}::{}").format(sql.Placeholder(name), kind)


def read(entity: Entity, text: str) -> Condition:
    """Return the condition; Fault says what cannot be read and where (400), or is not supported (501)."""
    reading = Reading(entity=entity, tokens=tokens_of(text))
    condition = _either(reading)
    if reading.token.kind != "end":
        _unreadable(reading.token, "and, or, or the end")
    return Condition(condition, reading.params)


def _either(reading: Reading) -> sql.Composable:
    parts = [_both(reading)]
    while reading.take("or"):
        parts.append(_both(reading))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts)) if len(parts) > 1 else parts[0]


def _both(reading: Reading) -> sql.Composable:
    parts = [_one(reading)]
    while reading.take("and"):
        parts.append(_one(reading))
    return sql.SQL("({})").format(sql.SQL(" AND ").join(parts)) if len(parts) > 1 else parts[0]


def _one(reading: Reading) -> sql.Composable:
    opened = reading.take("not", "(")
    if opened is None:
        return _comparison(reading)
    reading.depth += 1
    if reading.depth > DEEPEST:
        raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: nested more than {DEEPEST} deep at {opened.place}")
    if opened.text == "not":
        inner: sql.Composable = sql.SQL("(NOT {})").format(_one(reading))
    else:
        inner = _either(reading)
        if not reading.take(")"):
            _unreadable(reading.token, "and, or, or )")
    reading.depth -= 1
    return inner


def _comparison(reading: Reading) -> sql.Composable:
    left = _operand(reading)
    operator = reading.take(*COMPARE)
    if operator is None:
        _unreadable(reading.token, " ".join(COMPARE))
    right, name = _operand(reading), operator.text
    if right.kind == "id":
        left, right, name = right, left, MIRROR.get(name, name)
    if left.kind == "id":
        return sql.SQL("({} {} {})").format(left.sql, COMPARE[name], _id(reading, right))
    if left.kind != right.kind:
        words = f"a {left.kind} cannot be compared with a {right.kind}"
        raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: {words} at {right.place}")
    return sql.SQL("({} {} {})").format(left.sql, COMPARE[name], right.sql)


def _operand(reading: Reading) -> Operand:
    token = reading.token
    reading.next += 1
    if token.kind == "word":
        return _property(reading, token)
    if token.kind == "text":
        value = token.text[1:-1].replace("''", "'")
        if "\0" in value:
            raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: the text at {token.place} has a NUL")
        return Operand("text", reading.bind(value, sql.SQL("text")), value, token.place)
    if token.kind == "number":
        number = float(token.text)
        if number.is_integer() and abs(number) < 2**53:  # by a whole number the index of an id can be used
            return Operand("number", reading.bind(int(number), sql.SQL("bigint")), int(number), token.place)
        return Operand("number", reading.bind(number, sql.SQL("float8")), number, token.place)
    if token.kind == "time":
        at = _time(token)
        return Operand("time", reading.bind(at, sql.SQL("timestamptz")), at, token.place)
    _unreadable(token, "a property or a value")


def _property(reading: Reading, token: Token) -> Operand:
    name = token.text.replace("@iot.id", "id")
    if name in UNSUPPORTED or reading.token.text == "(":
        raise Fault(HTTPStatus.NOT_IMPLEMENTED, f"$filter: {token.text} at {token.place} is not supported")
    if name == "id":
        columns = sql.SQL(", ").join(sql.SQL(column) for column in reading.entity.key)
        return Operand("id", sql.SQL("({})").format(columns), None, token.place)
    if name not in reading.entity.asked:
        known = ", ".join(["id", *reading.entity.asked])
        words = f"{token.text!r} at {token.place} is no property that can be filtered by: {known}"
        raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: {words}")
    kind, column = reading.entity.asked[name]
    return Operand(kind, sql.SQL(column), None, token.place)


def _id(reading: Reading, told: Operand) -> sql.Composable:
    """Return the key that an id means, as a row like that of the key's columns."""
    values = None if told.value is None else read_id(reading.entity, str(told.value))
    if values is None:
        words = f"what stands at {told.place} is no id of {reading.entity.name}"
        raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: {words}")
    kinds = reading.entity.key.values()
    parts = [reading.bind(value, sql.SQL(kind)) for value, kind in zip(values, kinds, strict=True)]
    return sql.SQL("({})").format(sql.SQL(", ").join(parts))


def _time(token: Token) -> datetime:
    try:
        return parse_time(token.text)
    except ValueError as error:
        words = f"{error}, at {token.place}; in an address a + is written %2B"
        raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: {words}") from None


def _unreadable(token: Token, wanted: str) -> NoReturn:
    if token.text in UNSUPPORTED:
        raise Fault(HTTPStatus.NOT_IMPLEMENTED, f"$filter: {token.text} at {token.place} is not supported")
    found = f"{token.text!r}" if token.text else "the end"
    raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: {found} at {token.place}, where {wanted} is expected")
