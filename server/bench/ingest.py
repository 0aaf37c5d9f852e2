"""`liupan bench ingest`: how many messages and observations a second ingest stores, how fast they are read.

Broker, database, load and ingest share this machine; QoS 1, acknowledged after the commit, with quality flags
and the `observed` event, in an installation of its own in a temporary folder. First the broker alone moves
messages from one publisher to one bare subscriber, then ingest stores messages of one observation for a while
(`single_msgs_per_s`), then messages of a hundred (`batch_obs_per_s`). `lost` and `duplicated` count rows, and
observations in events, against what was said; `p99_ms` is from publish to `stored` at a quarter of the single
rate. With --rows that many rows are loaded by COPY, and reads are timed over them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, LiteralString

import psycopg
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.settings import Settings
from domain.wire import decode, down_topic, encode, new_id, up_topic
from server import apart
from server.bench import ingest_load as load
from server.bench import ingest_read, wire
from server.gauge import cpu_s, quantile, rss_mb_of
from server.registry import register
from server.up import Stack, running

#: messages that the broker moves alone
BROKER_MESSAGES = 200_000
#: a share of the single rate at which latency is measured, and for how long (s)
CALM_SHARE, CALM_S = 0.25, 10.0
PROBE_EVERY_S = 0.05
#: rates that are expected at most, to make enough messages beforehand
MOST_SINGLES_PER_S, MOST_RESULTS_PER_S = 40_000, 300_000
PATIENCE_S = 60.0


def main(argv: Sequence[str]) -> int:
    """Measure and print; one JSON object with --json."""
    parser = argparse.ArgumentParser(
        prog="liupan bench ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the load of single messages")
    parser.add_argument(
        "--rows", type=int, default=0, help="rows to load and read (100000000 for the figure)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    with TemporaryDirectory(prefix="liupan-bench-") as folder:
        figures = measure(apart.apart(Settings.from_env(), Path(folder)), args.seconds, args.rows)
    print(json.dumps(figures) if args.json else "\n".join(f"{name} {v}" for name, v in figures.items()))
    return 0


def measure(settings: Settings, seconds: float, rows: int) -> dict[str, object]:
    """Return the figures of one run; RuntimeError when the installation does not start or falls silent."""
    with (
        running(settings, lambda line: None, processes=("ingest",)) as stack,
        psycopg.connect(stack.settings.database(), autocommit=True) as conn,
    ):
        register(conn, load.registry())
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
        broker_rate = _broker_alone(stack.settings, begin)
        single = _store(stack, "singles", begin, MOST_SINGLES_PER_S, seconds=seconds)
        rss_mb = [rss_mb_of(stack.pids()["ingest"])]
        later = begin + timedelta(hours=1)
        many = _store(stack, "hundreds", later, MOST_RESULTS_PER_S, seconds=seconds / 4)
        rss_mb.append(rss_mb_of(stack.pids()["ingest"]))
        calm_rate = max(1.0, single["rate"] * CALM_SHARE)
        calm, times_ms = _latency(stack, begin - timedelta(hours=1), calm_rate)
        said = single["said"] + many["said"] + calm + len(times_ms)
        _until_stored(conn, said)
        stored = _one(conn, "SELECT count(*) FROM observation")
        told = _one(conn, "SELECT sum(length(packed)) / 22 FROM event WHERE kind = 'observed'")
        figures = {
            "broker_msgs_per_s": round(broker_rate),
            "single_msgs_per_s": round(single["rate"]),
            "ratio": round(single["rate"] / broker_rate, 3),
            "batch_obs_per_s": round(many["rate"]),
            "lost": said - stored,
            "duplicated": told - stored,
            "rss_mb": round(max(rss_mb)),
            "p50_ms": quantile(times_ms, 0.5),
            "p99_ms": quantile(times_ms, 0.99),
            "messages": single["said"],
            "cpu": {"single": single["cpu"], "batch": many["cpu"]},
            "cores": os.cpu_count(),
        }
        return figures | (ingest_read.measure(conn, rows) if rows else {})


def _broker_alone(settings: Settings, begin: datetime) -> float:
    """Return how many messages a second the broker moves from the load to one bare subscriber."""
    subscribed, times = threading.Event(), []

    def hear() -> None:
        for heard in wire.listen(settings.broker(), "bench-bare", load.UNHEARD_TOPIC, subscribed.set):
            times.append((time.monotonic(), heard))
            if heard >= BROKER_MESSAGES:
                return

    hearing = threading.Thread(target=hear)
    hearing.start()
    subscribed.wait(PATIENCE_S)
    with _said(settings, "singles", begin, BROKER_MESSAGES, 0, "--unheard"):
        hearing.join(PATIENCE_S)
    (first, before), (last, all_) = times[0], times[-1]
    return (all_ - before) / (last - first)


def _store(stack: Stack, name: str, begin: datetime, most_per_s: float, *, seconds: float) -> dict[str, Any]:
    """Say as fast as it is stored; return how much a second, how much was said, and what the cores did."""
    results = round(most_per_s * seconds)
    pids = {name: pid for name, pid in stack.pids().items() if name in ("ingest", "postgres", "mosquitto")}
    with _said(stack.settings, name, begin, results, 0, "--seconds", str(seconds)) as told:
        at, cpu = time.monotonic(), cpu_s(pids)
        spoken = json.loads(told.readline())
        spent_s, used = time.monotonic() - at, cpu_s(pids)
    busy = {name: round((used[name] - cpu[name]) / spent_s, 2) for name in pids}
    return {"said": spoken["said"], "rate": spoken["stored"] / spoken["seconds"], "cpu": busy}


def _latency(stack: Stack, begin: datetime, rate: float) -> tuple[int, list[float]]:
    """Return how much was said at this rate, and the times (ms) from the publishing of probes to their
    `stored` meanwhile.
    """
    device, sent, took = load.station(0), dict[str, float](), list[float]()
    broker, ready = stack.settings.broker(), threading.Event()

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        if (at := sent.get(str(decode(bytes(message.payload))["id"]))) is not None:
            took.append(1000 * (time.monotonic() - at))

    client = Client(CallbackAPIVersion.VERSION2, client_id="bench-probe")
    client.on_message, client.on_subscribe = on_message, lambda *_: ready.set()
    client.connect(broker.hostname or "", broker.port or 1883)
    client.loop_start()
    client.subscribe(down_topic(device, "stored"), 1)
    ready.wait(PATIENCE_S)
    with _said(stack.settings, "singles", begin, round(rate * CALM_S), rate) as told:
        end = time.monotonic() + CALM_S - 1
        while time.monotonic() < end:
            key, at = str(new_id()), datetime.now(UTC)
            body = {"id": key, "datastream": "probe", "phenomenon_time": at, "result": 1, "unit": "mm"}
            sent[key] = time.monotonic()
            client.publish(up_topic(device, "observation"), encode(body), qos=1)
            time.sleep(PROBE_EVERY_S)
        said = int(json.loads(told.readline())["said"])
    end = time.monotonic() + PATIENCE_S
    while len(took) < len(sent) and time.monotonic() < end:
        time.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    return said, sorted(took)


@contextmanager
def _said(
    settings: Settings, name: str, begin: datetime, results: int, rate: float, *more: str
) -> Iterator[IO[str]]:
    """Let a process of its own say the load, which is made before the block begins."""
    command = [sys.executable, "-P", "-m", "server.bench.ingest_load", name, begin.isoformat(), str(results),
               str(rate), *more]  # fmt: skip
    env = {**os.environ, "LIUPAN_MQTT_URL": settings.mqtt_url, "LIUPAN_DATABASE_URL": settings.database_url}
    with subprocess.Popen(  # noqa: S603 - our own
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None  # noqa: S101 - they are pipes
        assert child.stdout is not None  # noqa: S101
        child.stdout.readline()
        child.stdin.write("go\n")
        child.stdin.flush()
        yield child.stdout
        child.stdout.read()


def _until_stored(conn: Connection[Any], goal: int) -> None:
    """Wait until so much is stored, or nothing more comes."""
    before = -1
    while (stored := _one(conn, "SELECT count(*) FROM observation")) < goal and stored > before:
        before = stored
        time.sleep(1.0)


def _one(conn: Connection[Any], query: LiteralString) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0] or 0) if row else 0
