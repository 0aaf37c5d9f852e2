"""The pace of the exercise, and what the command says when the platform is silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from ingest.play import Message
from ingest.scenario import Scenario
from ingest.simulate import scripts, tempo

NOW = datetime(2026, 7, 20, 8, 3, 21, tzinfo=UTC)


@pytest.mark.parametrize("speed", [1.0, 60.0, 1200.0, 1e6])
def test_no_time_lies_ahead_of_the_clock_and_the_last_one_is_near_it(speed: float) -> None:
    pace = tempo(NOW, 72.0, speed)
    assert (pace.start.minute % 10, pace.start.second) == (0, 0)
    for hour in (0, 1, 36, 72):
        at = pace.start + timedelta(hours=hour)
        due = pace.due(Message(at=at, topic="", payload=b"")).at
        assert due >= NOW
        assert at <= due
    assert due - at < timedelta(minutes=10)


def test_all_that_is_said_becomes_due_within_the_storm() -> None:
    pace = tempo(NOW, 72.0, 3600.0)
    spoken = scripts(Scenario(seed=1, start=pace.start), pace)
    dues = [message.at for script in spoken for message in script]
    assert min(dues) >= NOW
    assert max(dues) <= NOW + timedelta(seconds=72.0)


def simulate(broker: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "ingest.simulate", *args]
    env = {**os.environ, "LIUPAN_MQTT_URL": broker}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_what_nobody_stores_is_told(broker: str) -> None:
    done = simulate(broker, "--speed", "1000000", "--sites", "1", "--seed", "99", "--json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert summary["mode"] == "exercise"
    assert summary["said"] == summary["taken"] > 400
    assert summary["awaited"] == len(summary["unconfirmed"]) > 10
    assert "not stored: " in done.stderr


def test_registry_and_truth_are_json() -> None:
    registry = json.loads(simulate("", "--registry").stdout)
    assert {"sites", "things", "units", "recipients"} == set(registry)
    truth = [json.loads(line) for line in simulate("", "--truth", "--sites", "2").stdout.splitlines()]
    assert [site["failure"] is not None for site in truth] == [True, False]


@pytest.mark.parametrize("args", [("--sites", "9"), ("--hours", "1"), ("--speed", "0.5"), ("--speed", "nan")])
def test_nonsense_is_refused_in_one_line(broker: str, args: tuple[str, str]) -> None:
    done = simulate(broker, *args)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
