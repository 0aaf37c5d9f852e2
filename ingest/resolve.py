"""From names in payloads to numbers in tables: what of each payload may be stored, and why not the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg import Connection

from domain.lead import Lead
from domain.patrol import Patrol, TrackPoint
from domain.reply import Reply
from domain.thing import Reading
from ingest.barred import barred
from ingest.columns import Columns
from ingest.decoded import Answer, Decoded, Report, StationFile
from ingest.fields import quoted
from ingest.numbered import Names, names_in, reading_of, sent_by
from ingest.registry import Registry, Sender, add_datastreams, look_up
from ingest.replies import attribute

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
#: nothing was observed by telemetry before 1990; such times come from clocks that were never set
EARLIEST_US = (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
#: a clock may be this much ahead of ours before we refuse what it says
AHEAD_US = timedelta(hours=24) // MICROSECOND
#: longest name of a datastream
NAME_LENGTH = 200


#: what is said beside results and files -> its times
SAID: Mapping[str, Callable[[Any], Sequence[datetime]]] = {
    "fixes": lambda fix: (fix.at,),
    "patrols": lambda patrol: (patrol.started_at, patrol.ended_at or patrol.started_at),
    "leads": lambda lead: (lead.seen_at, *(evidence.captured_at for evidence in lead.evidence)),
    "answers": lambda answer: (answer.at,),
    "replies": lambda reply: (),
    "reports": lambda report: () if report.at is None else (report.at,),
}


class Arrival(NamedTuple):
    """One payload as it came, and what its codec read in it."""

    topic: str
    payload: bytes
    received_at: datetime
    decoded: Decoded


@dataclass(slots=True)
class Contents:
    """What of the arrival at this place of the batch may be stored besides observations, with numbers for
    names; `problems` tells, once each, what may not.
    """

    place: int
    arrival: Arrival
    #: of its sender, '' when that is not known
    region: str
    #: how many observations of it may be stored
    observations: int = 0
    problems: dict[str, None] = field(default_factory=dict)
    #: whoever is named in it without being registered
    unregistered: frozenset[str] = frozenset()
    #: thing's number, name of the datastream, phenomenon time, text
    states: list[tuple[int, str, datetime, str]] = field(default_factory=list)
    fixes: Sequence[tuple[TrackPoint, Sender]] = ()
    patrols: Sequence[tuple[Patrol, Sender]] = ()
    leads: Sequence[tuple[Lead, Sender]] = ()
    answers: Sequence[tuple[Answer, Sender]] = ()
    replies: Sequence[tuple[Reply, Sender]] = ()
    reports: Sequence[tuple[Report, Sender]] = ()
    #: with the time that the file is of
    files: list[tuple[StationFile, Sender, datetime]] = field(default_factory=list)
    #: (datastream, microseconds) of each numbered result, None for one that may not be stored
    keys: list[tuple[int, int] | None] = field(default_factory=list)

    @property
    def is_rich(self) -> bool:
        """Whether there is anything besides observations, or a word to be said of them."""
        return bool(self.problems or self.states or self.fixes or self.patrols or self.leads or self.answers
                    or self.replies or self.reports or self.files or self.keys)  # fmt: skip


@dataclass(slots=True)
class Batch:
    """Arrivals with what of them may be stored: observations as columns, all else with each."""

    contents: list[Contents]
    columns: Columns

    def __len__(self) -> int:
        return len(self.contents)

    def part(self, begin: int, end: int) -> Batch:
        """Return the arrivals begin..end-1 as a batch."""
        contents = [replace(each, place=each.place - begin) for each in self.contents[begin:end]]
        return Batch(contents, self.columns.between(begin, end))


def resolve(conn: Connection[Any], registry: Registry, arrivals: Sequence[Arrival], now_s: float) -> Batch:
    """Return what may be stored of each arrival; datastreams that a known thing newly names are added.

    Call it outside of a transaction that may be undone: what it adds is remembered. `now_s` as in `look_up`.
    """
    arrivals = attribute(conn, arrivals)
    names = names_in(conn, (arrival.decoded for arrival in arrivals))
    codes = {code for code, _ in names.values()}
    for *_, decoded in arrivals:
        codes.add(decoded.device)
        codes.update(reading[0] for reading in decoded.readings)
        codes.update(file.thing for file in decoded.files)
    senders = look_up(conn, registry, codes - {""}, now_s)
    new = _new_datastreams(arrivals, senders)
    for code, name in names.values():  # in the table, and perhaps not yet in what is remembered
        if code in senders and name not in senders[code].datastreams:
            new.setdefault((code, name), None)
    if new:
        add_datastreams(conn, registry, new)
    batch = Batch([], Columns())
    for place, arrival in enumerate(arrivals):
        batch.contents.append(_contents(place, arrival, senders, names, batch))
    return batch


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


def _contents(
    place: int, arrival: Arrival, senders: Mapping[str, Sender], names: Names, batch: Batch
) -> Contents:
    decoded = arrival.decoded
    if decoded.numbered:
        decoded = decoded._replace(device=sent_by(decoded, names))
        arrival = arrival._replace(decoded=decoded)
    sender = senders.get(decoded.device)
    contents = Contents(place, arrival, sender.region if sender else "")
    received_us = microseconds(arrival.received_at)
    refused = barred(decoded, arrival.received_at, senders)
    if decoded.problems or refused:
        contents.problems = dict.fromkeys([*decoded.problems, *refused.values()])
    if sender is None or len(decoded.readings) > 1:
        named = {decoded.device, *(reading.thing for reading in decoded.readings)} - {""}
        contents.unregistered = frozenset(named - senders.keys())
    for reading in decoded.readings:
        if reading.thing in refused:
            continue
        try:
            _place(reading, _known(reading.thing, senders), contents, received_us, batch)
        except ValueError as error:
            contents.problems[str(error)] = None
    if decoded.numbered:
        _numbered(contents, senders, names, batch)
    for file in decoded.files:
        if file.thing not in refused:
            _file(file, contents, senders)
    for name in SAID:
        if items := getattr(decoded, name):
            _say(contents, name, items, sender, received_us)
    return contents


def _say(
    contents: Contents, name: str, items: Sequence[Any], sender: Sender | None, received_us: int
) -> None:
    """Add what is said of this kind, as far as its sender is known and its times can be."""
    kept = []
    for item in items:
        try:
            known = _known(contents.arrival.decoded.device, {} if sender is None else {sender.code: sender})
            for at in SAID[name](item):
                _check_clock(at, microseconds(at), received_us)
            kept.append((item, known))
        except ValueError as error:
            contents.problems[str(error)] = None
            if sender and isinstance(item, Report):
                # a call for help with a clock that was never set must be heard: it is of its receipt
                kept.append((replace(item, at=None), sender))
    setattr(contents, name, kept)


def _numbered(contents: Contents, senders: Mapping[str, Sender], names: Names, batch: Batch) -> None:
    """Add the results that name their datastream by its number."""
    received_us = microseconds(contents.arrival.received_at)
    for result in contents.arrival.decoded.numbered:
        try:
            reading = reading_of(result, names)
            at_us = _place(reading, _known(reading.thing, senders), contents, received_us, batch)
            contents.keys.append((result.datastream, at_us))
        except ValueError as error:
            contents.keys.append(None)
            contents.problems[str(error)] = None


def _file(file: StationFile, contents: Contents, senders: Mapping[str, Sender]) -> None:
    received_at = contents.arrival.received_at
    try:
        owner = _known(file.thing, senders)
        at, _ = _time(file.name, file.at, owner, received_at, microseconds(received_at))
        contents.files.append((file, owner, at))
    except ValueError as error:
        contents.problems[str(error)] = None


def _place(reading: Reading, sender: Sender, contents: Contents, received_us: int, batch: Batch) -> int:
    """Add the reading where it belongs; return its time (microseconds since 1970).

    ValueError says why it cannot be used.
    """
    _, name, at, result, told_unit = reading
    known = sender.datastreams.get(name)
    if known is None and not _is_usable(reading):
        raise ValueError(f"{quoted(name)} in {quoted(told_unit)} is no name of a datastream with its unit")
    at, at_us = _time(name, at, sender, contents.arrival.received_at, received_us)
    if isinstance(result, str) or known is None:
        contents.states.append((sender.id, name, at.astimezone(UTC), str(result)))
        return at_us
    number, unit = known
    if told_unit and unit and told_unit != unit and contents.arrival.decoded.unit_told:
        raise ValueError(f"{name}: unit {quoted(told_unit)} differs from the registered {unit!r}")
    columns = batch.columns
    columns.stream.append(number)
    columns.at_us.append(at_us)
    columns.result.append(result)
    columns.received_us.append(received_us)
    columns.owner.append(len(batch.contents))
    contents.observations += 1
    return at_us


def _time(
    name: str, at: datetime | None, sender: Sender, received_at: datetime, received_us: int
) -> tuple[datetime, int]:
    """Return the time that counts, and in microseconds; ValueError for one that cannot be."""
    if at is None:
        return received_at, received_us
    if sender.zone != "UTC" and not at.utcoffset():
        at = at.replace(tzinfo=_zone(sender.zone))
    if at.tzinfo is None:
        raise ValueError(f"{name}: the time {at.isoformat()} has no UTC offset")
    at_us = microseconds(at)
    _check_clock(at, at_us, received_us)
    return at, at_us


def microseconds(at: datetime) -> int:
    """Return the time in microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def _check_clock(at: datetime, at_us: int, received_us: int) -> None:
    if at_us - received_us > AHEAD_US:
        received = EPOCH + timedelta(microseconds=received_us)
        raise ValueError(
            f"device clock: {at.isoformat()} is more than 24 h ahead of its receipt {received.isoformat()}"
        )
    if at_us < EARLIEST_US:
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
