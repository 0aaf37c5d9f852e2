"""What the tests of ingest register, and how a payload reaches the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from ingest import codecs
from ingest.registry import Registry
from ingest.resolve import Arrival, resolve
from ingest.store import Outcome, save
from server.registry import register

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
RING = [[106.2, 35.9], [106.21, 35.9], [106.21, 35.91], [106.2, 35.91], [106.2, 35.9]]

#: puts payloads (topic, bytes) through codec and store as one batch
Put = Callable[..., list[Outcome]]


def site(code: str) -> dict[str, Any]:
    names = {"code": code, "name_zh": code, "name_en": code, "region": "640402", "polygon": RING}
    return {
        **names,
        "type": "landslide",
        "mode": "exercise",
        "rule": "landslide",
        "lon": 106.205,
        "lat": 35.905,
    }


def thing(code: str, kind: str = "station", site: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "code": code,
        "kind": kind,
        "name": code,
        "site": site,
        "region": "640402",
        "mode": "exercise",
        **more,
    }


#: two sites, which lie in two partitions; stations at each, one without, one that writes Beijing time; phones
REGISTRY = {
    "sites": [site("A"), site("B")],
    "things": [
        thing(
            "st-a", site="A", datastreams=[{"name": "rain", "unit": "mm", "observed_property": "rainfall"}]
        ),
        thing("st-b", site="B"),
        thing("st-free"),
        thing("st-beijing", site="A", time_zone="Asia/Shanghai"),
        thing("ph-1", "phone"),
        thing("ph-2", "phone"),
        thing("mei/ph-3", "phone"),
    ],
}


@pytest.fixture
def enrolled(conn: Connection[Any]) -> Connection[Any]:
    """The connection that is undone afterwards, with everything of REGISTRY registered."""
    register(conn, REGISTRY)
    return conn


@pytest.fixture
def registered_url(database_url: str) -> str:
    """The address of a database of its own with everything of REGISTRY registered."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        register(conn, REGISTRY)
    return database_url


@pytest.fixture
def put(enrolled: Connection[Any]) -> Put:
    """A function that stores (topic, payload) pairs as one batch, received at RECEIVED or another time."""
    registry = Registry()

    def store(*messages: tuple[str, bytes], at: datetime = RECEIVED, now_s: float = 0) -> list[Outcome]:
        arrivals = [
            Arrival(topic=topic, payload=payload, received_at=at, decoded=codecs.read(topic, payload, at))
            for topic, payload in messages
        ]
        return save(enrolled, registry, resolve(enrolled, registry, arrivals, now_s))

    return store
