"""Looking at a running installation as any client does: its HTTP API and its live feed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

#: s after which an answer is given up; the feed says something every 2 s at least
TIMEOUT_S = 10.0
#: s between two looks at what the feed does not tell
LOOK_S = 1.0

Row = dict[str, Any]


@dataclass
class Picture:
    """How things stand, as the API told it last."""

    sites: list[Row] = field(default_factory=list)
    latest: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    incidents: list[Row] = field(default_factory=list)
    units: list[Row] = field(default_factory=list)
    #: the last three
    assessments: list[Row] = field(default_factory=list)
    leads: list[Row] = field(default_factory=list)
    cases: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    counts: Row = field(default_factory=dict)
    health: Row = field(default_factory=dict)
    #: observations that were stored per second, lately
    rate: float = 0.0
    #: what is wrong with the connection, if anything
    trouble: str = ""


def get(base: str, path: str) -> Any:
    """Return the JSON that the API answers; OSError or HTTPException when it does not, or not with 200."""
    connection = _connect(base)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise HTTPException(f"{path} answers {answer.status} {body[:200]!r}")
        return json.loads(body)
    finally:
        connection.close()


def look(base: str, picture: Picture) -> None:
    """Bring the picture up to date."""
    stored, since = picture.counts.get("observations", 0), picture.counts.get("looked_at", 0.0)
    for name in ("sites", "alerts", "units", "leads", "cases", "rejected"):
        setattr(picture, name, get(base, f"/{name}?limit=500"))
    picture.latest = get(base, "/observations/latest?limit=500")
    picture.assessments = get(base, "/assessments?limit=3")
    picture.health = get(base, "/healthz")
    picture.incidents = [get(base, f"/incidents/{row['id']}") for row in get(base, "/incidents?limit=50")]
    counts, now = get(base, "/counts"), time.monotonic()
    if since:
        picture.rate = 0.7 * picture.rate + 0.3 * (counts["observations"] - stored) / (now - since)
    picture.counts = {**counts, "looked_at": now}


def keep_looking(base: str, picture: Picture, stop: threading.Event) -> None:
    """Keep the picture up to date until `stop` is set; what fails is told in it and tried again."""
    while not stop.is_set():
        try:
            look(base, picture)
            picture.trouble = ""
        except (OSError, HTTPException, ValueError) as error:
            picture.trouble = str(error)
        stop.wait(LOOK_S)


def follow(base: str, tell: Callable[[str, Row], None], stop: threading.Event) -> None:
    """Give `tell` each event of the live feed, (kind, event), until `stop` is set; go on where it broke."""
    cursor = ""
    while not stop.is_set():
        connection = _connect(base)
        try:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": cursor} if cursor else {})
            connection.request("GET", "/live", headers=headers)
            for kind, place, data in _events(connection.getresponse()):
                cursor = place
                tell(kind, json.loads(data))
                if stop.is_set():
                    break
        except (OSError, HTTPException):
            pass  # the server starts again, or ends: the next round shows which
        finally:
            connection.close()
        stop.wait(0.5)


def _events(answer: HTTPResponse) -> Iterator[tuple[str, str, str]]:
    """Yield (event, last id, data) of a stream of Server-Sent Events, as the HTML standard reads it."""
    kind, cursor, data = "message", "", list[str]()
    for raw in answer:
        line = raw.decode().rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            yield kind, cursor, "\n".join(data)
        if not line:
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "id":
            cursor = value
        elif name == "data":
            data.append(value)


def _connect(base: str) -> HTTPConnection:
    url = urlsplit(base)
    return HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT_S)
