"""`liupan simulate`: play a made-up storm on the real topics, with stations, patrols and rescue teams."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from domain.process import log_to_stderr
from domain.settings import Settings
from domain.wire import decode, encode
from ingest import device, enrol, phones, stations, storm
from ingest.play import Line, Message, Script, connect, play
from ingest.scenario import MODE, Scenario

log = logging.getLogger("simulate")

#: teams drive this share of the storm's speed, so that 20 min fit into an exercise of minutes, and at most so
#: many times faster than life: else a second's way is longer than the 2 km that interrupt a track
DRIVE_SHARE, DRIVE_MOST = 0.05, 120.0
#: the exercise ends when nothing was said or heard for this long, s
LINGER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """How the storm's hours map to the clock: `speed` times faster than life, ending now."""

    start: datetime
    began: datetime
    speed: float

    def due(self, message: Message) -> Message:
        """Return the message with the moment of the clock at which it must be said."""
        return replace(message, at=self.began + (message.at - self.start) / self.speed)


def tempo(began: datetime, hours: float, speed: float) -> Tempo:
    """Return the tempo of a storm whose own time reaches the clock's when the playing ends, never before.

    The storm starts at a full ten minutes, as stations measure at them. ValueError: slower than life.
    """
    if not speed >= 1:
        raise ValueError(f"the storm cannot pass slower than life: --speed must be 1 or more, not {speed:g}")
    length = timedelta(hours=hours)
    start = began + length / speed - length
    return Tempo(start=start - timedelta(seconds=start.timestamp() % 600), began=began, speed=speed)


def scripts(scenario: Scenario, pace: Tempo) -> list[Script]:
    """Return what all stations and walking phones say, due by the clock."""
    spoken = [stations.station(scenario, place) for place in scenario.places]
    spoken += [phones.patrol(scenario), phones.observer(scenario)]
    return [map(pace.due, script) for script in spoken]


def main(argv: Sequence[str] | None = None) -> int:
    """Play the storm until it is over and the teams are done; return 1 when the platform lost something."""
    args = _parser().parse_args(argv)
    log_to_stderr("simulate")
    try:
        if args.device:
            return device.run(Settings.from_env().broker(), args.device, args.apikey)
        pace = tempo(datetime.now(UTC), args.hours, args.speed)
        scenario = Scenario(seed=args.seed, start=pace.start, hours=args.hours, sites=args.sites)
        if args.registry or args.truth:
            for line in [enrol.exercise(scenario.places)] if args.registry else storm.truth(scenario):
                print(encode(line).decode())
            return 0
        return _run(scenario, pace, args.json)
    except (ValueError, ConnectionError, TimeoutError) as error:
        log.error("%s", error)
        return 1


def _run(scenario: Scenario, pace: Tempo, as_json: bool) -> int:
    crew = phones.Crew(scenario.random("crew"), lapse=min(DRIVE_MOST, max(1.0, pace.speed * DRIVE_SHARE)))
    line = connect(Settings.from_env().broker(), f"liupan-simulate-{scenario.seed}", crew.topics())
    awaited = set[str]()

    def noting(script: Script) -> Script:
        for message in script:
            awaited.add(_id_of(message))
            yield message

    log.info("exercise / 演练: storm %d over %d sites, %g h in %.0f s", scenario.seed, scenario.sites,
             scenario.hours, scenario.hours * 3600 / pace.speed)  # fmt: skip
    play(line, [noting(script) for script in scripts(scenario, pace)], crew.react, LINGER_S)
    line.close()
    return _report(line, crew, awaited - {""}, as_json)


def _id_of(message: Message) -> str:
    """Return the id of a phone's message, that the platform must confirm; empty for a station's."""
    if not message.topic.startswith("liupan/") or message.topic.endswith("/observation"):
        return ""
    return str(decode(message.payload).get("id", ""))


def _report(line: Line, crew: phones.Crew, awaited: set[str], as_json: bool) -> int:
    lost = awaited - set(crew.stored)
    refused = {name: reason for name, reason in crew.stored.items() if reason}
    summary = {"mode": MODE, "said": line.said, "taken": line.taken, "awaited": len(awaited),
               "stored": len(crew.stored) - len(refused), "refused": refused, "unconfirmed": sorted(lost),
               "orders": len(crew.begun)}  # fmt: skip
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        print(f"演练结束 exercise over: {line.said} messages; {len(awaited)} to be confirmed, {len(lost)}"
              f" were not, {len(refused)} were refused; {len(crew.begun)} orders to teams")  # fmt: skip
    if lost or refused:
        log.error("not stored: %s", ", ".join([*sorted(lost), *(f"{n}: {r}" for n, r in refused.items())]))
    return 1 if lost or refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="liupan simulate", description=__doc__)
    say = parser.add_argument
    say("--seed", type=int, default=20160821, help="same seed, same storm (default %(default)s)")
    say("--hours", type=float, default=72.0, help="length of the storm, h (default %(default)s)")
    say("--speed", type=float, default=1200.0, help="times faster than life (default %(default)s)")
    say("--sites", type=int, default=5, help="hazard sites that take part, 1 to 5 (default %(default)s)")
    say(
        "--device",
        metavar="CODE",
        help="be this one station instead: report, and obey commands, until Ctrl-C",
    )
    say("--apikey", default="liupan-exercise", help="of the station with --device (default %(default)s)")
    say("--registry", action="store_true", help="print what `liupan import` must know, and end")
    say("--truth", action="store_true", help="print what truly happens at each site, and end")
    say("--json", action="store_true", help="print the summary as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
