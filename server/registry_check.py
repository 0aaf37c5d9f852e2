"""What can be wrong between the rows of a registry file, and between them and what is registered already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pkgutil import iter_modules
from typing import Any

from psycopg import Connection

import warning.channels
from domain.settings import Settings
from domain.thing import Mode
from domain.wire import down_topic
from server.registry_file import LISTS
from server.registry_read import Draft, Problem
from server.registry_store import Item
from warning import rules
from warning.rules import Rule

#: list -> place in the file -> what is to be written
Items = dict[str, dict[str, Item]]

#: what must not stand twice: list, fields
UNIQUE = (*((name, listing.key) for name, listing in LISTS.items()), ("units", ("device",)))

#: lists whose rows lie in a region
REGIONAL = ("sites", "things", "units")


def conflicts(conn: Connection[Any], draft: Draft, items: Items) -> list[Problem]:
    """Return every conflict of the rows, with its place; `draft` is the files as they were read."""
    modes = dict.fromkeys(draft.codes("sites")) | dict(
        conn.execute("SELECT code, mode FROM hazard_site").fetchall()
    )
    modes |= {item.new["code"]: item.new["mode"] for item in items["sites"].values()}
    things = {code for (code,) in conn.execute("SELECT code FROM thing")} | draft.codes("things")
    return [
        *_repeated(items),
        *_nowhere(conn, draft, items),
        *(problem for item in items["things"].values() for problem in _misplaced(item, modes)),
        *_unheard(items, things),
        *_taken(conn, items),
        *_belied(conn, items),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What a registry may name that is no row: rules, channels, and the prefix of the regions served."""

    rules: Mapping[str, Rule]
    channels: Set[str]
    region: str

    @classmethod
    def of(cls, settings: Settings) -> Installation:
        """Look up what these settings give; RuleError for a rule file that is wrong."""
        channels = {found.name for found in iter_modules(warning.channels.__path__)}
        return cls(rules=rules.load(settings.rules), channels=channels, region=settings.region)


def missing(items: Items, installation: Installation) -> Iterator[Problem]:
    """Yield what is named and is not there: nobody would notice it before it matters."""
    for name in REGIONAL:
        for item in items[name].values():
            if not item.new["region"].startswith(installation.region):
                yield _problem(
                    item,
                    "region",
                    f"{item.new['region']} lies outside of this installation's {installation.region}; set"
                    " LIUPAN_REGION to the prefix of all its regions",
                )
    for item in items["sites"].values():
        site = item.new
        rule = rules.find(installation.rules, site["rule"], site["type"])
        if rule is None:
            known = ", ".join([rules.DEFAULT, *installation.rules])
            yield _problem(item, "rule", f"no rule {site['rule']!r} for a {site['type']}; there are {known}")
        elif site["type"] not in rule.hazard_types:
            yield _problem(item, "rule", f"{rule.name} is made for {', '.join(rule.hazard_types)}")
    for item in items["recipients"].values():
        if (channel := item.new["channel"]) not in installation.channels:
            known = ", ".join(sorted(installation.channels))
            yield _problem(item, "channel", f"no channel {channel!r}; there are {known}")


def _problem(item: Item, field: str, reason: str) -> Problem:
    return Problem(place=item.place, field=field, reason=reason)


def _repeated(items: Items) -> Iterator[Problem]:
    for name, fields in UNIQUE:
        seen: dict[tuple[str, ...], str] = {}
        for place, item in items[name].items():
            key = tuple(item.new[field] for field in fields)
            if (first := seen.setdefault(key, place)) != place:
                yield _problem(item, fields[-1], f"{' '.join(key).strip()} stands already at {first}")


def _nowhere(conn: Connection[Any], draft: Draft, items: Items) -> Iterator[Problem]:
    known = {code for (code,) in conn.execute("SELECT code FROM region")} | draft.codes("regions")
    for name in REGIONAL:
        for item in items[name].values():
            if not (region := item.new["region"]):
                yield _problem(
                    item, "region", "is missing, and does not follow from a place in China; write it"
                )
            elif region not in known:
                yield _problem(item, "region", f"{region!r} is no region here; write its GB/T 2260 code")
    for item in items["regions"].values():
        if (parent := item.new["parent"]) is not None and parent not in known:
            yield _problem(item, "parent", f"{parent!r} is no region here; import it too")


def _misplaced(item: Item, modes: Mapping[str, object]) -> Iterator[Problem]:
    site, mode = item.new["site"], item.new["mode"]
    if site is None:
        return
    if site not in modes:
        yield _problem(item, "site", f"{site!r} is no site, neither in this file nor registered")
    elif mode != Mode.ACTUAL and modes[site] == Mode.ACTUAL:
        # made-up data would raise real alarms
        yield _problem(item, "mode", f"{mode} data must not feed the actual site {site}")


def _unheard(items: Items, things: Set[str]) -> Iterator[Problem]:
    phones = [(item, "device") for item in items["units"].values()]
    phones += [(item, "address") for item in items["recipients"].values() if item.new["channel"] == "mqtt"]
    for item, field in [*phones, *((item, "thing") for item in items["datastreams"].values())]:
        if item.new[field] not in things:
            yield _problem(
                item, field, f"{item.new[field]!r} is no thing, neither in this file nor registered"
            )
    for item, field in phones:
        try:
            down_topic(item.new[field], "dispatch")
        except ValueError as error:
            yield _problem(item, field, str(error))


def _taken(conn: Connection[Any], items: Items) -> Iterator[Problem]:
    holders = dict(conn.execute("SELECT device, code FROM unit").fetchall())
    for item in items["units"].values():
        code, device = item.new["code"], item.new["device"]
        if (holder := holders.get(device, code)) != code:
            yield _problem(item, "device", f"{device!r} is the phone of unit {holder}")


def _belied(conn: Connection[Any], items: Items) -> Iterator[Problem]:
    """Yield the datastreams whose stored results would mean something else in the unit of the file."""
    changed: Iterable[Item] = (
        item
        for item in items["datastreams"].values()
        if item.old and item.old["unit"] and item.old["unit"] != item.new["unit"]
    )
    for item in changed:
        found = conn.execute(
            "SELECT EXISTS (SELECT FROM observation o JOIN datastream d ON d.id = o.datastream"
            " JOIN thing t ON t.id = d.thing WHERE t.code = %s AND d.name = %s)",
            item.key,
        ).fetchone()
        if found and found[0]:
            was, new = item.old and item.old["unit"], item.new["unit"]
            reason = (
                f"the stored results are in {was!r}, not in {new!r}; give the new series a name of its own"
            )
            yield _problem(item, "unit", reason)
