"""Query options of SensorThings, of a request and of an `$expand` in it, read against an entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import LiteralString

from server.sensorthings import Fault
from server.sensorthings.entity import Entity, read_id
from server.sensorthings.filter import ALL, Condition, read
from server.sensorthings.model import ENTITIES

#: entities of a page, where the client names no number, and at most
TOP, MOST = 100, 10_000
#: so many may be skipped; further on one goes by @iot.nextLink or a filter
MOST_SKIPPED = 1_000_000

#: option -> what it does; also the description of the interface
SUPPORTED: Mapping[str, str] = {
    "$filter": "only those that meet it: `phenomenonTime ge 2026-07-01T00:00:00Z and result gt 5`",
    "$orderby": "properties with `asc` or `desc`: `phenomenonTime desc`",
    "$top": f"at most so many (default {TOP}, at most {MOST}); the rest is behind `@iot.nextLink`",
    "$skip": "without the first so many",
    "$select": "only these properties: `id,result`",
    "$expand": "with what it leads to, one level: `Observations($top=1;$orderby=phenomenonTime desc)`",
    "$count": "`true`: with the number of all as `@iot.count`, which takes long for many observations",
    "$skiptoken": "where a page begins; it is made by `@iot.nextLink`",
}
#: those that mean something where there is one entity and no list
OF_ONE = ("$select", "$expand")


@dataclass(slots=True, kw_only=True)
class Options:
    """What is asked of a list of entities; `raw` is how, for the link to the next page."""

    top: int = TOP
    skip: int = 0
    #: the key after which the page begins
    token: tuple[object, ...] | None = None
    #: SQL columns with True for descending, the key's among them: an order without ties
    order: list[tuple[LiteralString, bool]] = field(default_factory=list)
    select: frozenset[str] | None = None
    expand: dict[str, Options] = field(default_factory=dict)
    count: bool = False
    where: Condition = ALL
    raw: dict[str, str] = field(default_factory=dict)


def parse(entity: Entity, pairs: Iterable[tuple[str, str]], *, nested: bool = False) -> Options:
    """Return the options; Fault names the one that cannot be meant (400) or is not supported (501).

    What does not begin with `$` is none of ours, and is left alone (OData 4.0, custom query options).
    """
    raw: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("$"):
            if name not in SUPPORTED:
                raise Fault(
                    HTTPStatus.NOT_IMPLEMENTED, f"{name} is not supported: {', '.join(SUPPORTED)} are"
                )
            if name in raw:
                raise Fault(HTTPStatus.BAD_REQUEST, f"{name} stands there twice")
            raw[name] = value
    if nested and "$expand" in raw:
        raise Fault(
            HTTPStatus.NOT_IMPLEMENTED, "$expand inside of $expand is not supported: follow the links"
        )
    token = read_id(entity, raw["$skiptoken"]) if "$skiptoken" in raw else None
    if "$skiptoken" in raw and token is None:
        raise Fault(HTTPStatus.BAD_REQUEST, f"$skiptoken: {raw['$skiptoken']!r} is none of {entity.name}")
    return Options(
        top=min(_number("$top", raw.get("$top", str(TOP))), MOST),
        skip=_number("$skip", raw.get("$skip", "0"), MOST_SKIPPED),
        token=token,
        order=_order(entity, raw.get("$orderby", "")),
        select=_select(entity, raw["$select"]) if "$select" in raw else None,
        expand=_expand(entity, raw.get("$expand", "")),
        count=_flag("$count", raw.get("$count", "false")),
        where=read(entity, raw["$filter"]) if "$filter" in raw else ALL,
        raw=raw,
    )


def parse_for_one(entity: Entity, pairs: Iterable[tuple[str, str]]) -> Options:
    """Return the options of a request for one entity; Fault as in `parse`, also for those of lists."""
    options = parse(entity, pairs)
    if wrong := [name for name in options.raw if name not in OF_ONE]:
        raise Fault(HTTPStatus.BAD_REQUEST, f"{wrong[0]} means nothing for one of {entity.name}")
    return options


def split(text: str, mark: str) -> list[str]:
    """Return the parts between the marks that stand outside of parentheses and quotes."""
    parts, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == "'"
        if not quoted:
            depth += (sign == "(") - (sign == ")")
        if sign == mark and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _number(name: str, text: str, most: int | None = None) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Fault(HTTPStatus.BAD_REQUEST, f"{name}: {text[:40]!r} is no whole number from 0")
    if most is not None and int(text) > most:
        raise Fault(
            HTTPStatus.BAD_REQUEST, f"{name}: {text} is more than {most}: use @iot.nextLink or $filter"
        )
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise Fault(HTTPStatus.BAD_REQUEST, f"{name}: {text[:40]!r} is neither true nor false")
    return text == "true"


def _order(entity: Entity, text: str) -> list[tuple[LiteralString, bool]]:
    columns: dict[LiteralString, bool] = {}
    descending = False
    for part in filter(None, text.split(",")):
        name, _, direction = part.strip().partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise Fault(HTTPStatus.BAD_REQUEST, f"$orderby: {direction!r} is neither asc nor desc")
        descending = direction.strip() == "desc"
        if name in ("id", "@iot.id"):
            break  # an order without ties: what follows changes nothing
        if name not in entity.asked:
            known = ", ".join(["id", *entity.asked])
            raise Fault(HTTPStatus.BAD_REQUEST, f"$orderby: {name!r} is none of {known}")
        columns.setdefault(entity.asked[name][1], descending)
    for column in entity.key:
        columns.setdefault(column, descending)
    return list(columns.items())


def _select(entity: Entity, text: str) -> frozenset[str]:
    names = [name.strip().replace("@iot.id", "id") for name in text.split(",")]
    known = ["id", *entity.shown, *entity.links]
    if wrong := [name for name in names if name not in known]:
        raise Fault(HTTPStatus.BAD_REQUEST, f"$select: {wrong[0]!r} is none of {', '.join(known)}")
    return frozenset(names)


def _expand(entity: Entity, text: str) -> dict[str, Options]:
    found: dict[str, Options] = {}
    for part in filter(None, split(text, ",")):
        name, bracket, inner = part.strip().partition("(")
        if "/" in name:
            raise Fault(HTTPStatus.NOT_IMPLEMENTED, f"$expand: {name!r}: only one level is supported")
        if name not in entity.links:
            raise Fault(HTTPStatus.BAD_REQUEST, f"$expand: {name!r} is none of {', '.join(entity.links)}")
        if bracket and not inner.endswith(")"):
            raise Fault(HTTPStatus.BAD_REQUEST, f"$expand: a ) is missing behind the options of {name}")
        link = entity.links[name]
        pairs = [tuple(map(str.strip, option.split("=", 1))) for option in split(inner[:-1], ";") if option]
        if wrong := [pair[0] for pair in pairs if len(pair) != 2 or not pair[0].startswith("$")]:
            raise Fault(HTTPStatus.BAD_REQUEST, f"$expand: {wrong[0]!r} is no option like $top=5")
        found[name] = parse(ENTITIES[link.to], [(pair[0], pair[1]) for pair in pairs], nested=True)
    return found
