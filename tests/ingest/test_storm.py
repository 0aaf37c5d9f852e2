"""The made-up exercise: the same seed gives the same bytes, the truth is physical, all says what it is."""

import json
import math
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from domain.geo import Position, distance_m
from domain.wire import decode
from ingest import enrol, phones, stations, storm
from ingest.codecs import codec_of
from ingest.decoded import Decoded
from ingest.play import Message
from ingest.scenario import FAULTS, PLACES, Scenario, Slope

START = datetime(2026, 7, 20, 16, 0, tzinfo=UTC)
SCENARIO = Scenario(seed=7, start=START)
XIJI = PLACES[0]


def said(scenario: Scenario) -> list[Message]:
    spoken = [message for place in scenario.places for message in stations.station(scenario, place)]
    return [*spoken, *phones.patrol(scenario), *phones.observer(scenario)]


def read(message: Message) -> Decoded:
    codec = codec_of(message.topic)
    assert codec is not None, message.topic
    return codec.decode(message.topic, message.payload, message.at)


def test_same_seed_same_bytes() -> None:
    assert said(SCENARIO) == said(Scenario(seed=7, start=START))
    other = Scenario(seed=8, start=START)
    assert [m.payload for m in said(other)] != [m.payload for m in said(SCENARIO)]


def test_each_script_is_in_the_order_of_its_times() -> None:
    scripts = [stations.station(SCENARIO, place) for place in PLACES]
    for script in [*scripts, phones.patrol(SCENARIO), phones.observer(SCENARIO)]:
        times = [message.at for message in script]
        assert times == sorted(times)
        assert times[0] >= START
        assert times[-1] <= START + timedelta(hours=SCENARIO.hours)


def test_rain_falls_in_whole_tips_and_mostly_where_the_cell_passes() -> None:
    totals = {}
    for place in PLACES:
        depths = storm.rain_mm(SCENARIO, place)
        assert all(depth >= 0 and round(depth / 0.2, 6) == round(depth / 0.2) for depth in depths)
        assert 0 < sum(depths[: storm.PAST_H]) < 80
        totals[place.region] = sum(depths[storm.PAST_H :])
    assert all(total > 0 for total in totals.values())
    # Xiji, Longde and Jingyuan lie under the path of the cell, Yuanzhou and Pengyang 50 km beside it
    assert min(totals["640422"], totals["640423"], totals["640424"]) > 2 * max(
        totals["640402"], totals["640425"]
    )


def test_smooth_cell_rains_what_its_integral_says() -> None:
    """A Gaussian cell that passes at distance d drops peak * R * sqrt(2 pi) / v * exp(-d^2 / 2 R^2)."""
    speed = distance_m(storm.ENTERS, storm.LEAVES) / SCENARIO.hours
    hours = [i / 60 for i in range(int(SCENARIO.hours * 60))]
    lon, lat = (storm.ENTERS.lon + storm.LEAVES.lon) / 2, (storm.ENTERS.lat + storm.LEAVES.lat) / 2
    place = replace(XIJI, lon=lon, lat=lat)
    fallen = sum(storm.cell_mm_h(SCENARIO, place, hour) for hour in hours) / 60
    assert fallen == pytest.approx(
        storm.PEAK_MM_H * storm.RADIUS_M * math.sqrt(2 * math.pi) / speed, rel=0.01
    )


def test_inverse_velocity_falls_on_a_straight_line_to_the_failure() -> None:
    """Fukuzono (1985): with alpha = 2 the line through 1/v meets zero at the time of failure."""
    slope, hours, dt = XIJI.slope, 72.0, 0.01
    assert slope.failure is not None

    def inverse(hour: float) -> float:
        ahead, behind = (storm.displacement_mm(slope, hours, hour + d) for d in (dt, -dt))
        return 2 * dt / (ahead - behind)

    a, b = 20.0, 40.0
    falling = (inverse(b) - inverse(a)) / (b - a)
    assert a - inverse(a) / falling == pytest.approx(slope.failure * hours, rel=1e-4)
    assert 1 / inverse(1.0) == pytest.approx(slope.creep_mm_h)
    with pytest.raises(ValueError, match="failed"):
        storm.displacement_mm(slope, hours, slope.failure * hours)


def test_steps_add_their_heights_to_the_creep() -> None:
    slope = Slope(creep_mm_h=0.5, steps=((0.3, 5.0), (0.6, 4.0)))
    moved = storm.displacement_mm(slope, 24, 24) - storm.displacement_mm(slope, 24, 0)
    assert moved == pytest.approx(0.5 * 24 + 9.0, abs=0.01)


def test_truth_names_the_failure_and_every_fault() -> None:
    truth = list(storm.truth(SCENARIO))
    assert [site["failure"] for site in truth] == [START + timedelta(hours=0.7 * 72), None, None, None, None]
    assert sum(len(site["faults"]) for site in truth) == len(FAULTS)  # type: ignore[arg-type, misc]
    assert all(site["mode"] == "exercise" for site in truth)


def test_gnss_follows_the_truth_within_its_noise_and_ends_with_the_failure() -> None:
    azimuth = math.radians(XIJI.slope.azimuth_deg)
    errors, last = [], START
    for at, results in stations.measured(SCENARIO, XIJI):
        if at <= START or "L1_GP_1/gpsTotalX" not in results:
            continue
        last = at
        true = storm.displacement_mm(XIJI.slope, SCENARIO.hours, (at - START) / timedelta(hours=1))
        errors.append(results["L1_GP_1/gpsTotalX"] - true * math.cos(azimuth))
    rms = math.sqrt(sum(error * error for error in errors) / len(errors))
    assert rms == pytest.approx(storm.GNSS_SIGMA_MM, rel=0.15)
    assert last == START + timedelta(hours=50, minutes=20)


def test_every_planted_fault_is_said_once() -> None:
    kinds = Counter[str]()
    for place in PLACES:
        for at, _ in stations.measured(SCENARIO, place):
            if at > START:
                kinds.update(stations.faults(SCENARIO, place, at))
    gap = kinds.pop("gap")
    lost = kinds.pop("lost")
    assert set(kinds.values()) == {1}
    assert {*kinds, "gap", "lost"} == {fault.kind for fault in FAULTS}
    assert gap == 52  # steps 173 to 224 of ten minutes: 0.40 and 0.52 of 72 h
    assert lost == 129  # steps 303 to 431


def test_planted_faults_are_what_they_are_called() -> None:
    told: dict[tuple[str, str, datetime], list[float]] = defaultdict(list)
    for place in PLACES:
        for message in stations.station(SCENARIO, place):
            try:
                readings = read(message).readings
            except ValueError:
                continue
            for reading in readings:
                if isinstance(reading.result, float) and reading.phenomenon_time is not None:
                    told[reading.thing, reading.datastream, reading.phenomenon_time].append(reading.result)
    twice = {key: results for key, results in told.items() if len(results) > 1}
    same = {thing for (thing, *_), (a, b) in twice.items() if a == b}
    assert same == {"liupan-ex-station-640424"}  # duplicate
    [(a, b)] = [results for results in twice.values() if results[0] != results[1]]
    assert b - a == pytest.approx(0.4)  # revision
    ahead = [key for key in told if key[2] == START + timedelta(hours=SCENARIO.hours + 12)]
    assert [key[0] for key in ahead] == ["liupan-ex-station-640424"]  # future
    north = sorted(r for key, (r, *_) in told.items() if key[:2] == ("liupan-ex-station-640425", "north"))
    assert north[-1] == 99_999  # range
    assert north[-2] - north[-3] > 50  # spike


def test_garbled_frame_is_refused_and_all_others_are_read_whole() -> None:
    refused, things = [], set()
    for message in said(SCENARIO):
        try:
            decoded = read(message)
        except ValueError:
            refused.append(message)
            continue
        assert decoded.problems == ()
        things |= {reading.thing for reading in decoded.readings}
    assert [message.topic for message in refused] == ["$dp"]
    assert things == {place.device for place in PLACES} | {"liupan-ex-station-999999"}


def test_beijing_time_behind_a_z_is_eight_hours_ahead() -> None:
    place = next(place for place in PLACES if place.time_zone == "Asia/Shanghai")
    live = [m for m in stations.station(SCENARIO, place) if m.at > START]
    written = read(live[0]).readings[0].phenomenon_time
    assert written is not None
    assert written - live[0].at == timedelta(hours=8)


def test_everything_registered_says_that_it_is_an_exercise() -> None:
    registry = enrol.exercise()
    for entry in [*registry["sites"], *registry["things"]]:
        assert entry["mode"] == "exercise"
    for entry in [*registry["sites"], *registry["units"]]:
        assert str(entry["name_zh"]).startswith("演练")
        assert str(entry["name_en"]).startswith("Exercise")
    for entry in [*registry["things"], *registry["recipients"]]:
        assert str(entry["name"]).startswith("演练")
    assert all("ex" in str(entry["code"]).lower() for entry in registry["things"])


def test_everyone_who_speaks_is_registered_but_the_planted_stranger() -> None:
    known = {thing["code"] for thing in enrol.exercise()["things"]}
    spoken = set()
    for message in said(SCENARIO):
        try:
            decoded = read(message)
        except ValueError:
            continue
        spoken |= {reading.thing for reading in decoded.readings} or {decoded.device}
    assert spoken - known == {"liupan-ex-station-999999"}


def test_every_datastream_that_is_said_is_registered_but_the_health_of_stations() -> None:
    known = {
        (thing["code"], stream["name"])
        for thing in enrol.exercise()["things"]
        for stream in thing["datastreams"]  # type: ignore[attr-defined]
    }
    for place in PLACES:
        for message in stations.station(SCENARIO, place):
            try:
                readings = read(message).readings
            except ValueError:
                continue
            told = {(r.thing, r.datastream) for r in readings if not r.datastream.startswith("S1_ZT_1")}
            assert told <= known or message.payload.count(b"999999")


def test_fewer_sites_take_part_on_demand_and_nonsense_is_refused() -> None:
    few = Scenario(seed=7, start=START, sites=2)
    assert [site["code"] for site in enrol.exercise(few.places)["sites"]] == ["EX64042201", "EX64042301"]
    with pytest.raises(ValueError, match="1 to 5 sites"):
        Scenario(seed=7, start=START, sites=6)
    with pytest.raises(ValueError, match="lasts"):
        Scenario(seed=7, start=START, hours=1)
    with pytest.raises(ValueError, match="UTC offset"):
        Scenario(seed=7, start=datetime(2026, 7, 20))  # noqa: DTZ001 - a naive time is the point


def test_patrol_walks_at_walking_speed_and_reports_one_lead() -> None:
    messages = list(phones.patrol(SCENARIO))
    kinds = Counter(message.topic.rsplit("/", 1)[1] for message in messages)
    assert (kinds["patrol"], kinds["lead"]) == (2, 1)
    points = [fix for m in messages for fix in read(m).fixes]
    for a, b in pairwise(points):
        assert distance_m(a.position, b.position) / (b.at - a.at).total_seconds() < 1.6
    lead = next(read(m).leads[0] for m in messages if m.topic.endswith("/lead"))
    assert "演练" in lead.note
    assert lead.evidence[0].captured_at == lead.seen_at


def crew() -> phones.Crew:
    return phones.Crew(SCENARIO.random("crew"), lapse=60)


ORDER = {"id": "0198a0e0-0000-7000-8000-000000000001", "incident": "0198a0e0-0000-7000-8000-000000000002",
         "state": "ordered", "mode": "exercise", "distance_m": 8100.0, "ordered_at": START.isoformat(),
         "site": {"code": XIJI.code, "name_zh": "x", "name_en": "x", "lon": XIJI.lon,
                  "lat": XIJI.lat}}  # fmt: skip
DOWN = "liupan/v1/down/liupan-ex-team-1/dispatch"


def test_team_accepts_drives_to_the_site_and_finishes() -> None:
    team = crew()
    messages = list(team.react(DOWN, json.dumps(ORDER).encode(), START))
    states = [decode(m.payload)["state"] for m in messages if m.topic.endswith("/status")]
    assert states == ["accepted", "en_route", "on_scene", "done"]
    fixes = [fix for m in messages for fix in read(m).fixes]
    goal = Position(lon=XIJI.lon, lat=XIJI.lat)
    assert distance_m(fixes[-1].position, goal) < 1
    assert [m.at for m in messages] == sorted(m.at for m in messages)
    for a, b in pairwise(fixes):
        assert distance_m(a.position, b.position) < 2 * phones.DRIVE_M_S * 60
    # the way winds: it is longer than the straight line, but not by much
    way = sum(distance_m(a.position, b.position) for a, b in pairwise(fixes))
    straight = distance_m(fixes[0].position, fixes[-1].position)
    assert 1.0 < way / straight < 1.2
    assert team.whereabouts["liupan-ex-team-1"] == fixes[-1].position


def test_order_that_comes_twice_is_obeyed_once_and_a_cancelled_one_no_longer() -> None:
    team = crew()
    drive = team.react(DOWN, json.dumps(ORDER).encode(), START)
    assert list(team.react(DOWN, json.dumps(ORDER).encode(), START)) == []
    for _ in range(5):
        next(drive)
    assert list(team.react(DOWN, json.dumps({**ORDER, "state": "cancelled"}).encode(), START)) == []
    assert list(drive) == []


@pytest.mark.parametrize(("level", "states"), [("blue", ["received"]), ("red", ["received", "acting"])])
def test_duty_officer_confirms_an_alert(level: str, states: list[str]) -> None:
    alert = {"delivery": "0198a0e0-0000-7000-8000-000000000003", "level": level, "mode": "exercise"}
    topic = "liupan/v1/down/liupan-ex-duty-6404/alert"
    answers = [read(m).answers[0] for m in crew().react(topic, json.dumps(alert).encode(), START)]
    assert [answer.state for answer in answers] == states
    assert {str(answer.subject) for answer in answers} == {alert["delivery"]}
