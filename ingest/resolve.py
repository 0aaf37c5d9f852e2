"""From names in payloads to numbers in tables: what of each payload may be stored, and why not the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg import Connection

from domain.lead import Lead
from domain.patrol import Patrol, TrackPoint
from domain.thing import Reading
from ingest.decoded import Answer, Decoded
from ingest.fields import quoted
from ingest.registry import Registry, Sender, add_datastreams, look_up

#: nothing was observed by telemetry before this; such times come from clocks that were never set
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
#: a clock may be this much ahead of ours before we refuse what it says
AHEAD = timedelta(hours=24)
#: longest name of a datastream
NAME_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One payload as it came, and what its codec read in it."""

    topic: str
    payload: bytes
    received_at: datetime
    decoded: Decoded


@dataclass(slots=True, kw_only=True)
class Contents:
    """What of an arrival may be stored, with numbers for names; `problems` tells, once each, what may not."""

    arrival: Arrival
    #: of its sender, '' when that is not known
    region: str
    problems: dict[str, None]
    #: whoever is named in it without being registered
    unregistered: frozenset[str] = frozenset()
    #: datastream's number, phenomenon time, result, time of receipt
    observations: list[tuple[int, datetime, float, datetime]] = field(default_factory=list)
    #: thing's number, name of the datastream, phenomenon time, text
    states: list[tuple[int, str, datetime, str]] = field(default_factory=list)
    fixes: list[tuple[TrackPoint, Sender]] = field(default_factory=list)
    patrols: list[tuple[Patrol, Sender]] = field(default_factory=list)
    leads: list[tuple[Lead, Sender]] = field(default_factory=list)
    answers: list[tuple[Answer, Sender]] = field(default_factory=list)


def resolve(
    conn: Connection[Any], registry: Registry, arrivals: Sequence[Arrival], now_s: float
) -> list[Contents]:
    """Return what may be stored of each arrival; datastreams that a known thing newly names are added.

    Call it outside of a transaction that may be undone: what it adds is remembered. `now_s` as in `look_up`.
    """
    codes = {arrival.decoded.device for arrival in arrivals}
    codes |= {reading.thing for arrival in arrivals for reading in arrival.decoded.readings}
    senders = look_up(conn, registry, codes - {""}, now_s)
    if new := _new_datastreams(arrivals, senders):
        add_datastreams(conn, registry, new)
    return [_contents(arrival, senders) for arrival in arrivals]


def _new_datastreams(
    arrivals: Sequence[Arrival], senders: Mapping[str, Sender]
) -> dict[tuple[str, str], str | None]:
    return {
        (reading.thing, reading.datastream): reading.unit
        for arrival in arrivals
        for reading in arrival.decoded.readings
        if (sender := senders.get(reading.thing))
        and reading.datastream not in sender.datastreams
        and not isinstance(reading.result, str)
        and _is_usable(reading)
    }


def _contents(arrival: Arrival, senders: Mapping[str, Sender]) -> Contents:
    decoded = arrival.decoded
    sender = senders.get(decoded.device)
    region = sender.region if sender else ""
    named = {decoded.device, *(reading.thing for reading in decoded.readings)} - {""}
    contents = Contents(
        arrival=arrival,
        region=region,
        problems=dict.fromkeys(decoded.problems),
        unregistered=frozenset(named - senders.keys()),
    )
    for reading in decoded.readings:
        try:
            _place(reading, _known(reading.thing, senders), contents)
        except ValueError as error:
            contents.problems[str(error)] = None
    for item, times, place in _said(contents):
        try:
            sender = _known(decoded.device, senders)
            for at in times:
                _check_clock(at, arrival.received_at)
            place.append((item, sender))
        except ValueError as error:
            contents.problems[str(error)] = None
    return contents


def _said(contents: Contents) -> Iterator[tuple[Any, Sequence[datetime], list[Any]]]:
    """Yield all that people's phones say, each with its times and the list that it belongs to."""
    decoded = contents.arrival.decoded
    for fix in decoded.fixes:
        yield fix, (fix.at,), contents.fixes
    for patrol in decoded.patrols:
        times = (patrol.started_at, patrol.ended_at or patrol.started_at)
        yield patrol, times, contents.patrols
    for lead in decoded.leads:
        yield lead, (lead.seen_at, *(e.captured_at for e in lead.evidence)), contents.leads
    for answer in decoded.answers:
        yield answer, (answer.at,), contents.answers


def _place(reading: Reading, sender: Sender, contents: Contents) -> None:
    """Add the reading where it belongs; ValueError says why it cannot be used."""
    arrival, name = contents.arrival, reading.datastream
    if not _is_usable(reading):
        raise ValueError(f"{quoted(name)} in {quoted(reading.unit)} is no name of a datastream with its unit")
    at = _time(reading, sender, arrival.received_at)
    if isinstance(reading.result, str):
        contents.states.append((sender.id, name, at, reading.result))
        return
    number, unit = sender.datastreams[name]
    if arrival.decoded.unit_told and reading.unit and unit and reading.unit != unit:
        raise ValueError(f"{name}: unit {quoted(reading.unit)} differs from the registered {unit!r}")
    contents.observations.append((number, at, reading.result, arrival.received_at))


def _time(reading: Reading, sender: Sender, received_at: datetime) -> datetime:
    at = reading.phenomenon_time
    if at is None:
        return received_at
    if sender.zone != "UTC" and not at.utcoffset():
        at = at.replace(tzinfo=_zone(sender.zone))
    _check_clock(at, received_at)
    return at.astimezone(UTC)


def _check_clock(at: datetime, received_at: datetime) -> None:
    if at - received_at > AHEAD:
        raise ValueError(
            f"device clock: {at.isoformat()} is more than 24 h ahead of its receipt {received_at.isoformat()}"
        )
    if at < EARLIEST:
        raise ValueError(f"device clock: {at.isoformat()} is before 1990, the clock was never set")


def _known(code: str, senders: Mapping[str, Sender]) -> Sender:
    sender = senders.get(code)
    if sender is None:
        raise ValueError(
            f"device {quoted(code)} is not registered: add it with `liupan import FILE`"
            " or claim it with `liupan unclaimed claim`; what waits in quarantine is stored then"
        )
    return sender


def _is_usable(reading: Reading) -> bool:
    """Tell whether a datastream can have this name and unit: in a table, an index, a log."""
    name, unit = reading.datastream, reading.unit or ""
    return 0 < len(name) <= NAME_LENGTH and name.isprintable() and unit.isprintable()


@lru_cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(
            f"the time zone {name!r} that is registered for the device is not known here"
        ) from None
