"""From observations to levels: put into hours, ask the models, fold the level, say what has changed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from psycopg import Connection

from domain.flow import Event, Handler
from domain.quality import DISTRUSTED
from domain.wire import new_id
from warning import rules, sites
from warning.recall import Window, recall
from warning.record import rows_since, strangers, write
from warning.rules import Rule
from warning.series import HOUR_US
from warning.sites import Registry
from warning.timeline import assess_from
from warning.walk import Told, start_of, walk
from warning.windows import Flags, Floats, Ints

#: changes of the registry are seen after this many seconds at the latest
REFRESH_S = 60.0

#: an observation as the event carries it, see domain.wire.pack
PACKED = np.dtype([("stream", "<i4"), ("at", "<i8"), ("result", "<f8"), ("flags", "<i2")])


@dataclass(slots=True, kw_only=True)
class Desk:
    """What an assessor has at hand between events; all of it can be read anew from the database."""

    rules: Mapping[str, Rule]
    #: marks the rows of `level` that this process wrote
    name: str = field(default_factory=lambda: str(new_id()))
    registry: Registry = field(default_factory=Registry)
    read_at: float = float("-inf")
    windows: dict[int, Window] = field(default_factory=dict)


def assessor(folder: str = "") -> Handler:
    """Return the handler of `observed`, with the shipped rules and those in the folder; RuleError for a
    wrong one.

    It keeps the series of the sites that it was told about in memory. When it fails, they are forgotten and
    read again; so they are for a site that another process has assessed meanwhile.
    """
    desk = Desk(rules=rules.load(folder))

    def assess(conn: Connection[Any], events: Sequence[Event]) -> None:
        try:
            _assess(conn, desk, events)
        except BaseException:
            desk.windows.clear()
            raise

    return assess


@dataclass(frozen=True, slots=True, kw_only=True)
class _Take:
    """Observations of one take, as arrays of the same length; `event` is the number of each one's event."""

    stream: Ints
    at_us: Ints
    result: Floats
    flags: Ints
    event: Ints

    def only(self, chosen: Flags) -> _Take:
        """Return the chosen ones."""
        return _Take(stream=self.stream[chosen], at_us=self.at_us[chosen], result=self.result[chosen],
                     flags=self.flags[chosen], event=self.event[chosen])  # fmt: skip


def _assess(conn: Connection[Any], desk: Desk, events: Sequence[Event]) -> None:
    take = _unpack(events)
    _refresh(conn, desk, take.stream)
    take = take.only(((take.flags & int(DISTRUSTED)) == 0) & (desk.registry.site[take.stream] >= 0))
    hours = _by_hour(desk.registry, take, np.ones(len(take.stream), np.int64))
    firsts: dict[int, int] = {}
    for site, _, hour, *_ in hours:
        firsts[site] = min(hour, firsts.get(site, hour))
    _open_windows(conn, desk, firsts)
    fresh = _fresh(desk, take, firsts, events)
    if fresh is not None:
        hours = _by_hour(desk.registry, take, fresh)
    changed = _add(desk, hours)
    told = _tell(conn, [(desk.windows[site], hour) for site, hour in changed.items()])
    write(conn, desk.name, told, [desk.windows[site] for site in firsts])


def _unpack(events: Sequence[Event]) -> _Take:
    packed = [np.frombuffer(event.packed or b"", PACKED) for event in events]
    records = np.concatenate(packed)
    return _Take(
        stream=records["stream"].astype(np.int64),
        at_us=records["at"].astype(np.int64),
        result=records["result"].astype(np.float64),
        flags=records["flags"].astype(np.int64),
        event=np.repeat([event.id for event in events], [len(part) for part in packed]),
    )


def _refresh(conn: Connection[Any], desk: Desk, streams: Ints) -> None:
    """Read the registry again when it is old or lacks a datastream; forget sites that have changed."""
    if time.monotonic() - desk.read_at < REFRESH_S and desk.registry.knows(streams):
        return
    desk.registry, desk.read_at = sites.load(conn, desk.rules), time.monotonic()
    for site in [id_ for id_, window in desk.windows.items() if desk.registry.sites.get(id_) != window.site]:
        del desk.windows[site]
    if not desk.registry.knows(streams):
        raise LookupError(f"no datastream for some of the observations; numbers {np.unique(streams)[:20]}")


def _by_hour(registry: Registry, take: _Take, fresh: Ints) -> list[tuple[int, int, int, int, int, int]]:
    """Return (site, datastream, hour, sum in micrometres, count, newest time) of each hour that was heard.

    Only fresh results (1, others 0) are summed and counted.
    """
    hour = (take.at_us - 1) // HOUR_US
    order = np.lexsort((hour, take.stream))
    stream, hour = take.stream[order], hour[order]
    begins = np.flatnonzero(np.diff(stream, prepend=-1) | np.diff(hour, prepend=-1))
    if not len(begins):
        return []
    um = np.rint(take.result * registry.micrometres[take.stream]).astype(np.int64) * fresh
    columns = (
        registry.site[stream[begins]],
        stream[begins],
        hour[begins],
        np.add.reduceat(um[order], begins),
        np.add.reduceat(fresh[order], begins),
        np.maximum.reduceat(take.at_us[order], begins),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _open_windows(conn: Connection[Any], desk: Desk, firsts: Mapping[int, int]) -> None:
    """Read the windows that are not at hand, or that another process has worked on."""
    for site in strangers(conn, desk.name, desk.windows.keys() & firsts.keys()):
        del desk.windows[site]
    unread = [(desk.registry.sites[site], hour) for site, hour in firsts.items() if site not in desk.windows]
    if unread:
        desk.windows |= recall(conn, unread)


def _fresh(desk: Desk, take: _Take, firsts: Iterable[int], events: Sequence[Event]) -> Ints | None:
    """Return 1 for each result that is not in its window yet, 0 for others; None when all are fresh."""
    late = [desk.windows[site] for site in firsts if desk.windows[site].included]
    if not late:
        return None
    site, fresh = desk.registry.site[take.stream], np.ones(len(take.stream), np.int64)
    for window in late:
        known = [event.id for event in events if event.id in window.included]
        fresh[(site == window.site.id) & np.isin(take.event, known)] = 0
    for window in late:
        window.included.difference_update(event.id for event in events)
    return fresh


def _add(desk: Desk, hours: Iterable[tuple[int, int, int, int, int, int]]) -> dict[int, int]:
    """Add to the windows; return the hour from which each site that changed must be assessed."""
    changed: dict[int, int] = {}
    for site, stream, hour, total, count, newest_us in hours:
        window = desk.windows[site]
        series = window.series[stream]
        window.heard_us = max(window.heard_us, newest_us)
        if count == 0 or series.add(hour, total, count, newest_us):
            window.changed.add(stream)
            first = window.first_to_assess(stream, hour)
            changed[site] = min(first, changed.get(site, first))
        elif hour == window.newest_h:
            window.as_of_us = max(window.as_of_us, newest_us)
    return changed


def _tell(conn: Connection[Any], changed: Sequence[tuple[Window, int]]) -> list[Told]:
    """Ask the models from those hours on, fold the levels, and return what must be told."""
    by_rule: dict[str, list[tuple[Window, int]]] = {}
    for window, first_h in changed:
        by_rule.setdefault(window.site.rule.name, []).append((window, first_h))
    starts = {window.site.id: start_of(window, first_h) for window, first_h in changed}
    far = {
        w.site.id: starts[w.site.id].known_h for w, first_h in changed if not any(h < first_h for h in w.kept)
    }
    rows = rows_since(conn, far) if far else {}
    told: list[Told] = []
    for group in by_rule.values():
        pieces = assess_from(group[0][0].site.rule, [(w, starts[w.site.id].fold_h) for w, _ in group])
        for piece, (window, first_h) in zip(pieces, group, strict=True):
            told += walk(piece, first_h, starts[window.site.id], rows.get(window.site.id, {}))
    for window, _ in changed:
        window.forget()
    return told
