"""The load of `liupan bench ingest`: stations that say one observation a message, or a hundred."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from domain.settings import Settings
from domain.wire import UP, encode, up_topic
from server.bench.wire import packets, speak

#: stations, and what each of them observes; nothing that a model looks at
STATIONS = 2000
STREAMS = (("soil", "%"), ("battery", "V"), ("humidity", "%"), ("pressure", "hPa"), ("light", "lx"))
#: observations in one message of the second load
MANY = 100
STEP = timedelta(seconds=1)
#: results that may be on their way at a time: said, and not stored yet
AHEAD = 50_000
#: each so-manieth message asks to be told when it is stored
MARK_EVERY = {"singles": 500, "hundreds": 20}

Entry = dict[str, object]


def registry() -> dict[str, list[Entry]]:
    """Return what must be registered."""
    streams = [{"name": name, "observed_property": "", "unit": unit} for name, unit in STREAMS]
    return {
        "things": [
            {"code": station(i), "kind": "station", "name": station(i), "region": "640402", "mode": "test",
             "datastreams": streams}
            for i in range(STATIONS)
        ]
    }  # fmt: skip


def station(i: int) -> str:
    """Return the name on the wire of a station."""
    return f"bench-{i}"


def singles(begin: datetime) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Yield messages with one observation each, for ever."""
    number = 0
    while True:
        turn, place = divmod(number, STATIONS * len(STREAMS))
        name, unit = STREAMS[place // STATIONS]
        at = (begin + STEP * turn).isoformat()
        told = {"datastream": name, "phenomenon_time": at, "result": place % 97 / 10, "unit": unit}
        yield 1, (up_topic(station(place % STATIONS), "observation"), encode(told))
        number += 1


def hundreds(begin: datetime) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Yield messages with a hundred observations each, for ever."""
    number, rows = 0, MANY // len(STREAMS)
    while True:
        turn, place = divmod(number, STATIONS)
        told = [
            {"datastream": name, "phenomenon_time": (begin + STEP * (turn * rows + row)).isoformat(),
             "result": (place + row) % 97 / 10, "unit": unit}
            for row in range(rows)
            for name, unit in STREAMS
        ]  # fmt: skip
        yield MANY, (up_topic(station(place), "observation"), encode({"observations": told}))
        number += 1


LOADS: dict[str, Callable[[datetime], Iterator[tuple[int, tuple[str, bytes]]]]] = {
    "singles": singles,
    "hundreds": hundreds,
}
#: before the topics of what only a bare subscriber hears
UNHEARD = "bench/"
UNHEARD_TOPIC = f"{UNHEARD}{UP}/+/observation"


def main(argv: Sequence[str]) -> int:
    """Say so many results at the rate (0: as fast as they are stored); print how many were said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("begin", type=datetime.fromisoformat)
    parser.add_argument("results", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("--unheard", action="store_true", help="on topics to which ingest does not listen")
    parser.add_argument("--seconds", type=float, default=600.0, help="no longer than that")
    args = parser.parse_args(argv)
    settings, load = Settings.from_env(), LOADS[args.load](args.begin.astimezone(UTC))
    count, said = 0, []
    while count < args.results:
        results, (topic, payload) = next(load)
        said.append((results, (UNHEARD + topic if args.unheard else topic, payload)))
        count += results
    made = packets(said, MARK_EVERY[args.load] if not args.unheard else 0)
    del said
    print("ready", flush=True)
    sys.stdin.readline()
    due: Callable[[float, int], float] = lambda s, stored: stored + AHEAD  # noqa: E731
    if args.unheard:
        due = lambda s, stored: float("inf")  # noqa: E731
    elif args.rate:
        due = lambda s, stored: args.rate * s  # noqa: E731
    spoken = speak(settings.broker(), "bench-load", made, due, args.seconds)
    print(json.dumps(spoken._asdict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
