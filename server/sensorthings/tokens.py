"""The words, marks and values of a `$filter`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from server.sensorthings import Fault

TOKEN = re.compile(
    r"""\s*(?: (?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[ +-]\d\d:?\d\d)?)
          | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
          | (?P<text>'(?:[^']|'')*')
          | (?P<word>[@A-Za-z][\w.@/]*)
          | (?P<mark>[(),])
          | (?P<end>$) )""",
    re.ASCII | re.VERBOSE,
)


class Token(NamedTuple):
    """A word, mark or value, and where it begins (counted from 1)."""

    kind: str
    text: str
    place: int


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of the expression, the last one of kind `end`; Fault says what cannot be read."""
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        found = TOKEN.match(text, at)
        if found is None:
            at = len(text) - len(text[at:].lstrip())
            raise Fault(HTTPStatus.BAD_REQUEST, f"$filter: cannot read {text[at : at + 20]!r} at {at + 1}")
        kind = str(found.lastgroup)
        tokens.append(Token(kind, found[kind], found.start(kind) + 1))
        at = found.end()
    return tokens
