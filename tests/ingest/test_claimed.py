"""Unknown devices: what is kept of them, and that all of it is stored once they are registered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.wire import up_topic
from ingest import claimed, codecs
from ingest.quarantine import claimable
from ingest.registry import Registry
from ingest.rejected import waiting
from ingest.resolve import Arrival, resolve
from ingest.store import save
from server.registry import register
from tests.ingest.conftest import RECEIVED, Put, thing


def dp(message: dict[str, Any]) -> tuple[str, bytes]:
    """Return a national frame of type 2: JSON behind its length."""
    body = json.dumps(message).encode()
    return "$dp", b"\x02" + len(body).to_bytes(2, "big") + body


def rain(device: str, millimetres: float) -> tuple[str, bytes]:
    body = {"datastream": "rain", "result": millimetres, "unit": "mm"}
    return up_topic(device, "observation"), json.dumps(body).encode()


def kept(conn: Connection[Any]) -> list[Any]:
    return [row[0] for row in conn.execute("SELECT unregistered FROM rejected ORDER BY id").fetchall()]


def test_what_a_station_says_is_kept_as_data(enrolled: Connection[Any], put: Put) -> None:
    status = {"lon": "106.280000", "lat": "36.000000", "ext_power_volt": 12.5, "sw_version": "2.1"}
    put(dp({"484021": {"L1_LF_1": 37.5, "S1_ZT_1": status}}))
    (found,) = kept(enrolled)
    assert found["484021"].pop("datastreams") == [
        {"name": "L1_LF_1/value", "unit": "mm", "result": 37.5},
        {"name": "S1_ZT_1/lon", "unit": "deg", "result": 106.28},
        {"name": "S1_ZT_1/lat", "unit": "deg", "result": 36.0},
        {"name": "S1_ZT_1/ext_power_volt", "unit": "V", "result": 12.5},
    ]
    assert found == {"484021": {"kind": "station", "lon": 106.28, "lat": 36.0}}


def test_a_phone_is_known_by_its_fixes(enrolled: Connection[Any], put: Put) -> None:
    fix = {"_type": "location", "lat": 37.51, "lon": 105.19, "tst": int(RECEIVED.timestamp())}
    put(("owntracks/ma/phone", json.dumps(fix).encode()))
    assert kept(enrolled) == [{"ma/phone": {"kind": "phone", "datastreams": [], "lon": 105.19, "lat": 37.51}}]


def test_each_unknown_device_of_a_frame_is_named(enrolled: Connection[Any], put: Put) -> None:
    [outcome] = put(dp({"st-a": {"L3_YL_1": 1}, "new-1": {"L3_YL_1": 2}, "new-2": {"L3_YL_1": 3}}))
    assert not outcome.kept
    (found,) = kept(enrolled)
    assert {code: said["datastreams"][0]["result"] for code, said in found.items()} == {
        "new-1": 2,
        "new-2": 3,
    }


def test_a_device_that_nobody_can_read_is_named_too(enrolled: Connection[Any], put: Put) -> None:
    put((up_topic("st-new", "observation"), b"no JSON"))
    assert kept(enrolled) == [{"st-new": {"kind": "station", "datastreams": []}}]
    assert waiting(enrolled, "st-new") == waiting(enrolled)


def test_what_a_known_device_gets_wrong_makes_nobody_unknown(enrolled: Connection[Any], put: Put) -> None:
    put((up_topic("st-a", "observation"), b"no JSON"), ("$dp", b"\x02\x00\xff{"), ("nobody/reads", b"x"))
    assert kept(enrolled) == [None, None, None]


def test_names_that_no_thing_may_have_are_not_claimable() -> None:
    assert claimable(["st-1", "a\x00b", "\ud800", "x" * 201]) == ["st-1"]


def test_a_payload_under_way_while_its_device_is_registered_is_told(enrolled: Connection[Any]) -> None:
    """It was resolved before, and comes to quarantine after, what waited by then was replayed."""
    topic, payload = rain("st-new", 1.5)
    decoded = codecs.read(topic, payload, RECEIVED)
    arrival = Arrival(topic=topic, payload=payload, received_at=RECEIVED, decoded=decoded)
    registry = Registry()
    batch = resolve(enrolled, registry, [arrival], 0)
    register(enrolled, {"things": [thing("st-new")]})
    assert enrolled.execute("SELECT count(*) FROM event WHERE kind = 'claimed'").fetchone() == (0,)
    save(enrolled, registry, batch)
    events = enrolled.execute("SELECT consumer, subject, region FROM event WHERE kind = 'claimed'").fetchall()
    assert events == [("replay", "st-new", "640402")]


def test_an_import_tells_of_what_waits_and_of_nothing_else(enrolled: Connection[Any], put: Put) -> None:
    put(rain("st-new", 1.5))
    register(enrolled, {"things": [thing("st-new"), thing("st-other"), thing("st-a", site="A")]})
    events = enrolled.execute("SELECT subject FROM event WHERE kind = 'claimed'").fetchall()
    assert events == [("st-new",)]


@pytest.fixture
def replaying(registered_url: str) -> Iterator[Connection[Any]]:
    """A connection to a database on which the consumer runs."""
    stop = threading.Event()
    consumer = threading.Thread(target=claimed.run, args=(registered_url, stop))
    consumer.start()
    with psycopg.connect(registered_url, autocommit=True) as conn:
        yield conn
    stop.set()
    consumer.join()


def test_all_that_waits_is_stored_once_it_is_registered(replaying: Connection[Any]) -> None:
    registry = Registry()
    for number in range(60):
        at = RECEIVED + timedelta(minutes=number)
        messages = [rain("st-new", number), rain("st-never", number)]
        arrivals = [
            Arrival(topic=topic, payload=payload, received_at=at, decoded=codecs.read(topic, payload, at))
            for topic, payload in messages
        ]
        save(replaying, registry, resolve(replaying, registry, arrivals, number))
    assert len(waiting(replaying)) == 120
    register(replaying, {"things": [thing("st-new")]})
    ends_s = time.monotonic() + 30
    while waiting(replaying, "st-new"):
        assert time.monotonic() < ends_s
        time.sleep(0.05)
    rows = replaying.execute("SELECT phenomenon_time, result FROM observation ORDER BY result").fetchall()
    assert rows == [(RECEIVED + timedelta(minutes=n), n) for n in range(60)], (
        "each at the time of its receipt"
    )
    assert len(waiting(replaying)) == 60, "the other device's still wait"
    assert replaying.execute("SELECT count(*) FROM event WHERE kind = 'observed'").fetchone() == (60,)


def test_what_still_cannot_be_stored_keeps_its_reason(replaying: Connection[Any]) -> None:
    topic, payload = up_topic("st-new", "observation"), b'{"datastream":"gate","result":"a\\u0000b"}'
    decoded = codecs.read(topic, payload, RECEIVED)
    arrival = Arrival(topic=topic, payload=payload, received_at=RECEIVED, decoded=decoded)
    registry = Registry()
    save(replaying, registry, resolve(replaying, registry, [arrival], 0))
    register(replaying, {"things": [thing("st-new")]})
    ends_s = time.monotonic() + 30
    query = "SELECT count(*) FROM event WHERE kind = 'claimed' AND done_at IS NULL"
    while replaying.execute(query).fetchone() != (0,):
        assert time.monotonic() < ends_s
        time.sleep(0.05)
    row = replaying.execute("SELECT reason, unregistered FROM rejected").fetchone() or ("", 0)
    assert row[0].startswith("the database refuses it")
    assert row[1] is None, "it is claimed, and waits for another reason"
