"""The public, retained topic of each region: what is in force there, at any moment, for whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from paho.mqtt.client import Client
from psycopg import Connection
from psycopg.rows import dict_row

from domain.alert import Level
from domain.flow import Event, Handler, emit
from domain.wire import alert_topic, encode
from warning import outlet


def publisher(client: Client) -> Handler:
    """Return the handler of `alerted` and `connected`: make the retained topics say what the tables say."""

    def publish(conn: Connection[Any], events: Sequence[Event]) -> None:
        regions = {event.region for event in events if event.kind == "alerted"}
        if any(event.kind == "connected" for event in events):
            regions |= {region for (region,) in conn.execute("SELECT DISTINCT region FROM alert")}
        batch = outlet.Outlet(client=client)
        for region in sorted(regions):
            # two processes must not publish what they read in the other order
            conn.execute("SELECT pg_advisory_xact_lock(hashtext('liupan public'), hashtext(%s))", (region,))
            batch.publish(alert_topic(region), _in_force(conn, region, datetime.now(UTC)), retain=True)
        batch.settle()

    return publish


def when_connected(conn: Connection[Any], client: Client) -> Callable[[], list[int] | None]:
    """Return what `warning.outlet.when_connected` does, and emit `connected` at each new connection.

    A broker that comes back may have forgotten what it retained.
    """
    partitions, known = outlet.when_connected(client), 0

    def noticing() -> list[int] | None:
        nonlocal known
        if (count := outlet.connections(client)) != known:
            emit(conn, "connected", subject=f"{client.host}:{client.port}")
            known = count
        return partitions()

    return noticing


def _in_force(conn: Connection[Any], region: str, at: datetime) -> bytes:
    """Return the region's message, the gravest alert first; empty, to remove it, when none is in force."""
    with conn.cursor(row_factory=dict_row) as cursor:
        alerts = cursor.execute(
            "SELECT identifier, level, mode, headline_zh, headline_en, expires, cap FROM newest_alert"
            " WHERE region = %s AND message_type <> 'Cancel' AND expires > %s ORDER BY level DESC, sent DESC",
            (region, at),
        ).fetchall()
    for alert in alerts:
        alert["level"] = Level(alert["level"]).word
    return encode({"region": region, "as_of": at, "alerts": alerts}) if alerts else b""
