"""A small world with two regions, A (Yuanzhou, 640402) and B (Shapotou, 640502), one row of each per table.

Everything of A is marked `-A`, `aaaaaaaa` or 640402, everything of B in the same way.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import Connection, sql

from domain.settings import Settings
from server.app import create_app

REGION = {"A": "640402", "B": "640502"}
OBSERVED = {"A": "displacement", "B": "rainfall"}

ROWS = """
INSERT INTO hazard_site (code, region, name_zh, name_en, type, mode, rule, lon, lat, polygon, contact)
    VALUES ('site-{x}', '{region}', '坡-{x}', 'slope-{x}', 'landslide', 'actual', 'rule-{x}', 106, 36,
            '[[106, 36], [106.01, 36], [106, 36.01], [106, 36]]', 'contact-{x}');
INSERT INTO thing (code, kind, name, site, region, apikey, state)
    SELECT 'thing/{x}-{x}', 'station', 'name-{x}', id, region, 'hush', '{{"power": "p-{x}"}}' FROM hazard_site
    WHERE code = 'site-{x}';
INSERT INTO command (id, thing, region, name, params, mode, state, asked_by, asked_at, reply)
    SELECT '{id}', id, region, 'setlink', '{{"id": "id-{x}", "key": "hush"}}', mode, 'failed', 'officer-{x}',
           '2026-07-01Z', '$cmd=setlink&result=fail&reason=why-{x}&msgid={id}' FROM thing
    WHERE code = 'thing/{x}-{x}';
INSERT INTO thing (code, kind, name, region) VALUES ('phone-{x}', 'phone', 'phone-{x}', '{region}');
INSERT INTO datastream (thing, name, observed_property, unit)
    SELECT id, 'stream/{x}-{x}', '{observed}', 'mm' FROM thing WHERE code = 'thing/{x}-{x}';
INSERT INTO observation SELECT id, '2026-07-01Z', 1.5, now(), 1 FROM datastream
    WHERE name = 'stream/{x}-{x}';
SELECT fill_latest();
INSERT INTO silence SELECT id, '2026-07-01 08:00+08' FROM datastream WHERE name = 'stream/{x}-{x}';
INSERT INTO observation_revision SELECT id, '2026-07-01Z', 2.5, now() FROM datastream
    WHERE name = 'stream/{x}-{x}';
INSERT INTO station_file (id, thing, name, media_type, at, description, data, received_at)
    SELECT '{id}', id, 'camera-{x}', 'image/jpeg', '2026-07-01Z', '0-1-256', 'bytes -{x}', now() FROM thing
    WHERE code = 'thing/{x}-{x}';
INSERT INTO unit (code, name_zh, name_en, region, device, lon, lat)
    VALUES ('unit-{x}', '队-{x}', 'team-{x}', '{region}', 'phone-{x}', 106, 36);
INSERT INTO recipient (name, channel, address, region) VALUES ('to-{x}', 'mqtt', 'phone-{x}', '{region}');
INSERT INTO rejected (topic, payload, sha256, reason, device, first_at, last_at)
    VALUES ('topic-{x}', 'apikey=hush&{x}', '{x}', 'reason-{x}', 'phone-{x}', now(), now());
INSERT INTO track_point (device, at, lon, lat, altitude_m, region, received_at) VALUES
    ('phone-{x}', '2026-07-01 00:30Z', 106, 36, 1700, '{region}', now()),
    ('phone-{x}', '2026-07-01 00:40Z', 106, 36.01, NULL, '{region}', now());
INSERT INTO device_report (device, kind, about, at, body, region, mode, received_at)
    VALUES ('phone-{x}', 'alarm', 'sos', '2026-07-01 00:45Z', '{{"id": "-{x}"}}', '{region}', 'test', now());
INSERT INTO patrol VALUES ('{id}', 'phone-{x}', 'inspector-{x}', now(), NULL, '{region}');
INSERT INTO lead
    VALUES ('{id}', 'phone-{x}', 'dumping', 106, 36, now(), 'note-{x}', '{region}', 'actual', now());
INSERT INTO evidence VALUES ('{id}', '{id}', repeat('0', 64), 'type-{x}', 1, now(), NULL, NULL);
INSERT INTO answer VALUES ('{id}', 'phone-{x}', '{id}', 'accepted', now(), now());
INSERT INTO assessment
    (id, site, region, at, level, rule, rule_version, models, reason_zh, reason_en, assessed_at)
    SELECT '{id}', id, region, '2026-07-01Z', 3, 'rule-{x}', 1, '{{"model-{x}": {{"ratio": 1.1}}}}', '因-{x}',
           'why-{x}', now() FROM hazard_site WHERE code = 'site-{x}';
INSERT INTO level (site, region, level, since, as_of, state)
    SELECT id, region, 3, '2026-07-01Z', '2026-07-01Z', '{{}}' FROM hazard_site WHERE code = 'site-{x}';
INSERT INTO alert (id, identifier, site, region, mode, message_type, level, at, sent, expires, assessment,
                   headline_zh, headline_en, instruction_zh, instruction_en, cap)
    SELECT '{id}', 'alert-{x}', id, region, 'actual', 'Alert', 3, '2026-07-01Z', now(),
           now() + interval '1 h', '{id}', '题-{x}', 'headline-{x}', '令-{x}', 'do-{x}', '<alert>-{x}</alert>'
    FROM hazard_site WHERE code = 'site-{x}';
INSERT INTO delivery (id, alert, channel, address, region, created_at)
    VALUES ('{id}', '{id}', 'mqtt', 'phone-{x}', '{region}', now());
INSERT INTO receipt VALUES ('{id}', 'received', now());
INSERT INTO incident (id, site, alert, region, mode, opened_at)
    SELECT '{id}', id, '{id}', region, 'actual', now() FROM hazard_site WHERE code = 'site-{x}';
INSERT INTO dispatch (id, incident, unit, region, state, distance_m, reason_zh, reason_en, ordered_at)
    SELECT '{id}', '{id}', id, region, 'en_route', 1112, '近-{x}', 'near-{x}', '2026-07-01Z' FROM unit
    WHERE code = 'unit-{x}';
INSERT INTO dispatch_move
    VALUES ('{id}', 'ordered', '2026-07-01Z'), ('{id}', 'en_route', '2026-07-01 00:01Z');
INSERT INTO enforcement_case (id, number, lead, region, mode, step, opened_at)
    VALUES ('{id}', 'number-{x}', '{id}', '{region}', 'actual', 'step-{x}', now());
INSERT INTO case_move VALUES ('{id}', 'step-{x}', now(), 'reason-{x}');
INSERT INTO case_serial VALUES (2026, '{region}', 'actual', 1);
INSERT INTO event (kind, consumer, partition, subject, region, body, done_at)
    VALUES ('levelled', 'live', 0, 'subject-{x}', '{region}', '{{}}', now());
"""


def fill(conn: Connection[Any]) -> None:
    """Put the world into a migrated database."""
    conn.execute("SELECT ensure_observation_partition('2026-07-01Z')")
    for x, region in REGION.items():
        id = f"{x.lower() * 8}-0000-7000-8000-000000000000"
        conn.execute(ROWS.format(x=x, region=region, id=id, observed=OBSERVED[x]))
    conn.execute("SELECT fill_rollups()")


@pytest.fixture(scope="session")
def world_url(server_url: str, template: str) -> Iterator[str]:
    """A database with the world in it; for reading only."""
    name = f"{template}_world"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as conn:
            fill(conn)
        yield url
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def reader(world_url: str) -> Iterator[TestClient]:
    """A client of a server over the world, installed for Ningxia (64); for reading only."""
    settings = Settings(state=Path(), database_url=world_url, region="64")
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def client(database_url: str) -> Iterator[TestClient]:
    """A client of a server over a world of this test's own."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        fill(conn)
    with TestClient(create_app(Settings(state=Path(), database_url=database_url, region="64"))) as client:
        yield client


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server process of its own, and where it listens."""

    process: subprocess.Popen[bytes]
    port: int

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Ask over plain HTTP; return status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a server process on a database, ready when it is returned; all are killed in the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    processes = []

    def start(database_url: str) -> Running:
        env = {**os.environ, "LIUPAN_DATABASE_URL": database_url, "LIUPAN_HTTP_PORT": str(port),
               "LIUPAN_STATE": str(tmp_path), "LIUPAN_REGION": "64"}  # fmt: skip
        running = Running(process=subprocess.Popen([sys.executable, "-m", "server"], env=env), port=port)
        processes.append(running.process)
        while True:
            assert running.process.poll() is None, "the server has ended"
            with suppress(OSError):
                running.get("/openapi.json")
                return running
            time.sleep(0.05)

    yield start
    for process in processes:
        process.kill()
        process.wait()
