"""Stations over TCP against the process as it runs, with a real database: what is confirmed is stored."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

from ingest.codecs import szy206
from ingest.codecs._sl651_frame import parse
from ingest.codecs._sl651_text import BEIJING
from server.registry import register
from tests.ingest.codecs.sl651_samples import (
    CONFIRMED,
    REPORT,
    STATION,
    TEST,
    TEST_CONFIRMED,
    in_packets,
    picture,
    up,
)

PATIENCE_S = 30
SITE = {
    "code": "S", "name_zh": "S", "name_en": "S", "region": "640402", "type": "landslide", "mode": "exercise",
    "rule": "landslide", "lon": 106.205, "lat": 35.905,
    "polygon": [[106.2, 35.9], [106.21, 35.9], [106.21, 35.91], [106.2, 35.91], [106.2, 35.9]],
}  # fmt: skip
THING = {"kind": "station", "site": "S", "region": "640402", "mode": "exercise"}


@dataclass(frozen=True, kw_only=True)
class Running:
    """The process with its ports, its database and its log."""

    pid: int
    sl651: int
    szy206: int
    conn: Connection[Any]
    log: Path


@pytest.fixture
def running(database_url: str, broker: str, state: Path, free_port: Callable[[], int]) -> Iterator[Running]:
    ports = {"LIUPAN_SL651_PORT": free_port(), "LIUPAN_SZY206_PORT": free_port()}
    env = {**os.environ, "LIUPAN_DATABASE_URL": database_url, "LIUPAN_MQTT_URL": broker}
    env |= {name: str(port) for name, port in ports.items()}
    with psycopg.connect(database_url, autocommit=True) as conn, (state / "log").open("wb") as log:
        things = [
            {
                "code": code,
                "kind": "station",
                "name": code,
                "site": "S",
                "region": "640402",
                "mode": "exercise",
            }
            for code in (STATION, "0012345678", "4406070001")
        ]
        register(conn, {"sites": [SITE], "things": things})
        command = [sys.executable, "-m", "ingest", "--client-id", f"ingest-{uuid4().hex[:8]}"]
        process = subprocess.Popen(command, env=env, stderr=log)
        path = state / "log"
        until(lambda: process.poll() is not None or path.read_text().count("stations on 127.0.0.1:") == 2)
        sl651, szy206 = ports.values()
        yield Running(pid=process.pid, sl651=sl651, szy206=szy206, conn=conn, log=path)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, path.read_text()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def station(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def heard(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def stored(conn: Connection[Any]) -> list[tuple[str, str, str, datetime, float]]:
    return conn.execute(
        "SELECT t.code, d.name, d.unit, o.phenomenon_time, o.result FROM observation o"
        " JOIN datastream d ON d.id = o.datastream JOIN thing t ON t.id = d.thing ORDER BY d.id, 4"
    ).fetchall()


def refused(conn: Connection[Any]) -> list[tuple[str, str, str]]:
    return conn.execute("SELECT topic, device, reason FROM rejected ORDER BY id").fetchall()


#: what REPORT holds, as published with it
VALUES = [
    (STATION, name, unit, datetime(2017, 7, 18, 11, 0, tzinfo=BEIJING), value)
    for name, unit, value in (("PJ", "mm", 4.0), ("PT", "mm", 4.0), ("Z", "m", 10.49), ("VT", "V", 10.99))
]


def test_a_report_in_two_pieces_is_stored_and_confirmed(running: Running) -> None:
    with station(running.sl651) as sock:
        sock.sendall(REPORT[:31])
        time.sleep(0.1)
        sock.sendall(REPORT[31:])
        assert heard(sock, len(CONFIRMED)) == CONFIRMED
        assert stored(running.conn) == VALUES
        assert refused(running.conn) == []


def test_nothing_is_confirmed_before_the_commit(running: Running) -> None:
    conn = running.conn
    conn.execute("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
                 " 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'")  # fmt: skip
    conn.execute("CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED"
                 " FOR EACH ROW EXECUTE FUNCTION hold()")  # fmt: skip
    with station(running.sl651) as sock:
        with conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock(7)")
            sock.sendall(REPORT)
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
            until(lambda: conn.execute(waits).fetchone() == (1,))  # all is written, and its COMMIT hangs
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        sock.settimeout(PATIENCE_S)
        assert heard(sock, len(CONFIRMED)) == CONFIRMED


def test_a_connection_that_dies_before_it_is_confirmed(running: Running) -> None:
    sock = station(running.sl651)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, no farewell
    sock.sendall(REPORT)
    sock.close()
    with station(running.sl651) as sock:
        sock.sendall(REPORT)  # the station has heard nothing, and says it again
        assert heard(sock, len(CONFIRMED)) == CONFIRMED
    assert stored(running.conn) == VALUES
    assert running.conn.execute("SELECT count(*) FROM observation_revision").fetchone() == (0,)


def test_what_is_not_stored_is_kept_and_said(running: Running) -> None:
    bad = REPORT[:-1] + b"\0"
    with station(running.sl651) as sock:
        sock.sendall(bad)
        asked = parse(heard(sock, 25))
        assert (asked.end, asked.function, asked.text) == (0x15, 0x32, REPORT[14:22])
        sock.sendall(TEST)
        assert heard(sock, 25) == TEST_CONFIRMED, "poison is confirmed: it is kept, and need not come again"
    assert stored(running.conn) == []
    (topic, _, first), (other, _, second) = refused(running.conn)
    assert (topic, first) == (f"tcp/sl651/{STATION}", "bad CRC: A400, the frame gives A421")
    assert other == "tcp/sl651/0012345678"
    assert "2059-10-11T15:49:00+08:00 is more than 24 h ahead" in second, "a clock that was never set"


def test_a_station_that_is_not_registered_is_confirmed_and_replayed_later(running: Running) -> None:
    running.conn.execute("DELETE FROM thing WHERE code = %s", (STATION,))
    with station(running.sl651) as sock:
        sock.sendall(REPORT)
        assert heard(sock, len(CONFIRMED)) == CONFIRMED
    [(topic, device, reason)] = refused(running.conn)
    assert (topic, device) == (f"tcp/sl651/{STATION}", STATION)
    assert f"device '{STATION}' is not registered" in reason


def test_fifty_stations_at_once_with_a_silent_and_a_slow_one(running: Running) -> None:
    reports = {n: up(f"2019 {n:06d}", serial=n, time=f"26081122{n:02d}") for n in range(50)}

    def say(n: int) -> bytes:
        with station(running.sl651) as sock:
            for at in range(0, len(reports[n]), 11):
                sock.sendall(reports[n][at : at + 11])
            return heard(sock, 25)

    with station(running.sl651), station(running.sl651) as slow, ThreadPoolExecutor(50) as pool:
        slow.sendall(REPORT[:20])
        began = time.monotonic()
        answers = list(pool.map(say, reports))
        assert time.monotonic() - began < PATIENCE_S
        slow.sendall(REPORT[20:])
        assert heard(slow, len(CONFIRMED)) == CONFIRMED
    assert [int.from_bytes(parse(answer).text[:2], "big") for answer in answers] == list(reports)
    results = [result for _, name, _, at, result in stored(running.conn) if at.year == 2026 and name == "PJ"]
    assert results == [n / 10 for n in range(50)]


def test_ten_megabytes_of_garbage_hold_up_nobody(running: Running) -> None:
    random = os.urandom(1_000_000)
    before = memory_kb(running.pid)

    def pour() -> None:
        for _ in range(10):
            try:
                with station(running.sl651) as sock:
                    sock.sendall(random)
                    heard(sock, 1)
            except (BrokenPipeError, ConnectionResetError):
                continue  # as it should

    pouring = threading.Thread(target=pour)
    pouring.start()
    slowest = 0.0
    while pouring.is_alive():
        began = time.monotonic()
        with station(running.sl651) as sock:
            sock.sendall(REPORT)
            assert heard(sock, len(CONFIRMED)) == CONFIRMED
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 5
    assert memory_kb(running.pid) - before < 50_000
    assert running.log.read_text().count("it does not speak sl651") == 10
    assert stored(running.conn) == VALUES


def memory_kb(pid: int) -> int:
    [line] = [li for li in Path(f"/proc/{pid}/status").read_text().splitlines() if li.startswith("VmRSS")]
    return int(line.split()[1])


def test_a_picture_is_joined_and_stored(running: Running) -> None:
    packets = in_packets(picture(), 500)
    with station(running.sl651) as sock:
        sock.sendall(b"".join(packets[:4] + packets[5:]))
        asked = parse(heard(sock, 28))
        assert asked.packet == (7, 5)
        sock.sendall(packets[4])
        assert parse(heard(sock, 28)).packet == (7, 7)
    assert refused(running.conn) == []
    assert running.conn.execute(
        "SELECT t.code, f.name, f.media_type, f.at, f.data FROM station_file f JOIN thing t ON t.id = f.thing"
    ).fetchall() == [
        (STATION, "PIC", "image/jpeg", datetime(2026, 8, 11, 22, 5, tzinfo=BEIJING), picture()[-3000:])
    ]


def test_szy206_has_its_own_port(running: Running) -> None:
    body = bytes.fromhex("b1 4406070001 c0 250100 0000 0000 00 00 08 01 00")
    report = bytes([0x68, len(body), 0x68]) + body + bytes([szy206.crc8(body), 0x16])
    with station(running.szy206) as sock:
        sock.sendall(report)
        assert heard(sock, 13) == szy206.answer(report)
    assert [(code, name, unit, result) for code, name, unit, _, result in stored(running.conn)] == [
        ("4406070001", "rain", "mm", 12.5)
    ]
    assert running.conn.execute(
        "SELECT state -> 'alarms' ->> 'result' FROM thing WHERE code = '4406070001'"
    ).fetchone() == ("0000",)
