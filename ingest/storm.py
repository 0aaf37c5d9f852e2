"""What truly happens in the exercise: a storm cell that crosses the county and slopes that answer it.

Everything here follows from the scenario alone: no clock, no network, no chance that its seed does not set.
Hours count from the start of the storm; the past before it has negative hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

from domain.geo import Position, distance_m
from ingest.scenario import FAULTS, MODE, Place, Scenario, Slope

#: before the storm: as long as the longest window of the rain thresholds (72 h after 360 h), hour by hour
PAST_H = 432
STEP_H = 1 / 6

#: the cell comes from the north-west and leaves to the south-east (degrees); its spread and its heart
ENTERS, LEAVES = Position(lon=105.3, lat=36.10), Position(lon=106.9, lat=35.30)
RADIUS_M = 25_000
PEAK_MM_H = 7.0
#: a tipping bucket counts in steps of this depth, mm
BUCKET_MM = 0.2

#: standard deviation of one GNSS coordinate and of a crack gauge, mm; the past is told in means of six
GNSS_SIGMA_MM = 0.5
CRACK_SIGMA_MM = 0.05
#: a crack opens by this share of the displacement
CRACK_SHARE = 0.4


def steps(scenario: Scenario) -> list[float]:
    """Return the hours at which stations measure: each hour of the past, then every ten minutes."""
    past = [float(hour) for hour in range(1 - PAST_H, 1)]
    return past + [step * STEP_H for step in range(1, round(scenario.hours / STEP_H) + 1)]


def rain_mm(scenario: Scenario, place: Place) -> list[float]:
    """Return the rain in mm that fell in the interval before each of `steps`, in whole buckets."""
    random = scenario.random("rain", place.region)
    fallen, counted, depths = 0.0, 0, []
    gust = 0.0
    showers = [
        (random.uniform(-PAST_H, -12), random.uniform(1, 6), random.uniform(0.3, 1.5)) for _ in range(9)
    ]
    for hour in steps(scenario):
        if hour <= 0:
            fallen += sum(rate for begin, length, rate in showers if begin < hour <= begin + length)
        else:
            gust = 0.7 * gust + random.gauss(0, 0.25)
            fallen += cell_mm_h(scenario, place, hour) * math.exp(gust) * STEP_H
        tips = int(fallen / BUCKET_MM)
        depths.append(round((tips - counted) * BUCKET_MM, 1))
        counted = tips
    return depths


def cell_mm_h(scenario: Scenario, place: Place, hour: float) -> float:
    """Return the intensity of the smooth cell over the place in mm/h: a Gaussian that moves on a line."""
    share = hour / scenario.hours
    heart = Position(
        lon=ENTERS.lon + share * (LEAVES.lon - ENTERS.lon), lat=ENTERS.lat + share * (LEAVES.lat - ENTERS.lat)
    )
    away = distance_m(heart, Position(lon=place.lon, lat=place.lat)) / RADIUS_M
    return PEAK_MM_H * math.exp(-away * away / 2)


def displacement_mm(slope: Slope, hours: float, hour: float) -> float:
    """Return the true displacement along the slope in mm since the past began; `hours` is the storm's length.

    Acceleration by Voight (1988), Nature 332, with alpha = 2: the rate is creep * (f - o) / (f - t) after the
    onset o, so displacement grows with the logarithm; from the failure f on ValueError is raised.
    """
    moved = slope.creep_mm_h * (hour + PAST_H)
    for share, height in slope.steps:
        moved += height / (1 + math.exp(-(hour - share * hours) / 0.8))
    onset = slope.onset * hours
    if slope.failure is None or hour <= onset:
        return moved
    failure = slope.failure * hours
    if hour >= failure:
        raise ValueError(f"the slope failed at hour {failure:g}")
    accelerated = (failure - onset) * math.log((failure - onset) / (failure - hour))
    return moved + slope.creep_mm_h * (accelerated - (hour - onset))


def truth(scenario: Scenario) -> Iterator[dict[str, object]]:
    """Yield for each site what a perfect observer knows: rain totals, motion, failure, planted faults."""
    for place in scenario.places:
        depths = rain_mm(scenario, place)
        slope = place.slope
        yield {
            "site": place.code,
            "region": place.region,
            "mode": MODE,
            "rain_before_mm": round(sum(depths[:PAST_H]), 1),
            "rain_storm_mm": round(sum(depths[PAST_H:]), 1),
            "creep_mm_h": slope.creep_mm_h,
            "onset": at(scenario, slope.onset) if slope.failure else None,
            "failure": at(scenario, slope.failure) if slope.failure else None,
            "steps": [{"at": at(scenario, share), "height_mm": height} for share, height in slope.steps],
            "faults": [
                asdict(fault) | {"at": at(scenario, fault.at), "until": at(scenario, fault.until or fault.at)}
                for fault in FAULTS
                if fault.region == place.region
            ],
            "begin": scenario.start,
            "end": at(scenario, 1),
        }


def at(scenario: Scenario, share: float) -> datetime:
    """Return the time at this share of the storm."""
    return scenario.start + timedelta(hours=share * scenario.hours)
