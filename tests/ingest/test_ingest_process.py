"""The process as it runs: a real broker, a real database, and SIGKILL in the middle."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.settings import Settings
from domain.wire import down_topic, unpack, up_topic
from server import broker as embedded_broker
from server import service
from server.registry import register

AT = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
PATIENCE_S = 30

#: the process kills itself where it would acknowledge: the batch is committed, the broker does not know
KILLED_BEFORE_ACKNOWLEDGING = """
import os, signal, sys
from ingest import batch
from ingest.__main__ import main
batch.answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(main(sys.argv[1:]))
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def client_id() -> str:
    return f"ingest-{uuid4().hex[:8]}"


@pytest.fixture
def start(registered_url: str, broker: str, client_id: str, state: Path) -> Iterator[Start]:
    """A function that starts the process, waits until it listens, and gives it a log in `state`."""
    started = []

    def run(code: str = "", mqtt_url: str = broker, **settings: object) -> subprocess.Popen[bytes]:
        env = {**os.environ, "LIUPAN_DATABASE_URL": registered_url, "LIUPAN_MQTT_URL": mqtt_url}
        env |= {f"LIUPAN_{name.upper()}": str(value) for name, value in settings.items()}
        program = ["-c", code] if code else ["-m", "ingest"]
        with (state / "ingest.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *program, "--client-id", client_id], env=env, stderr=log
            )
        started.append(process)
        until(lambda: process.poll() is not None or "listening to " in (state / "ingest.log").read_text())
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
    forget = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
    forget.connect(*address(broker))
    forget.disconnect()


@pytest.fixture
def conn(registered_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(registered_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def mqtt(broker: str) -> Iterator[Client]:
    with connected(broker) as client:
        yield client


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 1883)


@contextmanager
def connected(url: str) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(*address(url))
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def stop(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    return process.wait(PATIENCE_S)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def publish(mqtt: Client, *messages: tuple[str, bytes]) -> None:
    for info in [mqtt.publish(topic, payload, qos=1) for topic, payload in messages]:
        info.wait_for_publish(PATIENCE_S)


def stored_told(mqtt: Client, device: str) -> queue.Queue[dict[str, Any]]:
    """Return what the device is told from now on."""
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    mqtt.message_callback_add(down_topic(device, "stored"), lambda *m: heard.put(json.loads(m[2].payload)))
    mqtt.subscribe(down_topic(device, "stored"), 1)
    time.sleep(0.2)
    return heard


def observation(device: str, n: int) -> tuple[str, bytes]:
    at = (AT + timedelta(minutes=n)).isoformat()
    body = {"datastream": "rain", "phenomenon_time": at, "result": n}
    return up_topic(device, "observation"), json.dumps(body).encode()


def lead(device: str, note: str = "") -> tuple[tuple[str, bytes], str]:
    name = str(uuid4())
    body = {"id": name, "kind": "other", "lon": 106.2, "lat": 35.9, "seen_at": AT.isoformat(), "note": note}
    return (up_topic(device, "lead"), json.dumps(body).encode()), name


def one(conn: Connection[Any], query: Any) -> Any:
    row = conn.execute(query).fetchone()
    return row and row[0]


def observed(conn: Connection[Any]) -> list[float]:
    events = conn.execute("SELECT packed FROM event WHERE kind = 'observed'").fetchall()
    return sorted(o.result for (packed,) in events for o in unpack(packed))


def test_observations_of_sensorthings_by_mqtt(start: Start, mqtt: Client, conn: Connection[Any]) -> None:
    """Topic and body name the datastream by its number; rain of st-a is the first one."""
    start()
    at = AT.isoformat()
    publish(
        mqtt,
        ("v1.1/Datastreams(1)/Observations", json.dumps({"result": 1, "phenomenonTime": at}).encode()),
        ("v1.1/Observations", json.dumps({"result": 2, "Datastream": {"@iot.id": 1}}).encode()),
        ("v1.1/Datastreams(2)/Observations", b'{"result": 3}'),
    )
    until(lambda: one(conn, "SELECT count(*) FROM rejected") == 1)
    assert conn.execute("SELECT topic, reason FROM rejected").fetchall() == [
        ("v1.1/Datastreams(2)/Observations",
         "there is no datastream with the number 2: the numbers stand in /v1.1/Datastreams")]  # fmt: skip
    until(lambda: one(conn, "SELECT count(*) FROM observation") == 2)
    found = conn.execute("SELECT datastream, result FROM observation ORDER BY phenomenon_time").fetchall()
    assert found == [(1, 1), (1, 2)]


def test_everything_that_is_published_is_stored_and_told(
    start: Start, conn: Connection[Any], mqtt: Client, state: Path
) -> None:
    process = start()
    heard = stored_told(mqtt, "ph-1")
    (good, good_id), (bad, bad_id) = lead("ph-1"), lead("ph-1", "a\0b")
    body = b'{"st-b":{"L1_LF_1":{"2026-08-12T02:50:00.000Z":4.5}}}'
    frame = ("$dp", b"\x02" + len(body).to_bytes(2, "big") + body)
    location = ("owntracks/mei/ph-3", b'{"_type":"location","lat":35.5,"lon":106.5,"tst":1786000000}')
    publish(mqtt, observation("st-a", 1), frame, location, good, bad)
    answers = [heard.get(timeout=PATIENCE_S) for _ in "12"]
    assert answers[0] == {"id": good_id, "kind": "lead", "state": "stored"}
    assert {**answers[1], "reason": ""} == {"id": bad_id, "kind": "lead", "state": "rejected", "reason": ""}
    assert answers[1]["reason"].startswith("the database refuses it")
    assert observed(conn) == [1.0, 4.5]
    assert one(conn, "SELECT device FROM track_point") == "mei/ph-3"
    assert stop(process) == 0
    assert (
        "1 payloads to quarantine; the first on liupan/v1/up/ph-1/lead" in (state / "ingest.log").read_text()
    )


def test_an_encrypted_frame_and_a_picture_from_the_broker_to_their_tables(
    start: Start, conn: Connection[Any], mqtt: Client
) -> None:
    key, body = bytes(range(16)), b'{"st-b":{"L1_LF_1":4.5}}'
    padder, encryptor = PKCS7(128).padder(), Cipher(AES(key), ECB()).encryptor()  # noqa: S305
    inner = b"\x01" + len(body).to_bytes(2, "big") + body
    data = encryptor.update(padder.update(inner) + padder.finalize()) + encryptor.finalize()
    wrapper = {"header": {"appId": "7"}, "bodies": {"body": b64encode(data).decode()}}
    about = json.dumps({"did": "st-a", "ds_id": "L4_SP_1", "file_type": "jpg"}).encode()
    process = start(station_keys=json.dumps({"7": {"cipher": "AES-128-ECB", "key": key.hex()}}))
    picture = b"\x03" + len(about).to_bytes(2, "big") + about + b"\0\4\xff\xd8\xff\xe0"
    publish(mqtt, ("$dp", json.dumps(wrapper).encode()), ("$dp", picture))
    until(lambda: one(conn, "SELECT data FROM station_file") == b"\xff\xd8\xff\xe0")
    until(lambda: observed(conn) == [4.5])
    assert one(conn, "SELECT count(*) FROM rejected") == 0
    assert stop(process) == 0


def test_killed_between_commit_and_acknowledgement_nothing_is_lost_or_twice(
    start: Start, conn: Connection[Any], mqtt: Client
) -> None:
    stop(start())  # the broker has its session now
    garbage = ("$dp", b"\x02garbage")
    said, name = lead("ph-1")
    heard = stored_told(mqtt, "ph-1")
    publish(mqtt, *(observation("st-a", n) for n in range(50)), garbage, said)
    killed = start(KILLED_BEFORE_ACKNOWLEDGING, batch_ms=300)
    assert killed.wait(PATIENCE_S) == -signal.SIGKILL
    assert one(conn, "SELECT count(*) FROM observation") > 0, "it was killed after its commit"
    assert heard.empty(), "nobody was told yet"
    again = start()
    assert heard.get(timeout=PATIENCE_S) == {"id": name, "kind": "lead", "state": "stored"}
    assert one(conn, "SELECT count(*) FROM observation") == 50
    assert observed(conn) == list(range(50)), "each observation is told once"
    assert one(conn, "SELECT count(*) FROM event WHERE kind = 'reported' AND consumer = 'triage'") == 1
    assert one(conn, "SELECT count(*) FROM observation_revision") == 0
    assert one(conn, "SELECT times FROM rejected") == 2, "the broker sent it again"
    assert stop(again) == 0
    start()
    said, name = lead("ph-1")
    publish(mqtt, said)
    assert heard.get(timeout=PATIENCE_S)["id"] == name
    assert one(conn, "SELECT times FROM rejected") == 2, "what was acknowledged does not come again"


def test_a_phone_is_told_only_after_the_commit(start: Start, conn: Connection[Any], mqtt: Client) -> None:
    conn.execute("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
                 " 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'")  # fmt: skip
    conn.execute("CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON lead DEFERRABLE INITIALLY DEFERRED"
                 " FOR EACH ROW EXECUTE FUNCTION hold()")  # fmt: skip
    start()
    heard = stored_told(mqtt, "ph-1")
    said, name = lead("ph-1")
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(7)")
        publish(mqtt, said)
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
        until(lambda: one(conn, waits) == 1)  # everything is written, and its COMMIT hangs
        time.sleep(0.3)
        assert heard.empty()
    assert heard.get(timeout=PATIENCE_S) == {"id": name, "kind": "lead", "state": "stored"}
    assert one(conn, "SELECT id::text FROM lead") == name


def test_a_lost_database_ends_the_process_in_one_line(
    start: Start, conn: Connection[Any], mqtt: Client, state: Path
) -> None:
    process = start()
    conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE application_name = 'liupan-ingest' AND datname = current_database()")  # fmt: skip
    said, name = lead("ph-1")
    heard = stored_told(mqtt, "ph-1")
    publish(mqtt, observation("st-a", 1), said)
    assert process.wait(PATIENCE_S) == 75
    lines = (state / "ingest.log").read_text().splitlines()
    assert sum("store broke off: " in line for line in lines) == 1
    assert not any("Traceback" in line for line in lines)
    start()
    assert heard.get(timeout=PATIENCE_S)["id"] == name, "what was not acknowledged comes again"
    assert observed(conn) == [1.0]


def test_a_broker_that_is_killed_is_found_again(start: Start, conn: Connection[Any], state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings = Settings(state=state, mqtt_port=free.getsockname()[1])
    url = embedded_broker.url(settings)
    with service.running(embedded_broker.prepare(settings)) as process:
        start(mqtt_url=url)
        with connected(url) as mqtt:
            publish(mqtt, observation("st-a", 1))
            until(lambda: observed(conn) == [1.0])
        process.kill()
        process.wait()
    with service.running(embedded_broker.prepare(settings)), connected(url) as mqtt:
        until(lambda: (state / "ingest.log").read_text().count("listening to ") == 2)
        publish(mqtt, observation("st-a", 1), observation("st-a", 2))
        until(lambda: observed(conn) == [1.0, 2.0])


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("LIUPAN_MQTT_URL", "http://x", "LIUPAN_MQTT_URL must look like mqtt://host:1883"),
        ("LIUPAN_DATABASE_URL", "", "LIUPAN_DATABASE_URL is not set"),
        ("LIUPAN_BATCH_MS", "soon", "LIUPAN_BATCH_MS must be a whole number"),
        ("LIUPAN_STATION_KEYS", '{"a":{}}', "LIUPAN_STATION_KEYS, appId 'a': cipher is missing"),
    ],
)
def test_settings_that_cannot_be_used(variable: str, value: str, reason: str) -> None:
    env = {
        **os.environ,
        "LIUPAN_DATABASE_URL": "postgresql://x",
        "LIUPAN_MQTT_URL": "mqtt://x",
        variable: value,
    }
    done = subprocess.run(
        [sys.executable, "-m", "ingest"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_is_lost_of_a_device_that_is_claimed_while_it_sends(
    start: Start, mqtt: Client, conn: Connection[Any]
) -> None:
    """Before, during and after: some go to quarantine and are replayed, the others are stored at once."""
    process = start()
    for number in range(300):
        at = AT + timedelta(seconds=number)
        body = {"datastream": "rain", "phenomenon_time": at.isoformat(), "result": number}
        mqtt.publish(up_topic("st-new", "observation"), json.dumps(body).encode(), qos=1)
        time.sleep(0.01)
        if number == 100:
            thing = {"code": "st-new", "kind": "station", "name": "new", "region": "640402"}
            register(conn, {"things": [thing]})
    until(lambda: len(results(conn, "st-new")) == 300)
    assert results(conn, "st-new") == list(range(300))
    quarantined = conn.execute("SELECT count(*), count(replayed_at) FROM rejected").fetchone() or (0, 0)
    assert quarantined[0] >= 50, "the test would prove nothing"
    until(lambda: conn.execute("SELECT FROM rejected WHERE replayed_at IS NULL").fetchone() is None)
    assert stop(process) == 0


def results(conn: Connection[Any], thing: str) -> list[float]:
    rows = conn.execute(
        "SELECT o.result FROM observation o JOIN datastream d ON d.id = o.datastream"
        " JOIN thing t ON t.id = d.thing WHERE t.code = %s ORDER BY 1",
        (thing,),
    ).fetchall()
    return [result for (result,) in rows]
