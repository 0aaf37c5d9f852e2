"""Real records as messages on the real topics, each with what must be registered for it (mode `test`).

Foreign places stand in for a site in a county of Ningxia, as warning regions are Chinese counties: the site's
name says whose record it is, its position is the county's. `Source.segments` are the pieces of a track.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path

from domain.thing import Mode
from domain.wire import encode, up_topic
from ingest import enrol
from ingest.enrol import Registry
from ingest.play import Message

MODE = Mode.TEST.value
#: counties that lend foreign records their region: code, longitude, latitude
YUANZHOU, XIJI, LONGDE = ("640402", 106.242, 36.016), ("640422", 105.731, 35.965), ("640423", 106.124, 35.618)

#: gauges of the USGS Thresh sample: file, name, county that lends its region
GAUGES = (("KBFI", "Seattle, Boeing Field", YUANZHOU), ("KSEA", "Seattle-Tacoma Airport", XIJI))
INCH_100_MM = 0.254


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Messages in the order of their times, and what `liupan import` must know of their senders."""

    registry: Registry
    messages: Sequence[Message]
    #: first and last time of each piece of a track
    segments: Sequence[tuple[datetime, datetime]] = ()
    #: points whose time was made up, as the file has none
    untimed: int = 0


def usgs_thresh(folder: Path) -> Source:
    """Return the hourly rain of KBFI and KSEA 2010-07 to 2011-12; rows that are missing stay missing.

    Fixed width: station 2, year 4, month, day, hour 2 each, then rain in 1/100 inch. Thresh stamps the hour h
    as h:59, and so do we; the source names no time zone, so its clock is taken as UTC.
    """
    sites, things, spoken = [], [], list[Message]()
    for name, place, (region, lon, lat) in GAUGES:
        device = f"replay-{name.lower()}"
        names = (
            f"回放·USGS雨量记录{name}(借本县区划)",
            f"Replay: USGS rain of {name}, {place} (region lent)",
        )
        sites.append(enrol.site(f"RP-{name}", region, names, lon, lat, mode=MODE, rule="thresh_rows"))
        streams = [enrol.stream("rain", "rainfall", "mm", 0, 300)]
        things.append(enrol.station(device, names[1], region, MODE, streams, site=f"RP-{name}"))
        lines = (folder / "input" / f"{name}_t.txt").read_text(encoding="ascii").splitlines()
        spoken += [observation(device, at, {"rain": (mm, "mm")}) for at, mm in map(_thresh_row, lines)]
    return Source(registry={"sites": sites, "things": things}, messages=in_order(spoken))


def _thresh_row(line: str) -> tuple[datetime, float]:
    year, month, day, hour = int(line[2:6]), int(line[6:8]), int(line[8:10]), int(line[10:12])
    at = datetime(year, month, day, hour, 59, tzinfo=UTC)
    return at, round(int(line[12:]) * INCH_100_MM, 3)


def baishuihe(folder: Path) -> Source:
    """Return monthly GNSS of 14 points 2006-12 to 2012-12 and daily rain of the Baishuihe landslide.

    A month is stamped with its first day, rain with the end of its day, both in China's time; blank rain
    stays missing.
    """
    region, lon, lat = LONGDE
    names = ("回放·白水河滑坡(三峡,借本县区划)", "Replay: Baishuihe landslide, Three Gorges (region lent)")
    site = enrol.site("RP-BAISHUIHE", region, names, lon, lat, mode=MODE, rule="default")
    moves = [enrol.stream("dF", "displacement", "mm", 0, 10_000), enrol.stream("dx", "", "mm"),
             enrol.stream("dy", "", "mm")]  # fmt: skip
    streams = {"rain": [enrol.stream("rain", "rainfall", "mm", 0, 500)]}
    spoken: list[Message] = []
    for row in _rows(folder / "baishuihe_displacement_monthly.csv"):
        point = row["point"].lower()
        streams[point] = moves
        moved = {name: (float(row[f"{name}_mm"]), "mm") for name in ("dx", "dy", "dF")}
        spoken.append(observation(f"replay-bsh-{point}", _day(f"{row['month']}-01"), moved))
    for row in _rows(folder / "baishuihe_rain_daily.csv"):
        if row["rain_mm"]:
            at = _day(row["date"]) + timedelta(days=1)
            spoken.append(observation("replay-bsh-rain", at, {"rain": (float(row["rain_mm"]), "mm")}))
    things = [
        enrol.station(
            f"replay-bsh-{name}", f"回放 replay: Baishuihe {name}", region, MODE, told, site="RP-BAISHUIHE"
        )
        for name, told in streams.items()
    ]
    return Source(registry={"sites": [site], "things": things}, messages=in_order(spoken))


def observation(device: str, at: datetime, results: Mapping[str, tuple[float, str]]) -> Message:
    """Return an own message with results of one time, {datastream: (result, unit)}."""
    said = [{"datastream": name, "phenomenon_time": at, "result": result, "unit": unit}
            for name, (result, unit) in results.items()]  # fmt: skip
    return Message(at=at, topic=up_topic(device, "observation"), payload=encode({"observations": said}))


def in_order(messages: Iterable[Message]) -> list[Message]:
    """Return the messages in the order of their times; those of one time stay as they are."""
    return sorted(messages, key=attrgetter("at"))


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _day(date: str) -> datetime:
    return datetime.fromisoformat(f"{date}T00:00:00+08:00")
