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
from server.registry_file import Thing
from warning import rules
from warning.rules import Rule

#: list -> place in the file, as in "sites[3]" -> row
Rows = dict[str, dict[str, Any]]

#: what must not stand twice: list, fields
UNIQUE = (
    ("sites", ("code",)),
    ("things", ("code",)),
    ("units", ("code",)),
    ("units", ("device",)),
    ("recipients", ("channel", "address", "region")),
)


def conflicts(conn: Connection[Any], registry: Mapping[str, object], rows: Rows) -> list[str]:
    """Return every conflict of the rows, with its place; `registry` is the file as it was read."""
    modes = dict.fromkeys(_codes(registry, "sites")) | dict(
        conn.execute("SELECT code, mode FROM hazard_site").fetchall()
    )
    modes |= {site.code: site.mode for site in rows["sites"].values()}
    things = {code for (code,) in conn.execute("SELECT code FROM thing")} | _codes(registry, "things")
    phones = [(f"{place}.device", unit.device) for place, unit in rows["units"].items()]
    phones += [(f"{p}.address", r.address) for p, r in rows["recipients"].items() if r.channel == "mqtt"]
    return [
        *_repeated(rows),
        *_nowhere(conn, rows),
        *(problem for place, thing in rows["things"].items() for problem in _misplaced(place, thing, modes)),
        *(problem for place, device in phones for problem in _unheard(place, device, things)),
        *_taken(conn, rows),
        *_belied(conn, rows["things"]),
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


def missing(rows: Rows, installation: Installation) -> list[str]:
    """Return what is named and is not there: nobody would notice it before it matters."""
    problems = [
        f"{place}.region: {row.region} lies outside of this installation's {installation.region}; set"
        " LIUPAN_REGION to the prefix of all its regions"
        for name in ("sites", "things", "units")
        for place, row in rows[name].items()
        if not row.region.startswith(installation.region)
    ]
    for place, site in rows["sites"].items():
        rule = rules.find(installation.rules, site.rule, site.type)
        if rule is None:
            known = ", ".join([rules.DEFAULT, *installation.rules])
            problems.append(f"{place}.rule: no rule {site.rule!r} for a {site.type}; there are {known}")
        elif site.type not in rule.hazard_types:
            problems.append(f"{place}.rule: {rule.name} is made for {', '.join(rule.hazard_types)}")
    for place, recipient in rows["recipients"].items():
        if recipient.channel not in installation.channels:
            known = ", ".join(sorted(installation.channels))
            problems.append(f"{place}.channel: no channel {recipient.channel!r}; there are {known}")
    return problems


def _codes(registry: Mapping[str, object], name: str) -> set[str]:
    """Return the codes that the file gives, also those of rows that have other problems."""
    items = registry.get(name)
    found: Iterable[object] = items if isinstance(items, list) else ()
    codes = (item.get("code") for item in found if isinstance(item, dict))
    return {code for code in codes if isinstance(code, str)}


def _repeated(rows: Rows) -> Iterator[str]:
    for name, fields in UNIQUE:
        seen: dict[tuple[str, ...], str] = {}
        for place, row in rows[name].items():
            key = tuple(getattr(row, field) for field in fields)
            if (first := seen.setdefault(key, place)) != place:
                yield f"{place}.{fields[0]}: {' '.join(key).strip()} stands already at {first}"


def _nowhere(conn: Connection[Any], rows: Rows) -> Iterator[str]:
    known = {code for (code,) in conn.execute("SELECT code FROM region")}
    for name in ("sites", "things", "units"):
        for place, row in rows[name].items():
            if row.region not in known:
                yield f"{place}.region: {row.region!r} is no region here; write its GB/T 2260 code"


def _misplaced(place: str, thing: Thing, modes: Mapping[str, object]) -> Iterator[str]:
    if thing.site is None:
        return
    if thing.site not in modes:
        yield f"{place}.site: {thing.site!r} is no site, neither in this file nor registered"
    elif thing.mode is not Mode.ACTUAL and modes[thing.site] == Mode.ACTUAL:
        # made-up data would raise real alarms
        yield f"{place}.mode: {thing.mode} data must not feed the actual site {thing.site}"


def _unheard(place: str, device: str, things: Set[str]) -> Iterator[str]:
    if device not in things:
        yield f"{place}: {device!r} is no thing, neither in this file nor registered"
    try:
        down_topic(device, "dispatch")
    except ValueError as error:
        yield f"{place}: {error}"


def _taken(conn: Connection[Any], rows: Rows) -> Iterator[str]:
    holders = dict(conn.execute("SELECT device, code FROM unit").fetchall())
    for place, unit in rows["units"].items():
        if (holder := holders.get(unit.device, unit.code)) != unit.code:
            yield f"{place}.device: {unit.device!r} is the phone of unit {holder}"


def _belied(conn: Connection[Any], things: Mapping[str, Thing]) -> Iterator[str]:
    """Yield the datastreams whose stored results would mean something else in the unit of the file."""
    stored = {
        (thing, name): unit
        for thing, name, unit in conn.execute(
            "SELECT t.code, d.name, d.unit FROM datastream d JOIN thing t ON t.id = d.thing"
            " WHERE t.code = ANY(%s) AND d.unit <> ''"
            " AND EXISTS (SELECT FROM observation o WHERE o.datastream = d.id)",
            ([thing.code for thing in things.values()],),
        )
    }
    for place, thing in things.items():
        for number, datastream in enumerate(thing.datastreams):
            unit = stored.get((thing.code, datastream.name), datastream.unit)
            if unit != datastream.unit:
                yield (
                    f"{place}.datastreams[{number}].unit: the stored results are in {unit!r}, not in"
                    f" {datastream.unit!r}; give the new series a name of its own"
                )
