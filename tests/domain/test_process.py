"""How a process ends: cleanly on a signal, loudly and in one line when a job breaks off."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

START = """
import sys, time
from domain.process import log_to_stderr, run
def good(stop):
    stop.wait()
    print("finished", flush=True)
def bad(stop):
    raise RuntimeError("out\\nof coffee")
def deaf(stop):
    time.sleep(60)
log_to_stderr("test")
sys.exit(run({name: globals()[name] for name in sys.argv[1:]}, patience_s=0.1))
"""


def start(*jobs: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", START, *jobs],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if "bad" not in jobs:
        assert process.stderr is not None
        assert "running: " + ", ".join(jobs) in process.stderr.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_jobs_finish(number: int) -> None:
    process = start("good")
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "finished\n")


def test_a_job_that_does_not_finish_is_cut_off() -> None:
    process = start("deaf")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_job_that_breaks_off_ends_all_with_one_line() -> None:
    process = start("bad", "good", "bad")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 75
    (line,) = [line for line in err.splitlines() if "CRITICAL" in line]
    assert "bad broke off: RuntimeError: out of coffee (<string>:8)" in line
    assert "Traceback" not in err
