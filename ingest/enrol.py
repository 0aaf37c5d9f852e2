"""What `liupan import` must know of made-up and replayed stations, phones and sites: entries of its file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ingest.scenario import DEVICE, INSPECTOR, LISTENERS, MODE, OBSERVER, PLACES, SENSORS, TEAMS, Place

Entry = dict[str, object]
Registry = dict[str, list[Entry]]

_KINDS = {"landslide": ("滑坡", "landslide"), "debris_flow": ("泥石流沟", "debris flow")}
_METRES_PER_DEGREE = 111_195.0


def exercise(places: Sequence[Place] = PLACES) -> Registry:
    """Return everything that speaks and listens in the exercise; each name says that it is one."""
    phones = [(f"{DEVICE}-{name}", region) for name, _, _, region, *_ in TEAMS]
    phones += [(f"{DEVICE}-{name}", prefix.ljust(6, "0")) for name, prefix in LISTENERS]
    return {
        "sites": [_place(place) for place in places],
        "things": [_station(place) for place in places]
        + [phone(device, f"演练手机 / exercise phone {device}", region, MODE)
           for device, region in (*phones, INSPECTOR, OBSERVER)],
        "units": [
            {"code": f"EX-{name}", "name_zh": f"演练·{zh}救援队", "name_en": f"Exercise: rescue team {en}",
             "region": region, "device": f"{DEVICE}-{name}", "lon": lon, "lat": lat}
            for name, zh, en, region, lon, lat in TEAMS
        ],
        "recipients": [
            {"name": f"演练·{name}", "channel": "mqtt", "address": f"{DEVICE}-{name}", "region": prefix}
            for name, prefix in LISTENERS
        ],
    }  # fmt: skip


def site(code: str, region: str, names: tuple[str, str], lon: float, lat: float, **rest: object) -> Entry:
    """Return the entry of a hazard site; `names`: Chinese and English, `rest` replaces what stands here."""
    entry: Entry = {"code": code, "region": region, "name_zh": names[0], "name_en": names[1], "lon": lon,
                    "lat": lat, "type": "landslide", "rule": "default", "threatened": 0, "contact": "",
                    "polygon": outline(lon, lat)}  # fmt: skip
    return entry | rest


def station(code: str, name: str, region: str, mode: str, streams: Sequence[Entry], **rest: object) -> Entry:
    """Return the entry of a station with its datastreams; `rest` replaces what stands here."""
    entry: Entry = {"code": code, "kind": "station", "name": name, "site": None, "region": region,
                    "mode": mode, "time_zone": "UTC", "datastreams": list(streams)}  # fmt: skip
    return entry | rest


def phone(code: str, name: str, region: str, mode: str) -> Entry:
    """Return the entry of a phone."""
    return station(code, name, region, mode, ()) | {"kind": "phone"}


def stream(name: str, observed: str, unit: str, low: float | None = None, high: float | None = None) -> Entry:
    """Return the entry of a datastream; results outside of low..high are not believed."""
    return {"name": name, "observed_property": observed, "unit": unit, "valid_min": low, "valid_max": high}


def outline(lon: float, lat: float, azimuth_deg: float = 0.0) -> list[list[float]]:
    """Return the closed ring of an ellipse, 300 m each way along the slope and 150 m across, in degrees."""
    azimuth, ring = math.radians(azimuth_deg), []
    for step in range(12):
        along, across = 300 * math.cos(step * math.pi / 6), 150 * math.sin(step * math.pi / 6)
        north_m = along * math.cos(azimuth) - across * math.sin(azimuth)
        east_m = along * math.sin(azimuth) + across * math.cos(azimuth)
        east = east_m / _METRES_PER_DEGREE / math.cos(math.radians(lat))
        ring.append([round(lon + east, 6), round(lat + north_m / _METRES_PER_DEGREE, 6)])
    return [*ring, ring[0]]


def _place(place: Place) -> Entry:
    zh, en = _KINDS[place.type]
    names = (f"演练·{place.zh}{zh}", f"Exercise: {place.en} {en}")
    return site(
        place.code, place.region, names, place.lon, place.lat,
        type=place.type, mode=MODE, threatened=place.threatened,
        polygon=outline(place.lon, place.lat, place.slope.azimuth_deg),
        contact="演练,无真实联系人 / exercise, nobody to call",
    )  # fmt: skip


def _station(place: Place) -> Entry:
    streams = [
        stream(national if place.wire == "dp" else own, observed, unit, low, high)
        for national, own, observed, unit, low, high in SENSORS
    ]
    name = f"演练·{place.zh}监测站 / exercise station {place.en}"
    return station(
        place.device, name, place.region, MODE, streams, site=place.code, time_zone=place.time_zone
    )
