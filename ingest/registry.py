"""The registered things and their datastreams as ingest needs them: found by name, remembered for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from domain.thing import partition_of
from ingest.limits import LIMITS, Limits, Registered, limits_of
from ingest.quality import Past, empty

#: what is remembered of a registered thing is asked again after this long (s), ...
FRESH_S = 60.0
#: ... and a sender that is not registered at most this often (s)
UNKNOWN_S = 1.0
#: at most this many unknown senders are remembered
UNKNOWN_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A registered thing: where its data belong, and its datastreams by name as (number, unit)."""

    id: int
    code: str
    region: str
    mode: str
    #: name of the zone of the times that it writes behind a Z
    zone: str
    datastreams: Mapping[str, tuple[int, str]]
    #: SHA-256 of its apikey in HEX, '' when none is registered
    key_sha256: str = ""


@dataclass(slots=True)
class Registry:
    """What is remembered: senders by code, and when those without an entry were last asked for (s)."""

    senders: dict[str, Sender] = field(default_factory=dict)
    unknown: dict[str, float] = field(default_factory=dict)
    since: float = 0.0
    #: by number of a datastream: partition of its site, its limits, and what its results are judged by
    partition: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    limits: Limits = field(default_factory=lambda: np.zeros(0, LIMITS))
    past: Past = field(default_factory=lambda: empty(0))
    #: months (since 1970) whose partition of the table `observation` is there
    months: set[int] = field(default_factory=set)
    #: until then (s) known keys are looked for before anything is copied
    careful_until: float = float("-inf")


def look_up(
    conn: Connection[Any], registry: Registry, codes: Iterable[str], now_s: float
) -> Mapping[str, Sender]:
    """Return the registered senders, among others those of these codes; asks for what is not remembered.

    `now_s` is any clock that only goes forward, in s.
    """
    if now_s - registry.since > FRESH_S:
        registry.senders.clear()
        registry.since = now_s
    if len(registry.unknown) > UNKNOWN_MAX:
        registry.unknown.clear()
    missing = {code for code in codes if code not in registry.senders}
    asked = {code for code in missing if now_s - registry.unknown.get(code, -UNKNOWN_S) >= UNKNOWN_S}
    if asked:
        _load(conn, registry, asked)
        registry.unknown |= dict.fromkeys(asked - registry.senders.keys(), now_s)
    return registry.senders


def add_datastreams(
    conn: Connection[Any], registry: Registry, named: Mapping[tuple[str, str], str | None]
) -> None:
    """Register the datastreams, (thing's code, name) -> unit, of known things, unless they are there."""
    things = [registry.senders[code].id for code, _ in named]
    names = [name for _, name in named]
    units = [unit or "" for unit in named.values()]
    conn.execute(
        "INSERT INTO datastream (thing, name, unit)"
        " SELECT * FROM unnest(%s::int[], %s::text[], %s::text[]) ON CONFLICT (thing, name) DO NOTHING",
        (things, names, units),
    )
    _load(conn, registry, {code for code, _ in named})


def _load(conn: Connection[Any], registry: Registry, codes: set[str]) -> None:
    streams: dict[int, dict[str, tuple[int, str]]] = {}
    rows = conn.execute(
        "SELECT t.id, t.code, t.site, t.region, t.mode, t.time_zone,"
        " CASE WHEN t.apikey = '' THEN '' ELSE encode(sha256(convert_to(t.apikey, 'UTF8')), 'hex') END,"
        " d.id, d.name, d.unit, d.observed_property, d.valid_min, d.valid_max, d.spike_sigma, d.spike_floor,"
        " d.stuck_after_h, d.max_rate_per_h, d.expected_every_s, t.reset_at"
        " FROM thing t LEFT JOIN datastream d ON d.thing = t.id WHERE t.code = ANY(%s)",
        ([code for code in codes if code.isprintable()],),
    ).fetchall()
    _make_room(registry, max((row[7] or 0 for row in rows), default=0))
    for thing, code, site, region, mode, zone, key, stream, name, unit, observed, *own in rows:
        if thing not in streams:
            streams[thing] = {}
            registry.senders[code] = Sender(
                id=thing, code=code, region=region, mode=mode, zone=zone, datastreams=streams[thing],
                key_sha256=key,
            )  # fmt: skip
        if stream is not None:
            streams[thing][name] = (stream, unit)
            registry.partition[stream] = 0 if site is None else partition_of(site)
            registry.limits[stream] = limits_of(name, observed, unit, Registered(*own))


def _make_room(registry: Registry, number: int) -> None:
    """Let the arrays reach up to this number."""
    if (more := number + 1 - len(registry.partition)) > 0:
        more = max(more, len(registry.partition) // 2)
        registry.partition = np.append(registry.partition, np.zeros(more, np.int64))
        registry.limits = np.append(registry.limits, np.zeros(more, LIMITS))
        registry.past = np.append(registry.past, empty(more))
