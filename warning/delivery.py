"""One delivery for each recipient of an alert, each sent and retried alone.

That the broker has acknowledged a message proves little: it may be killed with it, or know nothing of a phone
that never connected. So a delivery is sent again until the phone says that it has it, the alert has expired,
or a newer one has taken its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paho.mqtt.client import Client
from psycopg import Connection

from domain.alert import Level
from domain.flow import Event, Handler, News, emit_all
from domain.wire import new_id
from warning.channels import Delivery, Notice, Send
from warning.outlet import Outlet, again_s


def fan_out(conn: Connection[Any], events: Sequence[Event]) -> None:
    """Handle `alerted`: a delivery, and `due`, for each recipient whose prefix begins the alert's region."""
    for event in events:
        recipients = conn.execute(
            "SELECT DISTINCT channel, address FROM recipient WHERE starts_with(%s, region)", (event.region,)
        ).fetchall()
        new = conn.execute(
            "INSERT INTO delivery (id, alert, channel, address, region, created_at)"
            " SELECT id, %s, channel, address, %s, clock_timestamp()"
            " FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS told (id, channel, address)"
            " ON CONFLICT (alert, channel, address) DO NOTHING RETURNING id",
            (event.subject, event.region, [new_id() for _ in recipients],
             [channel for channel, _ in recipients], [address for _, address in recipients]),
        ).fetchall()  # fmt: skip
        if new:
            due = [News(str(delivery), event.region, event.partition) for (delivery,) in new]
            emit_all(conn, "due", due)


def deliverer(client: Client, channels: Mapping[str, Send]) -> Handler:
    """Return the handler of `due`: send by the delivery's channel, and emit `delivered` at the first time."""

    def deliver(conn: Connection[Any], events: Sequence[Event]) -> None:
        outlet = Outlet(client=client)
        tries = {event.subject: int(event.body.get("tries", 0)) for event in events}
        deliveries = _owed(conn, list(tries))
        for delivery in deliveries:
            if delivery.channel not in channels:
                known = ", ".join(channels)
                raise LookupError(f"no channel {delivery.channel!r} in warning/channels, only {known}")
            channels[delivery.channel](delivery, outlet)
        outlet.settle()
        _note_sent(conn, deliveries, tries)

    return deliver


def _note_sent(conn: Connection[Any], deliveries: Sequence[Delivery], tries: Mapping[str, int]) -> None:
    first = conn.execute(
        "UPDATE delivery SET sent_at = clock_timestamp() WHERE id = ANY(%s) AND sent_at IS NULL RETURNING id",
        ([delivery.id for delivery in deliveries],),
    ).fetchall()
    new = {id for (id,) in first}
    if delivered := [_delivered(delivery) for delivery in deliveries if delivery.id in new]:
        emit_all(conn, "delivered", delivered)
    if deliveries:
        emit_all(conn, "due", [_due_again(delivery, tries[str(delivery.id)]) for delivery in deliveries])


def _delivered(delivery: Delivery) -> News:
    body = {"channel": delivery.channel, "address": delivery.address,
            "alert": delivery.notice.identifier, "mode": delivery.notice.mode}  # fmt: skip
    return News(str(delivery.id), delivery.region, body=body)


def _due_again(delivery: Delivery, sent: int) -> News:
    return News(str(delivery.id), delivery.region, body={"tries": sent + 1}, delay_s=again_s(sent))


def _owed(conn: Connection[Any], ids: Sequence[str]) -> list[Delivery]:
    rows = conn.execute(
        "SELECT d.id, d.channel, d.address, d.region, a.identifier, a.mode, a.message_type, a.level,"
        " a.headline_zh, a.headline_en, a.instruction_zh, a.instruction_en, a.sent, a.expires,"
        " s.code, s.name_zh, s.name_en, s.lon, s.lat, s.polygon, s.threatened"
        " FROM delivery d JOIN alert a ON a.id = d.alert JOIN hazard_site s ON s.id = a.site"
        " WHERE d.id = ANY(%s::uuid[]) AND NOT EXISTS (SELECT FROM receipt r WHERE r.delivery = d.id)"
        " AND (d.sent_at IS NULL OR (a.expires > now() AND a.id ="
        "      (SELECT n.id FROM newest_alert n WHERE n.site = a.site)))"
        " ORDER BY d.created_at",
        (list(ids),),
    ).fetchall()
    names = ("code", "name_zh", "name_en", "lon", "lat", "polygon")
    return [
        Delivery(
            id=row[0],
            channel=row[1],
            address=row[2],
            region=row[3],
            notice=Notice(
                identifier=row[4],
                mode=row[5],
                message_type=row[6],
                level=Level(row[7]),
                headline_zh=row[8],
                headline_en=row[9],
                instruction_zh=row[10],
                instruction_en=row[11],
                sent=row[12],
                expires=row[13],
                site=dict(zip(names, row[14:20], strict=True)),
                threatened=row[20],
            ),
        )
        for row in rows
    ]
