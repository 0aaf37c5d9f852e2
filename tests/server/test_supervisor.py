"""What dies is started again, later each time, and not before what it needs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server import supervisor
from server.service import Service
from server.supervisor import Child, launch, watch

SLEEP = "import time; time.sleep(60)"


def python(tmp_path: Path, name: str, code: str = SLEEP, **more: object) -> Service:
    made = {"name": name, "argv": [sys.executable, "-c", code], "log": tmp_path / f"{name}.log"}
    return Service(**(made | more))  # type: ignore[arg-type]


@contextmanager
def watched(services: list[Service], said: list[str]) -> Iterator[list[Child]]:
    children, stop = launch(services, said.append), threading.Event()
    thread = threading.Thread(target=watch, args=(children, stop, lambda: None, said.append))
    thread.start()
    try:
        yield children
    finally:
        stop.set()
        thread.join()
    assert all(child.process.poll() is not None for child in children)


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until, "it did not happen within 20 s"
        time.sleep(0.01)


def test_what_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.1,))
    said: list[str] = []
    with watched([python(tmp_path, "a"), python(tmp_path, "b")], said) as (a, b):
        before, other = a.process, b.process
        before.kill()
        wait_until(lambda: a.process is not before)
        assert b.process is other
        assert a.process.poll() is None
    assert said[2] == "a died (SIGKILL): no output"
    assert said[3] == f"a started again (pid {a.process.pid})"


def test_each_death_makes_the_wait_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.1, 0.4, 1000))
    said: list[str] = []
    with watched([python(tmp_path, "a", "import sys; sys.exit('cannot')")], said) as (a,):
        wait_until(lambda: a.deaths == 3)
        assert a.due is not None
        assert a.due - time.monotonic() > 900
    assert said.count("a died (code 1): cannot") == 3


def test_a_long_life_makes_the_wait_short_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.1, 1000))
    monkeypatch.setattr(supervisor, "WELL_S", 0.0)
    with watched([python(tmp_path, "a", "")], []) as (a,):
        born = a.born
        wait_until(lambda: a.born != born)
        born = a.born
        wait_until(lambda: a.born != born)


def test_it_waits_for_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.1,))
    there = threading.Event()
    there.set()
    services = [python(tmp_path, "base", ready=there.is_set), python(tmp_path, "user", needs=("base",))]
    with watched(services, []) as (_, user):
        before = user.process
        there.clear()
        before.kill()
        wait_until(lambda: user.due is not None and time.monotonic() > user.due + 0.5)
        assert user.process is before
        there.set()
        wait_until(lambda: user.process is not before)


def test_who_needs_others_is_stopped_before_them(tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys\n"
        "def end(*_):\n"
        "    print(sys.argv[1], file=open(sys.argv[2], 'a'))\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(sys.argv[2] + sys.argv[1]).touch()\n"
        "while True: signal.pause()"
    )
    order = tmp_path / "order"

    def made(name: str, needs: tuple[str, ...] = ()) -> Service:
        argv = [sys.executable, "-c", code, name, str(order)]
        ready = (tmp_path / f"order{name}").exists
        return Service(name=name, argv=argv, log=tmp_path / "log", needs=needs, ready=ready)

    with watched([made("base"), made("next"), made("user", ("base",))], []):
        pass
    assert order.read_text().split() == ["user", "next", "base"]


def test_when_one_does_not_start_the_others_are_stopped(tmp_path: Path) -> None:
    said: list[str] = []
    dying = python(tmp_path, "b", "raise SystemExit('no')", ready=lambda: False)
    with pytest.raises(RuntimeError, match="b ended with code 1: no"):
        launch([python(tmp_path, "a"), dying], said.append)
    pid = int(said[0].removeprefix("a started (pid ").rstrip(")"))
    assert not Path(f"/proc/{pid}").exists()
