"""The registry as the assessing sees it: which datastream feeds which slot of which site, in which unit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from psycopg import Connection

from warning import rules
from warning.evaluate import Slot
from warning.rules import Rule
from warning.series import MICROMETRES
from warning.windows import Floats, Ints

log = logging.getLogger(__name__)

UNUSED, UNKNOWN = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One datastream that a rule looks at; the limits of what is believed are in its own unit."""

    id: int
    name: str
    micrometres: int
    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One hazard site, its rule, and the datastreams that the rule looks at."""

    id: int
    code: str
    region: str
    rule: Rule
    streams: tuple[Stream, ...]
    #: for each use of the rule, the streams that it looks at
    feeds: tuple[tuple[Stream, ...], ...]
    #: datastream -> how many of its rows a later row may still change the answers of
    revises: Mapping[int, int]

    @property
    def sensors(self) -> dict[Slot, str]:
        """The names of its sensors, "station/datastream"."""
        return {stream.slot: stream.name for stream in self.streams}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What is known by number: sites with a rule, and arrays over the numbers of datastreams.

    `site` is -1 where no rule looks at the datastream, -2 where there is no such datastream.
    """

    sites: Mapping[int, Site] = field(default_factory=dict)
    site: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    micrometres: Floats = field(default_factory=lambda: np.zeros(0))

    def knows(self, streams: Ints) -> bool:
        """Tell whether all these datastreams are known."""
        return bool(streams.max(initial=-1) < len(self.site) and (self.site[streams] != UNKNOWN).all())


def load(conn: Connection[Any], known: Mapping[str, Rule]) -> Registry:
    """Return the registry as it stands; what cannot be used is said in the log."""
    rows = conn.execute(
        "SELECT d.id, d.name, d.observed_property, d.unit, t.code, t.site"
        " FROM datastream d JOIN thing t ON t.id = d.thing ORDER BY t.code, d.name"
    ).fetchall()
    rated, numbers = _sites(conn, known), _Sensors()
    used: dict[int, list[Stream]] = {site: [] for site in rated}
    size = max((row[0] for row in rows), default=-1) + 1
    site, micrometres = np.full(size, UNKNOWN), np.zeros(size)
    for id_, name, observed, unit, thing, at in rows:
        site[id_] = UNUSED
        if at not in rated or observed not in rated[at][2].inputs:
            continue
        if unit not in MICROMETRES:
            log.error("datastream %s/%s is not used: its unit %r is none of %s", thing, name, unit,
                      ", ".join(MICROMETRES))  # fmt: skip
            continue
        site[id_], micrometres[id_] = at, MICROMETRES[unit]
        used[at].append(
            Stream(
                id=id_,
                name=f"{thing}/{name}",
                micrometres=MICROMETRES[unit],
                slot=Slot(observed, numbers.of(at, thing, observed)),
            )
        )
    return Registry(
        sites={id_: _site(id_, *about, used[id_]) for id_, about in rated.items()},
        site=site,
        micrometres=micrometres,
    )


def _site(id_: int, code: str, region: str, rule: Rule, streams: Sequence[Stream]) -> Site:
    return Site(
        id=id_,
        code=code,
        region=region,
        rule=rule,
        streams=tuple(streams),
        feeds=tuple(
            tuple(stream for stream in streams if stream.slot.observed_property in use.inputs)
            for use in rule.uses
        ),
        revises={stream.id: rule.revises(stream.slot.observed_property) for stream in streams},
    )


@dataclass(slots=True)
class _Sensors:
    """Numbers the sensors of each site. What one station observes of several kinds has one number, as it is
    one sensor of each kind; the second datastream of a kind is the next sensor.
    """

    repeats: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: dict[int, dict[tuple[str, int], int]] = field(default_factory=dict)

    def of(self, site: int, thing: str, observed: str) -> int:
        repeat = self.repeats[thing, observed] = self.repeats.get((thing, observed), -1) + 1
        numbers = self.numbers.setdefault(site, {})
        return numbers.setdefault((thing, repeat), len(numbers))


def _sites(conn: Connection[Any], known: Mapping[str, Rule]) -> dict[int, tuple[str, str, Rule]]:
    sites = {}
    for id_, code, region, name, kind in conn.execute("SELECT id, code, region, rule, type FROM hazard_site"):
        rule = rules.find(known, name, kind)
        if rule is None:
            log.error("site %s is not assessed: no rule %r for %s; there are %s", code, name, kind,
                      ", ".join(known))  # fmt: skip
        else:
            if kind not in rule.hazard_types:
                log.warning("site %s is of type %s, and rule %s is not made for it", code, kind, rule.name)
            sites[id_] = (code, region, rule)
    return sites
