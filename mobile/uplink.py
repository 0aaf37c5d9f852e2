"""The phone's MQTT side, a process of its own: sends what waits in the outbox, keeps what it is told.

A broker's PUBACK proves nothing (it may be killed with the message in its memory); only the server's own
`stored` ends a record's waiting. What the phone is told is confirmed to the broker after it is in the inbox.
"""

from __future__ import annotations

import argparse
import logging
import queue
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from domain.settings import Settings
from domain.wire import decode, down_topic, new_id, up_topic
from mobile.outbox import due, hear, note_sent, open_outbox, retry_now, say, settle

log = logging.getLogger(__name__)

#: records on their way at the same time
WINDOW = 100


def run(path: Path, device: str, mqtt_url: str, stop: threading.Event) -> None:
    """Carry the outbox's records over and keep what comes in, until `stop` is set.

    Without a network everything waits; a new connection sends at once what was under way on the old one.
    """
    db = open_outbox(path)
    todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    client = _client(db, device, mqtt_url, todo)
    client.loop_start()
    try:
        while not stop.is_set():
            if client.is_connected():
                _send_due(client, db, device)
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


def _send_due(client: Client, db: sqlite3.Connection, device: str) -> None:
    now = time.time()
    records = due(db, now, WINDOW)
    if not records:
        return
    db.execute("BEGIN IMMEDIATE")
    for record in records:
        if client.publish(up_topic(device, record.kind), record.body, qos=1).rc != 0:
            break  # the connection has just gone; the record stays due
        note_sent(db, record.id, now)
    db.execute("COMMIT")


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


def main(argv: list[str] | None = None) -> int:
    """Run the uplink of one phone until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m mobile.uplink", description=__doc__)
    parser.add_argument("--outbox", type=Path, required=True, help="the phone's SQLite file")
    parser.add_argument("--device", required=True, help="the phone's name")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s uplink %(levelname)s %(message)s")
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    run(arguments.outbox, arguments.device, Settings.from_env().broker().geturl(), stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
