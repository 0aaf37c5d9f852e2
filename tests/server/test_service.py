"""A child process: waited for, asked to stop, killed when it does not, dead with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server import service
from server.service import Service

SLEEP = "import time; time.sleep(60)"


def python(tmp_path: Path, code: str, **more: object) -> Service:
    made = {"name": "child", "argv": [sys.executable, "-c", code], "log": tmp_path / "log" / "child.log"}
    return Service(**(made | more))  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_runs_until_the_block_ends(tmp_path: Path) -> None:
    with service.running(python(tmp_path, SLEEP)) as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM


def test_its_last_words_say_why_it_did_not_start(tmp_path: Path) -> None:
    dying = python(
        tmp_path, "import sys; print('first', flush=True); sys.exit('no disk')", ready=lambda: False
    )
    told = pytest.raises(
        RuntimeError, match=r"child ended with code 1: no disk \(all of it in .*child\.log\)"
    )
    with told, service.running(dying):
        pass


def test_what_does_not_stop_is_killed(tmp_path: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); {SLEEP}"
    stubborn = python(tmp_path, code, patience_s=0.2)
    process = service.start(stubborn)
    while service.last_words(stubborn.log) != "on":
        time.sleep(0.01)
    service.stop(stubborn, process)
    assert process.returncode == -signal.SIGKILL


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    with service.running(python(tmp_path, SLEEP)) as process:
        assert os.getsid(process.pid) == process.pid


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from server import service\n"
        f"argv, log = [sys.executable, '-c', {SLEEP!r}], Path({str(tmp_path)!r}, 'log')\n"
        "print(service.start(service.Service(name='c', argv=argv, log=log)).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 10
    while alive(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(child)


def test_a_log_that_has_grown_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOG_SIZE", 10)
    talking = python(tmp_path, "print('a line longer than ten bytes')")
    for _ in range(2):
        service.start(talking).wait()
    old = tmp_path / "log" / "child.old.log"
    assert old.read_text() == talking.log.read_text() == "a line longer than ten bytes\n"
