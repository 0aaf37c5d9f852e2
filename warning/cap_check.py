"""What must hold in a CAP 1.2 message although the XML schema does not say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from lxml import etree

from domain.clock import parse_time
from warning.cap import GEOCODE, NAMESPACE

_CAP = {"c": NAMESPACE}


def check(xml: str) -> list[str]:
    """Return what is wrong with a message that the schema accepts, one sentence each."""
    root = etree.fromstring(xml.encode())
    return [*_head(root), *_references(root), *_infos(root)]


def _head(root: etree._Element) -> Iterator[str]:
    for name in ("identifier", "sender"):
        if re.search(r"[\s,<&]", _text(root, name)) or not _text(root, name):
            yield f"{name} is empty or holds a space, a comma, < or &: {_text(root, name)!r}"
    for scope, name in (("Restricted", "restriction"), ("Private", "addresses")):
        if _text(root, "scope") == scope and not _text(root, name):
            yield f"scope {scope} needs the element {name}"


def _references(root: etree._Element) -> Iterator[str]:
    references = _text(root, "references").split()
    if _text(root, "msgType") in ("Update", "Cancel", "Ack", "Error") and not references:
        yield f"msgType {_text(root, 'msgType')} needs references"
    for reference in references:
        parts = reference.split(",")
        if len(parts) != 3 or not all(parts):
            yield f"reference {reference!r} is not sender,identifier,sent"
        elif not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d", parts[2]):
            yield f"reference {reference!r} does not end with a CAP time"


def _infos(root: etree._Element) -> Iterator[str]:
    infos = root.findall("c:info", _CAP)
    if not infos and _text(root, "msgType") in ("Alert", "Update"):
        yield f"msgType {_text(root, 'msgType')} needs an info"
    sent = _time(root, "sent")
    for info in infos:
        if (expires := _time(info, "expires")) and sent and expires <= sent:
            yield f"expires {expires.isoformat()} is not after sent {sent.isoformat()}"
        if not info.findall("c:area", _CAP):
            yield "an info has no area"
        for area in info.findall("c:area", _CAP):
            yield from _area(area)


def _area(area: etree._Element) -> Iterator[str]:
    if not any(area.findall(f"c:{name}", _CAP) for name in ("polygon", "circle", "geocode")):
        yield f"area {_text(area, 'areaDesc')!r} has no polygon, circle or geocode"
    for polygon in area.findall("c:polygon", _CAP):
        yield from _polygon((polygon.text or "").split())
    for geocode in area.findall("c:geocode", _CAP):
        value = _text(geocode, "value")
        if _text(geocode, "valueName") == GEOCODE and not re.fullmatch(r"\d{6}(\d{6})?", value):
            yield f"geocode {value!r} is no GB/T 2260 code of 6 or 12 digits"


def _polygon(points: list[str]) -> Iterator[str]:
    pairs = [re.fullmatch(r"(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)", point) for point in points]
    if len(points) < 4 or not all(pairs):
        yield "a polygon needs four points or more, each lat,lon"
        return
    if points[0] != points[-1]:
        yield "a polygon is not closed: its last point must repeat its first"
    if any(abs(float(pair[1])) > 90 or abs(float(pair[2])) > 180 for pair in pairs if pair):
        yield "a polygon leaves the Earth: are its points lon,lat instead of lat,lon?"


def _text(element: etree._Element, name: str) -> str:
    return element.findtext(f"c:{name}", "", _CAP)


def _time(element: etree._Element, name: str) -> datetime | None:
    return parse_time(text) if (text := _text(element, name)) else None
