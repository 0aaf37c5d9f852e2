"""The people of the exercise: an inspector and an observer on their way, teams and duty officers who answer.

Scripts yield messages in the order of their times. Those of the storm carry its own times; answers to the
platform carry the time at which they are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from random import Random

from domain.geo import Position, distance_m
from domain.wire import decode, down_topic, encode, make_id, up_topic
from ingest.play import Message, Script
from ingest.scenario import DEVICE, INSPECTOR, LISTENERS, OBSERVER, TEAMS, Scenario

WALK_M_S = 1.2
DRIVE_M_S = 14.0
#: an inspector looks at the Xiji slope from below, climbs beside it and comes back (lon, lat)
ROUND = ((105.760, 35.995), (105.772, 36.006), (105.781, 36.013), (105.789, 36.018), (105.783, 36.024),
         (105.771, 36.016), (105.760, 35.995))  # fmt: skip
#: hours of the storm at which the round begins and a lead is sent; the observer watches all the time
ROUND_AT_H, LEAD_AT_H = 1.0, 2.0


def patrol(scenario: Scenario) -> Script:
    """Yield the inspector's round: its beginning, a track message every ten minutes, a lead, its end."""
    random, (device, _) = scenario.random("patrol"), INSPECTOR
    begin, lead_at = (scenario.start + timedelta(hours=hours) for hours in (ROUND_AT_H, LEAD_AT_H))
    way = [Position(lon=lon, lat=lat) for lon, lat in ROUND]
    named = {"id": _id(begin, random), "inspector": "演练巡查员 / exercise inspector", "started_at": begin}
    yield _say(device, "patrol", begin, named)
    points, at = list[dict[str, object]](), begin
    for at, place in walk(way, begin, random):
        points.append({"at": at, "lon": place.lon, "lat": place.lat, "accuracy_m": 5, "speed_m_s": WALK_M_S})
        if len(points) == 5:
            yield _say(device, "track", at, {"id": _id(at, random), "points": points})
            points = []
        if at - timedelta(minutes=2) < lead_at <= at:
            yield _lead(device, at, place, random)
    if points:
        yield _say(device, "track", at, {"id": _id(at, random), "points": points})
    yield _say(device, "patrol", at, {**named, "ended_at": at})


def walk(way: Sequence[Position], begin: datetime, random: Random) -> Iterator[tuple[datetime, Position]]:
    """Yield a fix every two minutes along the way at walking speed, with 4 m of GNSS scatter."""
    at, step_m, left_m = begin, WALK_M_S * 120, 0.0
    for a, b in pairwise(way):
        length_m = distance_m(a, b)
        while left_m <= length_m:
            yield at, _between(a, b, left_m / length_m, random.gauss(0, 4))
            at, left_m = at + timedelta(minutes=2), left_m + step_m
        left_m -= length_m


def observer(scenario: Scenario) -> Script:
    """Yield where the village observer's phone is, every half hour, as OwnTracks says it."""
    random, (name, _) = scenario.random("observer"), OBSERVER
    for step in range(int(scenario.hours * 2)):
        at = scenario.start + timedelta(minutes=30 * step)
        said = {"_type": "location", "tid": "ob", "tst": int(at.timestamp()), "acc": 12, "alt": 1980,
                "lon": round(106.152 + random.gauss(0, 1e-3), 6),
                "lat": round(35.574 + random.gauss(0, 1e-3), 6)}  # fmt: skip
        yield Message(at=at, topic=f"owntracks/{name}", payload=encode(said))


@dataclass
class Crew:
    """Everyone who answers; `lapse` is how many times faster than life they drive.

    A drive of twenty minutes would outlast the storm: its fixes lie further apart than the speed they tell.
    """

    random: Random
    lapse: float = 1.0
    whereabouts: dict[str, Position] = field(default_factory=lambda: {
        f"{DEVICE}-{name}": Position(lon=lon, lat=lat) for name, *_, lon, lat in TEAMS
    })  # fmt: skip
    begun: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    #: ids that the platform has said are stored, or rejected with a reason
    stored: dict[str, str] = field(default_factory=dict)

    def topics(self) -> list[str]:
        """Return the topics on which these phones listen."""
        spoken = [down_topic(device, kind) for device in self.whereabouts for kind in ("dispatch", "stored")]
        told = [down_topic(f"{DEVICE}-{name}", kind) for name, _ in LISTENERS for kind in ("alert", "stored")]
        return [*spoken, *told, down_topic(INSPECTOR[0], "stored")]

    def react(self, topic: str, payload: bytes, now: datetime) -> Script:
        """Return what the phone that heard this says next; nothing for what it has heard before."""
        *_, device, kind = topic.split("/")
        told = decode(payload)
        match kind:
            case "alert":
                return self._confirm(device, str(told["delivery"]), str(told["level"]), now)
            case "stored":
                reason = told.get("reason") or ""
                self.stored[str(told["id"])] = str(reason) if told["state"] == "rejected" else ""
            case "dispatch" if told["state"] == "cancelled":
                self.cancelled.add(str(told["id"]))
            case "dispatch" if told["id"] not in self.begun:
                self.begun.add(str(told["id"]))
                site = told["site"]
                assert isinstance(site, dict)  # noqa: S101 - the platform's own wire format
                return self._obey(device, str(told["id"]), Position(lon=site["lon"], lat=site["lat"]), now)
        return iter(())

    def _confirm(self, device: str, delivery: str, level: str, now: datetime) -> Script:
        """Yield the receipt, and for the grave levels that people act on it."""
        yield self._status(device, delivery, "received", now + timedelta(seconds=1))
        if level in ("orange", "red"):
            yield self._status(device, delivery, "acting", now + timedelta(seconds=3))

    def _obey(self, device: str, dispatch: str, goal: Position, now: datetime) -> Script:
        """Yield how the team accepts, drives to the goal and comes to the end of its work."""
        yield self._status(device, dispatch, "accepted", now + timedelta(seconds=1))
        at = leaves = now + timedelta(seconds=2)
        yield self._status(device, dispatch, "en_route", leaves)
        for at, place in drive(self.whereabouts[device], goal, leaves, self.lapse, self.random):
            if dispatch in self.cancelled:
                return
            self.whereabouts[device] = place
            fix = {"at": at, "lon": place.lon, "lat": place.lat, "accuracy_m": 8, "speed_m_s": DRIVE_M_S}
            yield _say(device, "track", at, {"id": _id(at, self.random), "points": [fix]})
        yield self._status(device, dispatch, "on_scene", at + timedelta(seconds=1))
        yield self._status(device, dispatch, "done", at + timedelta(seconds=4))

    def _status(self, device: str, subject: str, state: str, at: datetime) -> Message:
        said = {"id": _id(at, self.random), "subject": subject, "state": state, "at": at}
        return _say(device, "status", at, said)


def drive(
    start: Position, goal: Position, begin: datetime, lapse: float, random: Random
) -> Iterator[tuple[datetime, Position]]:
    """Yield a fix each second from start to goal, at vehicle speed times `lapse`, on a winding line."""
    length_m = distance_m(start, goal)
    seconds = max(1, math.ceil(length_m / (DRIVE_M_S * lapse)))
    bend, sway_m = random.uniform(1, 3), min(400.0, 0.04 * length_m)
    for second in range(1, seconds + 1):
        share = second / seconds
        aside_m = sway_m * math.sin(math.pi * share) * math.sin(2 * math.pi * bend * share) * (share < 1)
        yield begin + timedelta(seconds=second), _between(start, goal, share, aside_m)


def _between(a: Position, b: Position, share: float, aside_m: float) -> Position:
    """Return the place at this share of the way from a to b, and so many metres to the side of it."""
    north, east = (b.lat - a.lat) * 111_195, (b.lon - a.lon) * 111_195 * math.cos(math.radians(a.lat))
    length_m = math.hypot(north, east) or 1.0
    lat = a.lat + share * (b.lat - a.lat) + aside_m * east / length_m / 111_195
    lon = a.lon + share * (b.lon - a.lon)
    lon -= aside_m * north / length_m / 111_195 / math.cos(math.radians(a.lat))
    return Position(lon=round(lon, 6), lat=round(lat, 6))


def _lead(device: str, at: datetime, place: Position, random: Random) -> Message:
    picture = random.randbytes(32)
    photo = {"id": _id(at, random), "sha256": sha256(picture).hexdigest(), "media_type": "image/jpeg",
             "size": 2_400_000, "captured_at": at, "lon": place.lon, "lat": place.lat}  # fmt: skip
    note = "演练:坡脚有挖掘机取土,未见许可标识 / exercise: an excavator digs at the foot of the slope"
    said = {"id": _id(at, random), "kind": "illegal_mining", "lon": place.lon, "lat": place.lat,
            "seen_at": at, "note": note, "evidence": [photo]}  # fmt: skip
    return _say(device, "lead", at, said)


def _say(device: str, kind: str, at: datetime, said: dict[str, object]) -> Message:
    return Message(at=at, topic=up_topic(device, kind), payload=encode(said))


def _id(at: datetime, random: Random) -> str:
    return str(make_id(int(at.timestamp() * 1000), random.getrandbits(80)))
