"""How the stations of the exercise say what they measure: `$dp` frames or own JSON, with noise and faults."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from domain.wire import encode, up_topic
from ingest.play import Message
from ingest.scenario import FAULTS, SENSORS, Place, Scenario
from ingest.storm import CRACK_SHARE, CRACK_SIGMA_MM, GNSS_SIGMA_MM, displacement_mm, rain_mm, steps

#: results of one moment, by the sensor's name on the national wire
Results = Mapping[str, float]
#: a `$dp` frame of JSON with times: type 2 in the present numbering, then the length in two bytes
DP_TOPIC, DP_TYPE = "$dp", 2
#: sensors that tell their only field without its name
BARE = {"L1_LF_1"}
#: moments that go into one payload when the past is told; the length of a frame has 16 bits
KEPT = 144


def station(scenario: Scenario, place: Place) -> Iterator[Message]:
    """Yield what this station says: what it kept while the link was down, its state, then the storm live."""
    moments = list(measured(scenario, place))
    past = [moment for moment in moments if moment[0] <= scenario.start]
    for first in range(0, len(past), KEPT):
        kept = dict(past[first : first + KEPT])
        yield Message(at=scenario.start, topic=topic(place), payload=payload(place, kept))
    if place.wire == "dp":
        yield _health(scenario, place)
    for at, results in moments[len(past) :]:
        yield from _faulty(scenario, place, at, results)


def measured(scenario: Scenario, place: Place) -> Iterator[tuple[datetime, Results]]:
    """Yield (time, results) of each step, with the noise of the instruments and without planted faults."""
    random = scenario.random("noise", place.region)
    azimuth, total = math.radians(place.slope.azimuth_deg), 0.0
    for hour, rain in zip(steps(scenario), rain_mm(scenario, place), strict=True):
        total += rain
        blur = 1.0 if hour > 0 else 6**-0.5
        at = scenario.start + timedelta(seconds=round(hour * 3600))
        results = {"L3_YL_1/value": rain, "L3_YL_1/totalValue": round(total, 1)}
        try:
            moved = displacement_mm(place.slope, scenario.hours, hour)
        except ValueError:
            yield at, results  # the ground under the other sensors is gone
            continue
        shares = (math.cos(azimuth), math.sin(azimuth), -0.6)
        for axis, share in zip("XYZ", shares, strict=True):
            results[f"L1_GP_1/gpsTotal{axis}"] = round(
                moved * share + random.gauss(0, blur * GNSS_SIGMA_MM), 2
            )
        crack = moved * CRACK_SHARE + random.gauss(0, blur * CRACK_SIGMA_MM)
        yield at, results | {"L1_LF_1/value": round(max(0.0, crack), 2)}


def _faulty(scenario: Scenario, place: Place, at: datetime, results: Results) -> Iterator[Message]:
    """Yield the messages of one moment of the storm with whatever fault is planted there."""
    said = Message(at=at, topic=topic(place), payload=payload(place, {at: results}))
    match faults(scenario, place, at):
        case ["gap"]:
            return
        case ["spike"]:
            jumped = {"L1_GP_1/gpsTotalX": results["L1_GP_1/gpsTotalX"] + 60}
            yield replace(said, payload=payload(place, {at: {**results, **jumped}}))
        case ["range"]:
            broken = {"L1_GP_1/gpsTotalX": 99_999.0}
            yield replace(said, payload=payload(place, {at: {**results, **broken}}))
        case ["duplicate"]:
            yield from (said, said)
        case ["revision"]:
            other = {"L3_YL_1/value": results["L3_YL_1/value"] + 0.4}
            yield from (said, replace(said, payload=payload(place, {at: other})))
        case ["future"]:
            ahead = scenario.start + timedelta(hours=scenario.hours + 12)
            yield from (said, replace(said, payload=payload(place, {ahead: {"L3_YL_1/value": 3.0}})))
        case ["garbled"]:
            yield from (said, replace(said, payload=said.payload[: len(said.payload) // 2]))
        case ["stranger"]:
            stranger = replace(place, region="999999")
            yield from (said, replace(said, payload=payload(stranger, {at: results})))
        case _:
            yield said


def faults(scenario: Scenario, place: Place, at: datetime) -> list[str]:
    """Return the kinds of fault that are planted at this site in the ten minutes before this time."""
    share = (at - scenario.start) / timedelta(hours=scenario.hours)
    step = 1 / 6 / scenario.hours
    return [
        fault.kind
        for fault in FAULTS
        if fault.region == place.region and fault.at <= share < max(fault.until, fault.at + step)
    ]


def topic(place: Place) -> str:
    """Return the topic on which the station speaks."""
    return DP_TOPIC if place.wire == "dp" else up_topic(place.device, "observation")


def payload(place: Place, measured: Mapping[datetime, Results]) -> bytes:
    """Return one payload with all these results in the station's own language."""
    return frame(_dp_body(place, measured)) if place.wire == "dp" else _own(measured)


def _own(measured: Mapping[datetime, Results]) -> bytes:
    own = {national: (name, unit) for national, name, _, unit, *_ in SENSORS}
    return encode({"observations": [
        {"datastream": own[sensor][0], "phenomenon_time": at, "result": result, "unit": own[sensor][1]}
        for at, results in measured.items()
        for sensor, result in results.items()
    ]})  # fmt: skip


def _dp_body(place: Place, measured: Mapping[datetime, Results]) -> dict[str, object]:
    """Return {device: {sensor: {time: result or {field: result}}}}; times end in Z in any zone."""
    sensors: dict[str, dict[str, object]] = {}
    for at, results in measured.items():
        local = at.astimezone(ZoneInfo(place.time_zone)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, result in results.items():
            sensor, _, field = name.partition("/")
            times = sensors.setdefault(sensor, {})
            if sensor in BARE:
                times[local] = result
            else:
                times[local] = {**dict(times.get(local, {})), field: result}  # type: ignore[call-overload]
    return {place.device: sensors}


def frame(body: Mapping[str, object]) -> bytes:
    """Return the JSON in a `$dp` frame of the present numbering."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return bytes([DP_TYPE]) + len(text).to_bytes(2, "big") + text


def _health(scenario: Scenario, place: Place) -> Message:
    """Return the station's daily report on itself (pseudo-sensor S1_ZT_1)."""
    random: Random = scenario.random("health", place.region)
    local = scenario.start.astimezone(UTC if place.time_zone == "UTC" else ZoneInfo(place.time_zone))
    state = {
        "ext_power_volt": round(random.uniform(11.8, 13.2), 2),
        "battery_dump_energy": random.randint(70, 100),
        "temp": round(random.uniform(14, 22), 1),
        "humidity": random.randint(60, 95),
        "lon": f"{place.lon:.6f}",
        "lat": f"{place.lat:.6f}",
        "signal_4g": random.randint(12, 28),
        "sw_version": "exercise",
        "sensor_state": {"L3_YL_1": 0, "L1_GP_1": 0, "L1_LF_1": 0},
    }
    body = {place.device: {"S1_ZT_1": {local.strftime("%Y-%m-%dT%H:%M:%S.000Z"): state}}}
    return Message(at=scenario.start, topic=DP_TOPIC, payload=frame(body))
