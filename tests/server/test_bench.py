"""The bench runs, and prints what it has measured; how good the figures are is not asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from server.bench import path_load
from server.gauge import quantile

NOW = datetime(2026, 7, 20, tzinfo=UTC)


def test_short_run_prints_one_object_with_all_figures() -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "server.cli",
        "bench",
        "path",
        "--json",
        "--seconds",
        "4",
        "--rate",
        "200",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {"rate", "median_ms", "p99_ms", "start_s", "rss_mb", "probes", "lost"} <= set(figures)
    assert figures["probes"] == 10
    assert figures["lost"] == 0
    assert 0 < figures["median_ms"] <= figures["p99_ms"]
    assert figures["rate"] > 0


def test_background_has_the_mix_that_the_help_tells() -> None:
    said = list(islice(path_load.background(1000, 10, NOW), 5000))
    framed = sum(count for count, (topic, _) in said if topic == "$dp")
    results = sum(count for count, _ in said)
    assert framed / results == pytest.approx(path_load.FRAMED, abs=0.01)


def test_background_never_repeats_a_time_nor_reaches_into_the_future() -> None:
    seen = set()
    for _, (topic, payload) in islice(path_load.background(1000, 10, NOW), 3000):
        if topic == "$dp":
            [(device, sensors)] = json.loads(payload[3:]).items()
            [at] = sensors["L1_LF_1"]
            key = (device, at)
            assert int.from_bytes(payload[1:3], "big") == len(payload) - 3
        else:
            told = json.loads(payload)
            at = told["phenomenon_time"]
            key = (topic + told["datastream"], at)
        assert key not in seen
        seen.add(key)
        assert datetime.fromisoformat(at) < NOW
    assert min(datetime.fromisoformat(str(key[-1])) for key in seen) > NOW - timedelta(days=2)


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(i) for i in range(1, 101)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([], 0.5) is None
