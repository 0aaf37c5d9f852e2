"""`liupan bench path`: from a result being published to the alert on a phone's topic, under load.

Runs an installation of its own in a temporary folder, and asserts nothing. Every tenth of a second a rain
gauge tells what brings its site to blue; the time runs from there until a phone hears the alert.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import psycopg
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.settings import Settings
from domain.wire import decode, down_topic
from server import apart
from server.bench import path_load as load
from server.gauge import cpu_s, quantile, rss_mb_of
from server.registry import register
from server.up import Stack, running

#: s between two probes
EVERY_S = 0.1
#: an alert that has not come after so many seconds is lost
PATIENCE_S = 10.0
#: seconds of load before the first probe
WARM_S = 3.0
OURS = ("liupan-ingest", "liupan-warning", "liupan-enforcement")
#: what of an installation is no Python process
SERVERS = ("postgres", "mosquitto")


@dataclass(kw_only=True)
class Run:
    """One measurement; `said` and `heard`: when each site was probed and its alert came (monotonic s)."""

    stack: Stack
    conn: Connection[Any]
    rate: float
    seconds: float
    said: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    @property
    def sites(self) -> list[str]:
        """The sites that are probed, each once."""
        return [f"PR{i}" for i in range(max(1, math.floor((self.seconds - WARM_S) / EVERY_S)))]


def main(argv: Sequence[str]) -> int:
    """Measure and print; one JSON object with --json."""
    text = f"{__doc__}\n{load.MIX}"
    parser = argparse.ArgumentParser(
        prog="liupan bench path", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=5000.0, help="background observations/s (default 5000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the load (default 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="liupan-bench-") as folder:
        figures = measure(apart.apart(Settings.from_env(), Path(folder)), args.rate, args.seconds)
    print(json.dumps(figures) if args.json else _told(figures))
    return 0


def measure(settings: Settings, rate: float, seconds: float) -> dict[str, object]:
    """Return the figures of one run; RuntimeError when the installation does not start or falls silent."""
    began = time.monotonic()
    with (
        running(settings, lambda line: None) as stack,
        psycopg.connect(stack.settings.database(), autocommit=True) as conn,
    ):
        _until(lambda: _connected(conn) == len(OURS), "the processes do not reach the database")
        start_s = time.monotonic() - began
        run = Run(stack=stack, conn=conn, rate=rate, seconds=seconds)
        register(conn, load.registry(len(run.sites)))
        client = _listen(run)
        _tell_past(run, client)
        figures = _under_load(run, client)
        client.disconnect()
        client.loop_stop()
    return {"start_s": round(start_s, 2), **figures}


def _under_load(run: Run, client: Client) -> dict[str, object]:
    """Put the load on, probe each site once, and return rates, times, memory and what the processors did."""
    speaker = [sys.executable, "-P", "-m", "server.bench.path_load", str(run.rate), str(run.seconds)]
    env = {**os.environ, "LIUPAN_MQTT_URL": run.stack.settings.mqtt_url}
    with subprocess.Popen(speaker, env=env, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        child.stdout.readline()  # the load is made
        time.sleep(min(WARM_S, run.seconds / 2))
        pids = {**run.stack.pids(), "background": child.pid, "bench": os.getpid()}
        since, at, cpu = datetime.now(UTC), time.monotonic(), cpu_s(pids)
        for number, site in enumerate(run.sites):
            time.sleep(max(0.0, at + number * EVERY_S - time.monotonic()))
            topic, payload = load.probe(site, datetime.now(UTC))
            run.said[site] = time.monotonic()
            client.publish(topic, payload, qos=1)
        until, spent_s = datetime.now(UTC), time.monotonic() - at
        busy = {name: round((used - cpu[name]) / spent_s, 2) for name, used in cpu_s(pids).items()}
        rss_mb = sum(rss_mb_of(pid) for name, pid in run.stack.pids().items() if name not in SERVERS)
        child.wait()
    with suppress(RuntimeError):
        _until(lambda: len(run.heard) == len(run.said), "alerts are missing")
    times_ms = sorted(1000 * (at - run.said[site]) for site, at in run.heard.items())
    stored = _stored(run.conn, since, until)
    return {
        "rate": round(stored / (until - since).total_seconds()),
        "median_ms": quantile(times_ms, 0.5),
        "p90_ms": quantile(times_ms, 0.9),
        "p99_ms": quantile(times_ms, 0.99),
        "max_ms": quantile(times_ms, 1.0),
        "probes": len(run.said),
        "lost": len(run.said) - len(times_ms),
        "rss_mb": round(rss_mb),
        "cpu": busy,
        "cores": os.cpu_count(),
    }


def _listen(run: Run) -> Client:
    """Return a client that hears the alerts of all phones and notes when each site's first one came."""
    broker, ready = run.stack.settings.broker(), threading.Event()

    def on_message(client: Client, userdata: object, message: MQTTMessage) -> None:
        now, site = time.monotonic(), decode(bytes(message.payload))["site"]
        assert isinstance(site, dict)  # noqa: S101 - the platform's own wire format
        run.heard.setdefault(site["code"], now)

    client = Client(CallbackAPIVersion.VERSION2, client_id="bench-phones")
    client.on_message, client.on_subscribe = on_message, lambda *_: ready.set()
    client.connect(broker.hostname or "", broker.port or 1883)
    client.loop_start()
    client.subscribe([(down_topic(load.phone(region), "alert"), 1) for region in load.HEARD])
    if not ready.wait(PATIENCE_S):
        raise RuntimeError("the broker does not answer")
    return client


def _tell_past(run: Run, client: Client) -> None:
    """Give each site its dry past, and wait until it is stored and assessed."""
    codes = [f"BG{i}" for i in range(load.SITES)] + run.sites
    conn, goal = run.conn, 0
    until = load.begins(run.rate, run.seconds, datetime.now(UTC))
    for count, (topic, payload) in load.past(codes, until):
        client.publish(topic, payload, qos=1)
        goal += count
    _until(lambda: _one(conn, "SELECT count(*) FROM observation") >= goal, "the past is not stored", 60)
    waiting = "SELECT count(*) FROM waiting_event"
    _until(lambda: _one(conn, waiting) == 0, "the past is not assessed", 60)


def _until(true: Callable[[], bool], trouble: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until it is true; RuntimeError when that takes too long."""
    end = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"{trouble} after {patience_s:.0f} s")
        time.sleep(0.05)


def _connected(conn: Connection[Any]) -> int:
    return _one(
        conn,
        "SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE application_name = ANY(%s)",
        list(OURS),
    )


def _stored(conn: Connection[Any], since: datetime, until: datetime) -> int:
    query: LiteralString = "SELECT count(*) FROM observation WHERE received_at >= %s AND received_at < %s"
    return _one(conn, query, since, until)


def _one(conn: Connection[Any], query: LiteralString, *params: object) -> int:
    row = conn.execute(query, params).fetchone()
    return int(row[0]) if row else 0


def _told(figures: Mapping[str, object]) -> str:
    return (
        "{rate} observations/s stored; publish to alert: median {median_ms} ms, p99 {p99_ms} ms"
        " ({probes} probes, {lost} lost); start {start_s} s; {rss_mb} MB resident".format(**figures)
    )
