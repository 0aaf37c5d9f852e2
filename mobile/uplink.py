"""The phone's MQTT side, a process of its own: sends what waits in the outbox, keeps what it is told.

A broker's PUBACK proves nothing (it may be killed with the message in its memory); only the server's own
`stored` ends a record's waiting. What the phone is told is confirmed to the broker after it is in the inbox.
"""

from __future__ import annotations

import argparse
import logging
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from domain import process
from domain.process import log_to_stderr
from domain.settings import Settings
from domain.wire import decode, down_topic, new_id, up_topic
from mobile.outbox import due, hear, note_sent, open_outbox, retry_now, say, settle

log = logging.getLogger(__name__)

#: records on their way to the broker at the same time: what an urgent one has to wait for on a slow network
WINDOW = 20


def run(path: Path, device: str, mqtt_url: str, stop: threading.Event) -> None:
    """Carry the outbox's records over and keep what comes in, until `stop` is set.

    Without a network everything waits; a new connection sends at once what was under way on the old one.
    """
    db = open_outbox(path)
    todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    client = _client(db, device, mqtt_url, todo)
    under_way: dict[str, MQTTMessageInfo] = {}
    client.loop_start()
    try:
        while not stop.is_set():
            if client.is_connected():
                _send_due(client, db, device, under_way)
            try:
                todo.get(timeout=0.1)()
                while True:
                    todo.get_nowait()()
            except queue.Empty:
                pass
    finally:
        client.disconnect()
        client.loop_stop()
        db.close()


def _client(
    db: sqlite3.Connection, device: str, mqtt_url: str, todo: queue.SimpleQueue[Callable[[], None]]
) -> Client:
    """Return a client that connects by itself; its callbacks only hand work to the main thread."""
    url = urlsplit(mqtt_url)
    client = Client(
        CallbackAPIVersion.VERSION2, device, clean_session=False, protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )  # fmt: skip
    if url.username:
        client.username_pw_set(url.username, url.password)

    def connected(client: Client, *_: object) -> None:
        client.subscribe(down_topic(device, "stored").rsplit("/", 1)[0] + "/+", qos=1)
        todo.put(lambda: retry_now(db))

    def arrived(client: Client, _: object, message: MQTTMessage) -> None:
        todo.put(lambda: _take(client, db, message))

    client.on_connect, client.on_message = connected, arrived
    client.reconnect_delay_set(1, 30)
    client.connect_async(url.hostname or "localhost", url.port or 1883, keepalive=25)
    return client


def _send_due(
    client: Client, db: sqlite3.Connection, device: str, under_way: dict[str, MQTTMessageInfo]
) -> None:
    """Send what is due, as far as there is room; what the broker has not yet taken is not sent again.

    The client itself repeats that after a reconnect, and on a slow network more of it would only queue up.
    """
    for id in [id for id, info in under_way.items() if info.is_published()]:
        del under_way[id]
    now = time.time()
    records = [record for record in due(db, now, 2 * WINDOW) if record.id not in under_way]
    for record in records[: WINDOW - len(under_way)]:
        info = client.publish(up_topic(device, record.kind), record.body, qos=1)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            break  # the connection has just gone; the record stays due
        under_way[record.id] = info
        note_sent(db, record.id, now)


def _take(client: Client, db: sqlite3.Connection, message: MQTTMessage) -> None:
    kind = message.topic.rsplit("/", 1)[1]
    try:
        told = decode(bytes(message.payload))
        if kind == "stored":
            settle(db, told)
        else:
            _keep(db, kind, told)
    except (ValueError, KeyError) as error:
        # the platform repeats what it needs confirmed; an unreadable message must not stop the rest
        log.error("cannot read a message on %s: %r", message.topic, error)
    client.ack(message.mid, message.qos)


def _keep(db: sqlite3.Connection, kind: str, told: dict[str, object]) -> None:
    """Keep the message; an alert is answered `received` each time it comes, as answers may get lost too."""
    id = str(told["delivery"] if kind == "alert" else told["id"])
    hear(db, kind, id, told)
    if kind == "alert":
        at = datetime.now(UTC)
        say(db, "status", {"id": new_id(), "subject": id, "state": "received", "at": at})


def main(argv: list[str]) -> int:
    """Run the uplink of one phone until SIGTERM; return 0 then, 75 when it broke off, 2 for bad settings."""
    parser = argparse.ArgumentParser(prog="python -m mobile.uplink", description=__doc__)
    parser.add_argument("--outbox", type=Path, required=True, help="the phone's SQLite file")
    parser.add_argument("--device", required=True, help="the phone's name")
    args = parser.parse_args(argv)
    log_to_stderr("uplink")
    try:
        broker = Settings.from_env().broker()
    except ValueError as error:
        log.error("%s", error)
        return 2
    return process.run({"uplink": lambda stop: run(args.outbox, args.device, broker.geturl(), stop)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
