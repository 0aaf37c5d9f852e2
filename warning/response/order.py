"""The handler of `dispatched`: a team's phone hears that it is ordered, until it answers, or called back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client
from psycopg import Connection

from domain.flow import Event, Handler, emit
from domain.incident import DispatchState
from domain.wire import down_topic, encode
from warning.outlet import Outlet, again_s

TOLD = frozenset({DispatchState.ORDERED, DispatchState.CANCELLED})


def orderer(client: Client) -> Handler:
    """Return the handler of `dispatched` and `unanswered`, publishing through this client."""

    def order(conn: Connection[Any], events: Sequence[Event]) -> None:
        outlet = Outlet(client=client)
        for event in events:
            state = event.body["state"]
            told = state in TOLD and _publish(conn, event, outlet)
            if told and state == DispatchState.ORDERED:
                tries = event.body.get("tries", 0)
                body = {"state": state, "tries": tries + 1}
                emit(conn, "unanswered", subject=event.subject, region=event.region, body=body,
                     delay_s=again_s(tries))  # fmt: skip
        outlet.settle()

    return order


def _publish(conn: Connection[Any], event: Event, outlet: Outlet) -> bool:
    """Tell the phone; False when the dispatch has gone on meanwhile, or the phone never heard of it."""
    row = conn.execute(
        "SELECT u.device, d.incident, i.mode, d.distance_m, d.ordered_at,"
        " s.code, s.name_zh, s.name_en, s.lon, s.lat"
        " FROM dispatch d JOIN unit u ON u.id = d.unit JOIN incident i ON i.id = d.incident"
        " JOIN hazard_site s ON s.id = i.site WHERE d.id = %s AND d.state = %s AND d.ordered_at IS NOT NULL",
        (event.subject, event.body["state"]),
    ).fetchone()
    if row is None:
        return False
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
    return True
