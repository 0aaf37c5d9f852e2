"""The demo as a newcomer runs it: shows what it promises, ends by itself or with Ctrl-C, leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

DEMO = [sys.executable, "-P", "-m", "server.cli", "demo"]


def start(state: Path, **settings: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LIUPAN_")}
    env |= {"LIUPAN_STATE": str(state), **settings}
    return subprocess.Popen(DEMO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_over(state: Path) -> Iterator[str]:
    """Yield the command line of each process that belongs to this state folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if process.name != str(os.getpid()) and str(state).encode() in told:
                yield told.replace(b"\0", b" ").decode(errors="replace")[:200]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes as Linux shows them")
def test_demo_shows_the_whole_way_and_ends_by_itself(state: Path) -> None:
    demo = start(state, LIUPAN_DEMO_SECONDS="30")
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, out + err
    assert "演练:全部数据为模拟" in out
    for told in ("等级变化", "预警发布", "调派", "案件", "隔离 $dp", "送达", "途中"):
        assert told in out
    # everything that is told of an exercise says so
    for line in out.splitlines():
        if line.startswith(("预警", "调派", "案件", "线索")):
            pytest.fail(f"not marked as an exercise: {line}")
    assert "\x1b" not in out, "control codes where there is no terminal"
    assert re.search(r"http://127\.0\.0\.1:\d+/docs", out)
    assert list(left_over(state)) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes as Linux shows them")
def test_ctrl_c_ends_everything_and_a_second_run_works(state: Path) -> None:
    for _ in range(2):
        demo = start(state, LIUPAN_LANG="en")
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("[exercise]"):
                break
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
        assert demo.returncode == 0, out + err
        assert "what happened in the exercise" in out
        assert list(left_over(state)) == []


def test_demo_in_which_something_does_not_happen_says_so(state: Path) -> None:
    demo = start(state, LIUPAN_DEMO_SECONDS="1", LIUPAN_LANG="en")
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "this should have happened and did not: " in err
