"""Foreign phones and trackers against the process as it runs: real MQTT, real HTTP, the real database."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from nacl.secret import SecretBox
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from ingest import rejected
from server.registry import register

AT = 1786000000  # 2026-08-06T07:06:40Z
LOCATION: dict[str, Any] = {"_type": "location", "tid": "m3", "lat": 35.99, "lon": 106.25, "tst": AT}
PATIENCE_S = 30
KEY = "geheim"

#: devices of data/osmand beside those of the other tests
PHONES = """
    ckrey/22A67880-15C3-41A6-9157-25545C7993AC qtripp/865284041968706 jj/a jj/b jj/c jj/d
    902064 123456 353861053849681
    861001000719969 123456789012345 48241179 658765 8737767034
"""


class Ask:
    """A client of the HTTP door, which keeps its connection as phones do."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def __call__(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        self.connection.request(method, path, body=body, headers=dict(headers or {}))
        response = self.connection.getresponse()
        return response.status, response.read()

    def __enter__(self) -> Ask:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


@pytest.fixture
def conn(registered_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(registered_url, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        register(conn, {"things": [
            {"code": code, "kind": "phone", "name": code, "region": "640402", "mode": "test"}
            for code in PHONES.split()
        ]})  # fmt: skip
        yield conn


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def ingest(conn: Connection[Any], registered_url: str, broker: str, port: int, state: Path) -> Iterator[None]:
    """The process, which listens to the broker and on the port."""
    client_id = f"ingest-{uuid4().hex[:8]}"
    env = {**os.environ, "LIUPAN_DATABASE_URL": registered_url, "LIUPAN_MQTT_URL": broker,
           "LIUPAN_INTAKE_PORT": str(port), "LIUPAN_OWNTRACKS_KEY": KEY}  # fmt: skip
    with (state / "ingest.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest", "--client-id", client_id], env=env, stderr=log
        )
    try:
        until(lambda: "listening to " in (state / "ingest.log").read_text() and answers(port))
        yield
    finally:
        process.kill()
        process.wait()
        forget = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        forget.connect("127.0.0.1", urlsplit(broker).port or 1883)
        forget.disconnect()


@pytest.fixture
def ask(ingest: None, port: int) -> Iterator[Ask]:
    with Ask(port) as ask:
        yield ask


@pytest.fixture
def phone(ingest: None, broker: str) -> Iterator[Client]:
    """A client as the OwnTracks app is one: a will, a session, QoS 1."""
    client = Client(CallbackAPIVersion.VERSION2, f"mei-{uuid4().hex[:6]}", clean_session=False)
    client.will_set("owntracks/mei/ph-3", json.dumps({"_type": "lwt", "tst": AT}), qos=1)
    client.connect("127.0.0.1", urlsplit(broker).port or 1883)
    client.loop_start()
    yield client
    client.loop_stop()


def answers(port: int) -> bool:
    try:
        with Ask(port) as ask:
            return ask("GET", "/nothing")[0] == 404
    except OSError:
        return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def publish(phone: Client, topic: str, message: object) -> None:
    phone.publish(topic, json.dumps(message), qos=1).wait_for_publish(PATIENCE_S)


def count(conn: Connection[Any], table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def encrypted(message: object) -> dict[str, str]:
    data = SecretBox(KEY.encode().ljust(32, b"\0")).encrypt(json.dumps(message).encode())
    return {"_type": "encrypted", "data": base64.b64encode(data).decode()}


def test_a_phone_by_mqtt(phone: Client, conn: Connection[Any]) -> None:
    """Its fixes, zone and card, an encrypted fix, all of it again, and what the broker says when it dies."""
    top = "owntracks/mei/ph-3"
    zone = {"_type": "transition", "event": "enter", "desc": "坡脚", "tst": AT, "lat": 35.99, "lon": 106.25,
            "wtst": 1, "acc": 5}  # fmt: skip
    for _ in range(2):
        publish(phone, top, {**LOCATION, "batt": 71, "vel": 36})
        publish(phone, f"{top}/event", zone)
        publish(
            phone,
            f"{top}/waypoint",
            {"_type": "waypoint", "desc": "家", "lat": 36, "lon": 106, "tst": 1600000000},
        )
        publish(phone, f"{top}/info", {"_type": "card", "name": "马某"})
        publish(phone, f"{top}/status", {"_type": "status", "android": {"ps": 1}})
        publish(phone, top, encrypted({**LOCATION, "tst": AT + 60}))
        publish(phone, top, [{**LOCATION, "tst": 0}, {**LOCATION, "tst": str(AT + 120)}])
        publish(phone, f"{top}/cmd", {"_type": "cmd", "action": "reportLocation"})
    sock = phone.socket()
    assert sock is not None
    phone.loop_stop()
    sock.close()  # without a word: the broker publishes the will
    until(lambda: count(conn, "device_report") == 5)
    rows = conn.execute(
        "SELECT device, at, speed_m_s, (extra -> 'battery')::int FROM track_point ORDER BY at"
    ).fetchall()
    at = [datetime.fromtimestamp(AT + seconds, UTC) for seconds in (0, 60, 120)]
    assert rows == [("mei/ph-3", at[0], 10, 71), *(("mei/ph-3", each, None, None) for each in at[1:])]
    kinds = conn.execute("SELECT kind, about, mode FROM device_report ORDER BY kind").fetchall()
    assert kinds == [("card", "马某", "exercise"), ("lwt", "", "exercise"), ("status", "", "exercise"),
                     ("transition", "enter 坡脚", "exercise"), ("waypoint", "家", "exercise")]  # fmt: skip
    [(reason, times)] = conn.execute("SELECT reason, times FROM rejected").fetchall()
    assert "the clock was never set" in reason
    assert times == 2
    told = conn.execute("SELECT count(*) FROM event WHERE kind = 'device_reported' AND consumer = 'live'")
    assert told.fetchone() == (5,)


def basic(user: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()}


def test_a_phone_by_http_is_known_by_any_of_its_names(ask: Ask, conn: Connection[Any]) -> None:
    topic = {"topic": "owntracks/mei/ph-3"}
    named: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("/pub?u=mei&d=ph-3", {}, {}),
        ("/owntracks?u=mei&d=ph-3", basic("other"), {}),
        ("/pub", {"X-Limit-U": "mei", "X-Limit-D": "ph-3"}, {}),
        ("/pub", {**basic("mei"), "X-Limit-D": "ph-3"}, {}),
        ("/pub", basic("mei"), topic),
        ("/pub", {"Authorization": "Basic ä"}, topic),
        ("/pub", {}, topic),
    ]
    for second, (path, headers, more) in enumerate(named):
        body = json.dumps({**LOCATION, **more, "tst": AT + second}).encode()
        assert ask("POST", path, body, headers) == (200, b"[]")
    rows = conn.execute("SELECT device, count(*) FROM track_point GROUP BY device").fetchall()
    assert rows == [("mei/ph-3", len(named))]


def test_a_poison_record_is_answered_and_kept(ask: Ask, conn: Connection[Any]) -> None:
    """A phone that hears 4xx sends the same again for ever, and everything behind it waits."""
    good = json.dumps(LOCATION).encode()
    poison = [
        ("/pub?u=mei&d=ph-3", b"{", "not JSON"),
        ("/pub?u=mei&d=ph-3", b'{"_type":"location","lat":1,"lon":2,"tst":0}', "the clock was never set"),
        ("/pub?u=mei&d=ph-3", json.dumps({**LOCATION, "tag": "\0"}).encode(), "cannot be stored"),
        ("/pub?u=mei&d=ph-3", b"\xff\x00", "not JSON"),
        ("/pub?u=nobody&d=ph-9", good, "is not registered"),
        ("/pub?u=a/b&d=%00", good, "nobody is named as the sender"),
        ("/pub?u=mei", good, "nobody is named as the sender"),
    ]
    for path, body, _ in poison:
        assert ask("POST", path, body) == (200, b"[]")
    rows = conn.execute("SELECT payload, reason FROM rejected ORDER BY id").fetchall()
    assert [payload for payload, _ in rows] == [body for _, body, _ in poison]
    for (_, told), (_, _, reason) in zip(rows, poison, strict=True):
        assert reason in told
    assert ask("POST", "/pub?u=mei&d=ph-3", good) == (200, b"[]")
    assert count(conn, "track_point") == 1, "what is behind it comes through"


def test_an_empty_body_and_an_array_by_http(ask: Ask, conn: Connection[Any]) -> None:
    assert ask("POST", "/pub?u=mei&d=ph-3") == (200, b"[]")
    array = [{**LOCATION, "lat": 91}, LOCATION, {"_type": "lwt", "tst": AT}]
    assert ask("POST", "/pub?u=mei&d=ph-3", json.dumps(array).encode()) == (200, b"[]")
    assert [count(conn, table) for table in ("track_point", "device_report", "rejected")] == [1, 1, 1]


def test_what_waited_for_the_registry_is_stored_by_a_replay(
    ask: Ask, conn: Connection[Any], registered_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("POST", "/pub?u=new&d=phone", json.dumps(LOCATION).encode())
    ask("GET", "/?id=new-tracker&lat=36&lon=106&timestamp=1786000000")
    assert count(conn, "track_point") == 0
    things = [{"code": code, "kind": "phone", "name": "n", "region": "640402", "mode": "test"}
              for code in ("new/phone", "new-tracker")]  # fmt: skip
    register(conn, {"things": things})
    monkeypatch.setenv("LIUPAN_DATABASE_URL", registered_url)
    assert rejected.main(["replay", "--all"]) == 0
    rows = conn.execute("SELECT device, at FROM track_point ORDER BY device").fetchall()
    at = datetime.fromtimestamp(AT, UTC)
    assert rows == [("new-tracker", at), ("new/phone", at)]


def test_every_captured_http_body(ask: Ask, conn: Connection[Any], data: Path) -> None:
    """owntracks_http.jsonl: Traccar's samples, two of which name their sender themselves."""
    bodies = (data / "osmand/owntracks_http.jsonl").read_bytes().splitlines()
    for body, device in zip(bodies, "abcdef", strict=True):
        path = "/pub" if b'"topic"' in body else f"/pub?u=jj&d={device}"
        assert ask("POST", path, body) == (200, b"[]")
    assert count(conn, "rejected") == 0
    assert len(bodies) == count(conn, "track_point") == 6
    speeds = conn.execute("SELECT speed_m_s FROM track_point WHERE course_deg = 271").fetchall()
    assert speeds == [(pytest.approx(61 / 3.6, abs=1e-4),)]


def test_every_captured_request_of_osmand(ask: Ask, conn: Connection[Any], data: Path) -> None:
    queries = [
        line for line in (data / "osmand/osmand_query.txt").read_text().splitlines() if line[:1] == "/"
    ]
    for query in queries:
        assert ask("GET", query)[0] == (200 if "id=" in query else 400)
    for line in (data / "osmand/osmand_json.jsonl").read_bytes().splitlines():
        assert ask("POST", "/", line, {"Content-Type": "application/json"}) == (200, b"")
    rows = conn.execute("SELECT device, count(*) FROM track_point GROUP BY device ORDER BY device").fetchall()
    # of 123456 three requests say the same place at the same time; two of 48241179 do, too
    assert rows == [("123456", 2), ("123456789012345", 1), ("353861053849681", 1), ("48241179", 1),
                    ("658765", 1), ("861001000719969", 1), ("8737767034", 1), ("902064", 2)]  # fmt: skip
    assert conn.execute("SELECT device, kind FROM device_report").fetchall() == [("123456", "status")]
    [(reason, topic)] = conn.execute("SELECT reason, topic FROM rejected").fetchall()
    assert (reason, topic) == ("nobody is named as the sender: the device writes no id", "http/osmand/")


def test_query_and_urlencoded_body(ask: Ask, conn: Connection[Any]) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    said = "id=ph-1&lat=36&lon=106&speed=10&timestamp=178600000"
    for method, path, body in (
        ("GET", f"/osmand?{said}0", b""), ("POST", f"/?{said}1", b""), ("POST", f"/?{said}2", b"id=ph-2"),
        ("POST", "/osmand", said.encode() + b"3"),
    ):  # fmt: skip
        assert ask(method, path, body, headers) == (200, b"")
    rows = conn.execute("SELECT device, speed_m_s, count(*) FROM track_point GROUP BY 1, 2").fetchall()
    assert rows == [("ph-1", pytest.approx(5.14444, abs=1e-4), 4)]


def test_a_call_for_help_reaches_the_live_feed(ask: Ask, conn: Connection[Any]) -> None:
    ask("GET", "/?id=ph-1&lat=36&lon=106&timestamp=1786000000&alarm=sos")
    rows = conn.execute("SELECT subject, region, body FROM event WHERE kind = 'device_reported'").fetchall()
    assert len(rows) == 1
    subject, region, body = rows[0]
    assert (subject, region) == ("ph-1", "640402")
    assert (body["kind"], body["about"], body["lat"], body["lon"]) == ("alarm", "sos", 36, 106)


def test_ids_with_anything_in_them(ask: Ask, conn: Connection[Any]) -> None:
    for id in ("a%00b", "mei%2Fph-3", "%ff", "+", "%F0%9F%98%80" * 300):
        assert ask("GET", f"/?id={id}&lat=36&lon=106")[0] == 200
    assert conn.execute("SELECT device FROM track_point").fetchall() == [("mei/ph-3",)]
    assert count(conn, "rejected") == 4


def test_a_lora_node_by_mqtt(phone: Client, conn: Connection[Any]) -> None:
    event = {
        "deduplicationId": "a",
        "time": "2026-08-06T07:06:40.123456789+00:00",
        "fCnt": 1,
        "deviceInfo": {"devEui": "st-a"},
        "object": {"rain": 0.5},
        "rxInfo": [{"rssi": -90, "snr": 3}],
    }
    for _ in range(2):
        publish(phone, "application/app/device/st-a/event/up", event)
    raw = {**event, "object": None, "data": "qg==", "time": "2026-08-06T08:06:40Z"}
    publish(phone, "application/app/device/st-a/event/up", raw)
    publish(phone, "application/app/device/st-a/event/join", {**event, "devAddr": "00189440"})
    until(lambda: count(conn, "device_report") == 1)
    assert count(conn, "observation") == 4 + 3
    assert conn.execute("SELECT count(*), min(reason) FROM rejected").fetchone() == (
        1, "fPort 0: ChirpStack did not decode the payload: give the device profile a codec (JavaScript), or"
        " decode `data` of this message by one",
    )  # fmt: skip
