"""`liupan demo`: an exercise from the first drop of rain to the team at the site, seen in the terminal.

It runs an installation of its own in the folder `demo` of the state folder, emptied first; what is real is
never touched.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException

import psycopg
from rich.console import Console
from rich.live import Live

from domain.settings import Settings
from server import apart, service, watch
from server.registry import register
from server.screen import View, render
from server.told import told
from server.up import Stack, http_url, interrupt_on_signals, running
from server.words import level, local, word

#: the storm lasts so long, h; it is over after so many seconds, or after this share of the time that there is
STORM_H = 72.0
STORM_S = 80.0
STORM_SHARE = 0.5

#: what must happen in an exercise, whatever the time
MUST = ("stored", "alerts", "orders", "leads", "cases", "rejected")

SIMULATE = [sys.executable, "-P", "-m", "ingest.simulate"]


def main(argv: Sequence[str]) -> int:
    """Show the exercise until Ctrl-C, or for LIUPAN_DEMO_SECONDS; return 1 when something did not happen."""
    ArgumentParser(prog="liupan demo", description=__doc__).parse_args(argv)
    began, settings, console = time.monotonic(), Settings.from_env(), Console()
    settings = apart.apart(settings, settings.state / "demo")
    apart.clear(settings.state)
    until = began + settings.demo_seconds if settings.demo_seconds else None
    interrupt_on_signals()
    view: View | None = None
    try:
        with running(
            settings, lambda line: console.print(line, style="dim", highlight=False, soft_wrap=True)
        ) as stack:
            lang = "en" if settings.lang == "en" else "zh"
            view = View(lang=lang, url=http_url(stack.settings), state=settings.state, pids=stack.pids)
            _exercise(stack, view, console, until)
            with suppress(OSError, HTTPException):
                watch.look(view.url, view.picture)
    except KeyboardInterrupt:
        if view:
            _sum_up(view)
        return 0
    return _sum_up(view)


def _exercise(stack: Stack, view: View, console: Console, until: float | None) -> None:
    """Enrol everyone, play the storm and show it until the time is over; RuntimeError when it breaks off."""
    asked = [*SIMULATE, "--registry"]
    enrolled = subprocess.run(asked, check=True, capture_output=True)  # noqa: S603 - our own module
    with psycopg.connect(stack.settings.database(), autocommit=True) as conn:
        register(conn, json.loads(enrolled.stdout))
    storm_s = min(STORM_S, STORM_SHARE * (until - time.monotonic())) if until else STORM_S
    storm = service.Service(
        name="simulate",
        argv=[*SIMULATE, "--hours", str(STORM_H), "--speed", str(STORM_H * 3600 / max(5.0, storm_s))],
        log=view.state / "log" / "simulate.log",
        env={"LIUPAN_MQTT_URL": stack.settings.mqtt_url},
    )
    with service.running(storm) as child, _watching(view, console) as live:
        while until is None or time.monotonic() < until:
            if child.poll():
                raise RuntimeError(f"the simulator broke off: {service.last_words(storm.log)}")
            if live:
                live.update(render(view), refresh=True)
            time.sleep(0.25)


@contextmanager
def _watching(view: View, console: Console) -> Iterator[Live | None]:
    """Keep the view up to date for the block; lend the live screen, or None where lines are printed."""

    def tell(kind: str, event: watch.Row) -> None:
        if not done.is_set() and (line := told(kind, event, view.lang)):
            view.lines.append(line)
            if not console.is_terminal:
                print(line, flush=True)

    done = threading.Event()
    # daemons: they may be waiting for an answer when all ends
    threading.Thread(target=watch.keep_looking, args=(view.url, view.picture, done), daemon=True).start()
    threading.Thread(target=watch.follow, args=(view.url, tell, done), daemon=True).start()
    try:
        if console.is_terminal:
            with Live(render(view), console=console, screen=True, auto_refresh=False) as live:
                yield live
        else:
            print(word("title", view.lang), flush=True)
            print(f"{word('open', view.lang)}: {view.url}/docs", flush=True)
            yield None
    finally:
        done.set()


def _sum_up(view: View) -> int:
    """Print what happened; return 1, and say it, when something that must happen did not."""
    picture, lang = view.picture, view.lang
    moves = [move["state"] for incident in picture.incidents for dispatch in incident["dispatches"]
             for move in dispatch["moves"]]  # fmt: skip
    happened = {
        "stored": picture.counts.get("observations", 0),
        "alerts": len(picture.alerts),
        "orders": moves.count("ordered"),
        "arrivals": moves.count("on_scene"),
        "leads": len(picture.leads),
        "cases": len(picture.cases),
        "rejected": picture.counts.get("rejected", 0),
        "revisions": picture.counts.get("revisions", 0),
        "flags": sum(picture.counts.get("flags", {}).values()),
    }
    print(word("title", lang))
    print(f"{word('summary', lang)}: " + " · ".join(f"{word(k, lang)} {n}" for k, n in happened.items()))
    for site in picture.sites:
        print(f"  {local(site, 'name', lang)}: {level(site['level'], lang).plain.strip()}")
    missing = [word(key, lang) for key in MUST if not happened[key]]
    if missing:
        print(f"{word('missing', lang)}: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0
