"""Reading the tracks of a GPX file, 1.0 or 1.1 (topografix.com/gpx), also those whose points have no time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from domain.clock import parse_time
from domain.geo import Position
from domain.track_format import NAMESPACE
from ingest.fields import NUMBER

#: root elements of GPX 1.0, 1.1 and of files that leave the namespace out
ROOTS = ("{http://www.topografix.com/GPX/1/0}gpx", "{http://www.topografix.com/GPX/1/1}gpx", "gpx")

#: name of an element, in GPX 1.0 or in the extensions of 1.1 -> what it measures (m, m/s, degrees)
MEASURED = {"accuracy": "accuracy_m", "speed": "speed_m_s", "course": "course_deg"}

#: a segment without any time is said to have ended this long before the first one with times ...
BEFORE = timedelta(hours=1)
#: ... with so much between its points
APART = timedelta(seconds=10)
MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One point of a track; `timed` is false where the file gives no time and one was made up.

    `measured` has what else the file says of the point, by the names in MEASURED.
    """

    at: datetime
    position: Position
    timed: bool = True
    measured: Mapping[str, float] = field(default_factory=dict)


class _NoDoctype(ElementTree.TreeBuilder):
    """A builder that refuses a document type: entities, which can grow without bound, need one."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("a GPX file has no DOCTYPE: refused, as its entities could fill the memory")


def segments(text: bytes) -> list[list[Fix]]:
    """Return the track segments that have points, in the order of the file.

    ValueError: no GPX, a point without a place, or no time anywhere from which missing ones could follow.
    """
    root = _root(text)
    space = root.tag.removesuffix("gpx")
    lines = [list(segment.iter(f"{space}trkpt")) for segment in root.iter(f"{space}trkseg")]
    lines = [points for points in lines if points]
    times = [[_time(point, space) for point in points] for points in lines]
    known = [at for line in times for at in line if at is not None]
    known = known or [at for at in [_time(root, space), *(_time(m, space) for m in root)] if at is not None]
    if lines and not known:
        raise ValueError(
            "no point of the GPX file has a time, and neither has the file: nothing to place it by"
        )
    return [
        [Fix(at=at, position=_position(point, space), timed=told is not None, measured=_measured(point))
         for point, told, at in zip(points, line, filled, strict=True)]
        for points, line, filled in zip(lines, times, _placed(times, min(known, default=None)), strict=True)
    ]  # fmt: skip


def mode(text: bytes) -> str:
    """Return the mode that our own export has written into the file, '' in the files of others."""
    return (_root(text).findtext(f".//{{{NAMESPACE}}}mode") or "").strip()


def _root(text: bytes) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314
    try:
        parser.feed(text)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(f"no GPX: {error}") from None
    if root.tag not in ROOTS:
        raise ValueError(f"no GPX 1.0 or 1.1: the document is a {root.tag}")
    return root


def _time(element: ElementTree.Element, space: str) -> datetime | None:
    text = (element.findtext(f"{space}time") or "").strip()
    # GPX times are UTC; a fraction finer than microseconds is cut
    return parse_time(re.sub(r"(\.\d{6})\d+", r"\1", text), naive=UTC) if text else None


def _position(point: ElementTree.Element, space: str) -> Position:
    altitude = (point.findtext(f"{space}ele") or "").strip()
    try:
        return Position(
            lon=float(point.attrib["lon"]),
            lat=float(point.attrib["lat"]),
            altitude_m=float(altitude) if altitude else None,
        )
    except KeyError as error:
        raise ValueError(f"a point of the GPX file has no {error}") from None


def _measured(point: ElementTree.Element) -> dict[str, float]:
    """Return what the point says beside its place and time; 1.1 keeps that in extensions of any namespace."""
    measured: dict[str, float] = {}
    for element in point.iter():
        name, text = element.tag.rpartition("}")[2], (element.text or "").strip()
        if name in MEASURED and NUMBER.fullmatch(text):
            measured[MEASURED[name]] = float(text)
    return measured


def _placed(lines: Sequence[Sequence[datetime | None]], first: datetime | None) -> list[list[datetime]]:
    """Return times for all points; segments without any lie one after another before the first known time."""
    placed: list[list[datetime]] = []
    for line in reversed(lines):
        if first is not None and not any(line):
            last = first - BEFORE
            placed.append([last - (len(line) - 1 - i) * APART for i in range(len(line))])
            first = placed[-1][0]
        else:
            placed.append(_filled(line))
    return placed[::-1]


def _filled(line: Sequence[datetime | None]) -> list[datetime]:
    """Return the times of a segment; points without one keep the order, milliseconds beside the others."""
    filled: list[datetime] = []
    begin, start = next((i, at) for i, at in enumerate(line) if at is not None)
    for i, at in enumerate(line):
        beside = filled[-1] + MOMENT if i > begin else start - (begin - i) * MOMENT
        filled.append(at or beside)
    return filled
