"""Consumer `replay`: what waits in quarantine for a device to be registered is stored once it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection

from domain.flow import Event, consume
from ingest.registry import Registry
from ingest.rejected import replay, waiting

log = logging.getLogger(__name__)


def run(database_url: str, stop: threading.Event) -> None:
    """Replay the payloads of registered devices until `stop` is set.

    Each payload is a transaction of its own on a second connection: a device may have sent for months, and
    a partition that is made must not keep the others waiting. Done twice is done once, as keys absorb it.
    psycopg.OperationalError: the database is lost.
    """
    name = "liupan-replay"
    with (
        psycopg.connect(database_url, autocommit=True, application_name=name) as conn,
        psycopg.connect(database_url, autocommit=True, application_name=name) as aside,
    ):
        aside.execute("SET TIME ZONE 'UTC'")

        def again(_: Connection[Any], events: Sequence[Event]) -> None:
            """Replay what waits for the devices of the events."""
            registry = Registry()
            for device in dict.fromkeys(event.subject for event in events):
                reasons = [replay(aside, registry, number) for number in waiting(aside, device)]
                kept = sum(not reason for reason in reasons)
                log.info("%s is registered: %d of %d waiting payloads stored", device, kept, len(reasons))

        consume(conn, "replay", again, stop)
