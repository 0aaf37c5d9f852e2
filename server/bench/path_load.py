"""The load of `liupan bench path`: who speaks, and the process that speaks for the background, steadily."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from domain.settings import Settings
from domain.wire import encode, up_topic
from server.bench.wire import packets, speak

#: what the load is made of, for people
MIX = """The background: of each 5 of 500 stations 3 are national ones whose `$dp` frames hold 6 results
(rain and its total, three GNSS axes, a crack: the default rule looks at 5), 2 send own JSON with one
result each (rain, which the rule looks at, soil moisture and battery voltage, which it does not). Of 5
observations 4 come in frames. With each message a station goes ten minutes on, so the models see hours
go by as they would in an installation with a thousand times as many stations."""

SITES = 500
STEP = timedelta(minutes=10)
#: share of the observations that come in frames, and results in each frame
FRAMED, IN_FRAME = 0.8, 6
#: the past that each site has before the load begins: so many results of each of these, so far apart
PAST_STEPS = 72
PAST = {"rainfall": timedelta(hours=1), "displacement": timedelta(hours=6), "crack": timedelta(hours=6)}
#: counties of Ningxia without and with listeners
QUIET = ("640104", "640105", "640106", "640121", "640122", "640181", "640202", "640205", "640221", "640302")
HEARD = ("640402", "640422", "640423", "640424", "640425", "640502", "640521", "640522", "640323", "640324")

#: rain of one hour that brings a debris flow site to blue: 0.74 of the line of Caine (1980), 14.82 mm/h
PROBE_MM = 11.0

#: (name, observed property, unit) of what a national station and one with own JSON tell
NATIONAL = (("L3_YL_1/value", "rainfall", "mm"), ("L3_YL_1/totalValue", "", "mm"),
            ("L1_GP_1/gpsTotalX", "displacement_x", "mm"), ("L1_GP_1/gpsTotalY", "displacement_y", "mm"),
            ("L1_GP_1/gpsTotalZ", "displacement_z", "mm"), ("L1_LF_1/value", "crack", "mm"))  # fmt: skip
SINGLE = (("rain", "rainfall", "mm"), ("soil", "soil_moisture", "%"), ("battery", "", "V"))

Entry = dict[str, object]
#: topic and payload
Said = tuple[str, bytes]


def registry(probes: int) -> dict[str, list[Entry]]:
    """Return what must be registered: background sites, probe sites, a phone in each county that listens."""
    sites = [_site(f"BG{i}", QUIET[i % len(QUIET)], "landslide") for i in range(SITES)]
    sites += [_site(f"PR{i}", HEARD[i % len(HEARD)], "debris_flow") for i in range(probes)]
    phones = [_thing(phone(region), "phone", region, None, ()) for region in HEARD]
    recipients: list[Entry] = [
        {"name": "bench", "channel": "mqtt", "address": phone(r), "region": r} for r in HEARD
    ]
    stations = [
        _thing(station(str(site["code"])), "station", str(site["region"]), site, _streams(str(site["code"])))
        for site in sites
    ]
    return {"sites": sites, "things": [*stations, *phones], "recipients": recipients}


def past(codes: Sequence[str], until: datetime) -> Iterator[tuple[int, Said]]:
    """Yield (results in it, message) with the past of each site until this time: dry hours, and 18 days
    without motion in steps of 6 h, so that the models know what is usual there.
    """
    for number, code in enumerate(codes):
        told = [
            {"datastream": name, "phenomenon_time": at, "unit": unit, "result": results(number, at)[name]}
            for name, observed, unit in _streams(code)
            if (step := PAST.get(observed.partition("_")[0]))
            for at in (until - step * back for back in range(PAST_STEPS, 0, -1))
        ]
        yield len(told), (up_topic(station(code), "observation"), encode({"observations": told}))


def results(i: int, at: datetime) -> dict[str, float]:
    """Return what station i tells at that time, by datastream: no rain, no motion, some noise (mm)."""
    noise = math.sin(i + at.timestamp())
    still = (0.0, 118.2, 9 + noise / 3, 4 - noise / 3, 2 + noise / 3, 12 + noise / 27)
    named = {name: round(result, 2) for (name, *_), result in zip(NATIONAL, still, strict=True)}
    return named | {"rain": 0.0, "soil": 31.5, "battery": 12.6}


def probe(code: str, at: datetime) -> Said:
    """Return the observation that raises the level of this probe site."""
    rain = {"datastream": "rain", "phenomenon_time": at, "result": PROBE_MM, "unit": "mm"}
    return up_topic(station(code), "observation"), encode(rain)


def main(argv: Sequence[str]) -> int:
    """Speak for the background: the rate in observations/s, for so many seconds; print how much was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    args = parser.parse_args(argv)
    load = background(args.rate, args.seconds, datetime.now(UTC))
    said = packets(until(load, args.rate * args.seconds))
    print("ready", flush=True)
    spoken = speak(
        Settings.from_env().broker(), "bench-background", said, lambda s, _: args.rate * s, args.seconds
    )
    print(json.dumps({"said": spoken.said}))
    return 0


def until(messages: Iterator[tuple[int, Said]], results: float) -> Iterator[tuple[int, Said]]:
    """Yield messages until so many results are in them."""
    told = 0.0
    while told < results:
        count, message = next(messages)
        yield count, message
        told += count


def background(rate: float, seconds: float, until: datetime) -> Iterator[tuple[int, Said]]:
    """Yield (results in it, message) for ever; in `seconds` at this rate no station gets beyond `until`."""
    framed, single = _stations()
    begin = begins(rate, seconds, until)
    #: single messages between two frames
    between = (1 - FRAMED) * IN_FRAME / FRAMED
    owed, frame, alone = 0.0, 0, 0
    while True:
        yield IN_FRAME, _frame(framed[frame % len(framed)], begin + STEP * (frame // len(framed)))
        frame, owed = frame + 1, owed + between
        while owed >= 1:
            turn, i = divmod(alone, len(single))
            yield 1, _alone(single[i], turn % len(SINGLE), begin + STEP * (turn // len(SINGLE)))
            alone, owed = alone + 1, owed - 1


def begins(rate: float, seconds: float, until: datetime) -> datetime:
    """Return the time of the first result of the background, which in the end comes near to `until`."""
    framed, single = _stations()
    rounds = max(rate * FRAMED / IN_FRAME / len(framed), rate * (1 - FRAMED) / len(single) / len(SINGLE))
    return until - STEP * math.ceil(rounds * seconds + 1)


def _stations() -> tuple[list[int], list[int]]:
    """Return the numbers of the stations that send frames, and of those that send single results."""
    numbers = range(SITES)
    return [i for i in numbers if national(i)], [i for i in numbers if not national(i)]


def _frame(i: int, at: datetime) -> Said:
    stamp, told = at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), results(i, at)
    sensors: dict[str, dict[str, dict[str, float]]] = {}
    for name, *_ in NATIONAL:
        sensor, _, field = name.partition("/")
        sensors.setdefault(sensor, {stamp: {}})[stamp][field] = told[name]
    text = encode({station(f"BG{i}"): sensors})
    return "$dp", b"\x02" + len(text).to_bytes(2, "big") + text


def _alone(i: int, stream: int, at: datetime) -> Said:
    name, _, unit = SINGLE[stream]
    told = {"datastream": name, "phenomenon_time": at, "result": results(i, at)[name], "unit": unit}
    return up_topic(station(f"BG{i}"), "observation"), encode(told)


def national(i: int) -> bool:
    """Tell whether the background station of this number is a national one."""
    return i % 5 < 3


def station(code: str) -> str:
    """Return the name on the wire of the site's station."""
    return f"bench-{code.lower()}"


def phone(region: str) -> str:
    """Return the name on the wire of the county's phone."""
    return f"bench-phone-{region}"


def _streams(code: str) -> Sequence[tuple[str, str, str]]:
    if code.startswith("PR"):
        return SINGLE[:1]
    return NATIONAL if national(int(code[2:])) else SINGLE


def _site(code: str, region: str, kind: str) -> Entry:
    lon, lat = 106.0, 36.0
    ring = [[lon, lat], [lon + 0.01, lat], [lon, lat + 0.01], [lon, lat]]
    return {"code": code, "region": region, "name_zh": f"测速 {code}", "name_en": f"Bench {code}", "lon": lon,
            "lat": lat, "type": kind, "mode": "test", "rule": "default", "polygon": ring}  # fmt: skip


def _thing(
    code: str, kind: str, region: str, site: Entry | None, streams: Sequence[tuple[str, str, str]]
) -> Entry:
    told = [{"name": name, "observed_property": observed, "unit": unit} for name, observed, unit in streams]
    return {"code": code, "kind": kind, "name": f"bench {code}", "region": region, "mode": "test",
            "site": site and site["code"], "datastreams": told}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
