"""The handler of `dispatched`: a team's phone hears that it is ordered, or called back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client
from psycopg import Connection

from domain.flow import Event, Handler
from domain.incident import DispatchState
from domain.wire import down_topic, encode
from warning.outlet import Outlet

TOLD = frozenset({DispatchState.ORDERED, DispatchState.CANCELLED})


def orderer(client: Client) -> Handler:
    """Return the handler of `dispatched`, publishing through this client."""

    def order(conn: Connection[Any], events: Sequence[Event]) -> None:
        outlet = Outlet(client=client)
        for event in events:
            if event.body["state"] in TOLD:
                _publish(conn, event, outlet)
        outlet.settle()

    return order


def _publish(conn: Connection[Any], event: Event, outlet: Outlet) -> None:
    """Tell the phone, unless the dispatch has gone on meanwhile or the phone never heard of it."""
    row = conn.execute(
        "SELECT u.device, d.incident, i.mode, d.distance_m, d.ordered_at,"
        " s.code, s.name_zh, s.name_en, s.lon, s.lat"
        " FROM dispatch d JOIN unit u ON u.id = d.unit JOIN incident i ON i.id = d.incident"
        " JOIN hazard_site s ON s.id = i.site WHERE d.id = %s AND d.state = %s AND d.ordered_at IS NOT NULL",
        (event.subject, event.body["state"]),
    ).fetchone()
    if row is None:
        return
    device, incident, mode, distance, ordered_at, *site = row
    message = {
        "id": event.subject,
        "incident": incident,
        "state": event.body["state"],
        "mode": mode,
        "site": dict(zip(("code", "name_zh", "name_en", "lon", "lat"), site, strict=True)),
        "distance_m": round(distance),
        "ordered_at": ordered_at,
    }
    outlet.publish(down_topic(device, "dispatch"), encode(message))
