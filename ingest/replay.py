"""`liupan replay`: real records through MQTT, database and models, on the real topics, at a chosen speed.

One command does it all: it registers what the records need (mode `test`), says everything, waits until it is
stored and assessed, and reports what became of it.
"""

from __future__ import annotations

import argparse
import logging
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from domain.process import log_to_stderr
from domain.settings import Settings
from domain.wire import encode
from ingest import codecs, files, records, settle
from ingest.play import Script, connect, play
from ingest.records import Source

log = logging.getLogger("replay")


def main(argv: Sequence[str] | None = None) -> int:
    """Replay one source; return 1 when something was not stored or was refused, or events still wait.

    ValueError: a file that cannot be read; RuntimeError: its registry is refused.
    """
    args = _parser().parse_args(argv)
    log_to_stderr("replay")
    settings = Settings.from_env()
    codecs.configure(settings)
    source = _source(args, Path(settings.data))
    if args.registry:
        print(encode(source.registry).decode())
        return 0
    return _replay(source, settings, args)


def _replay(source: Source, settings: Settings, args: argparse.Namespace) -> int:
    broker = settings.broker()
    # the registry is the server's: its own command checks and writes it
    registering = [sys.executable, "-P", "-m", "server.cli", "import", "/dev/stdin"]
    said = encode(source.registry)
    done = subprocess.run(registering, input=said, stdout=sys.stderr, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise RuntimeError("what the records need could not be registered: see above")
    goal, began = settle.expected(source), datetime.now(UTC)
    line = connect(broker, "liupan-replay")
    log.info("%d messages with %d results and %d fixes",
             len(source.messages), len(goal.results), len(goal.fixes))  # fmt: skip
    play(line, [_paced(source, began, args.speed)], lambda *_: iter(()))
    line.close()
    with psycopg.connect(settings.database_url, autocommit=True) as conn:
        found = settle.wait(conn, goal, began)
        report: list[tuple[str, dict[str, object]]] = [
            ("replayed", {"messages": line.said,
                          "results": len(goal.results), "results_stored": found.results,
                          "fixes": len(goal.fixes), "fixes_stored": found.fixes,
                          "rejected": found.refused, "events_waiting": found.waiting}),
            *(("exceeded", row) for row in settle.exceedances(conn, source)),
            *(("alerts", row) for row in settle.alerts(conn, source)),
            *(("rejected", row) for row in settle.refusals(conn, source, began)),
        ]  # fmt: skip
        if source.segments:
            report.append(("track", settle.track(conn, source)))
    for kind, row in report:
        print(encode({"kind": kind, **row}).decode() if args.json else _line(kind, row))
    if found != goal.found:
        log.error("expected %s, found %s; what waits is told by `liupan doctor`", goal.found, found)
    return 0 if found == goal.found and not goal.refused else 1


def _paced(source: Source, began: datetime, speed: float) -> Script:
    """Yield the messages with the moment of the clock at which each is due; an infinite speed is at once."""
    first = source.messages[0].at if source.messages else began
    for message in source.messages:
        yield replace(message, at=began + (message.at - first) * (1 / speed))


def _line(kind: str, row: dict[str, object]) -> str:
    return f"{kind:9} " + "  ".join(f"{name}={value}" for name, value in row.items())


def _source(args: argparse.Namespace, data: Path) -> Source:
    match args.source:
        case "usgs-thresh":
            return records.usgs_thresh(data / "usgs-thresh")
        case "baishuihe":
            return records.baishuihe(data / "baishuihe")
        case "dp":
            return files.dp(args.file)
        case "gpx":
            return files.gpx_track(args.file, args.device)
        case _:
            zone = ZoneInfo(args.zone) if args.zone else None
            return files.csv_file(args.file, args.thing, args.datastream, args.unit, zone)


def _speed(text: str) -> float:
    speed = math.inf if text == "max" else float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError("the speed is a number above 0, or max")
    return speed


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--speed", type=_speed, default=math.inf, help="times faster than life, or max (default)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON object per line")
    common.add_argument("--registry", action="store_true", help="print what would be registered, and end")
    parser = argparse.ArgumentParser(prog="liupan replay", description=__doc__)
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")

    def source(name: str, told: str) -> Callable[..., argparse.Action]:
        return sources.add_parser(name, help=told, description=told, parents=[common]).add_argument

    source("usgs-thresh", "hourly rain of KBFI and KSEA, from the folder that LIUPAN_DATA names")
    source("baishuihe", "monthly GNSS and daily rain of the Baishuihe landslide, from the same folder")
    source("dp", "captured $dp frames, in both type numberings")("file", type=Path, help="JSON lines")
    say = source("gpx", "a GPX track as the fixes of a phone")
    say("file", type=Path, help="GPX 1.0 or 1.1")
    say("--device", required=True, help="the phone that is said to have walked it")
    say = source("csv", "a time and a result in each line")
    say("file", type=Path, help="CSV; the first two columns count")
    for name in ("--thing", "--datastream", "--unit"):
        say(name, required=True, help=f"the {name[2:]} that the results belong to")
    say("--zone", help="time zone of times without an offset, as in Asia/Shanghai")
    return parser


if __name__ == "__main__":
    sys.exit(main())
