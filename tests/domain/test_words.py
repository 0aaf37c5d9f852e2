"""The types of the domain: what they hold, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.alert import Level
from domain.case import Case
from domain.geo import Position
from domain.incident import ANSWERS, MOVES, DispatchState, IllegalMove, check_move
from domain.lead import Evidence, Lead
from domain.patrol import Patrol, TrackPoint
from domain.thing import PARTITIONS, Observation, partition_of

ID = UUID(int=7)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
HERE = Position(lon=106, lat=36)
SHA256 = "0123456789abcdef" * 4


def test_levels_are_ordered_and_have_their_words() -> None:
    assert [level.word for level in sorted(Level)] == ["none", "blue", "yellow", "orange", "red"]
    assert [level.zh for level in sorted(Level)] == ["无", "蓝色", "黄色", "橙色", "红色"]
    assert [Level.of(level.word) for level in Level] == list(Level)
    with pytest.raises(ValueError, match="level 'purple' is none of none, blue, yellow, orange, red"):
        Level.of("purple")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Observation(datastream=1, phenomenon_time=NAIVE, result=0),
        lambda: TrackPoint(device="x", at=NAIVE, position=HERE),
        lambda: Patrol(id=ID, device="x", inspector="y", started_at=NAIVE),
        lambda: Patrol(id=ID, device="x", inspector="y", started_at=NOON, ended_at=NAIVE),
        lambda: Lead(id=ID, device="x", kind="dumping", position=HERE, seen_at=NAIVE),
        lambda: Evidence(id=ID, sha256=SHA256, media_type="image/jpeg", size=1, captured_at=NAIVE),
        lambda: Case(id=ID, number="1", lead=ID, region="640402", step="x", opened_at=NAIVE),
    ],
)
def test_a_time_without_offset_is_refused_everywhere(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="has no UTC offset"):
        make()


@pytest.mark.parametrize("value", [1e300, -1e7, float("nan"), float("inf")])
def test_a_fix_with_a_number_that_nothing_measures_is_refused(value: float) -> None:
    for name in ("accuracy_m", "speed_m_s", "course_deg"):
        with pytest.raises(ValueError, match=rf"{name} .* is nothing that a device can measure"):
            TrackPoint(device="x", at=NOON, position=HERE, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"altitude_m .* is nothing that a device can measure"):
        TrackPoint(device="x", at=NOON, position=Position(lon=1, lat=1, altitude_m=value))


def test_a_patrol_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="the patrol ends before it starts"):
        Patrol(id=ID, device="x", inspector="y", started_at=NOON, ended_at=NOON.replace(hour=11))


def test_an_unknown_kind_of_lead_is_refused() -> None:
    with pytest.raises(ValueError, match="kind of lead 'gossip' is none of illegal_mining, "):
        Lead(id=ID, device="x", kind="gossip", position=HERE, seen_at=NOON)


@pytest.mark.parametrize("sha256", ["", SHA256[:-1], SHA256.upper(), "g" * 64])
def test_a_seal_that_is_none_is_refused(sha256: str) -> None:
    with pytest.raises(ValueError, match="sha256 must be 64 lower-case hex digits"):
        Evidence(id=ID, sha256=sha256, media_type="image/jpeg", size=1, captured_at=NOON)


def test_every_partition_gets_its_share_of_the_sites() -> None:
    partitions = [partition_of(site) for site in range(4 * PARTITIONS)]
    assert {partitions.count(partition) for partition in range(PARTITIONS)} == {4}


@pytest.mark.parametrize(
    ("present", "wanted"),
    [("proposed", "ordered"), ("ordered", "accepted"), ("ordered", "declined"), ("accepted", "en_route"),
     ("en_route", "on_scene"), ("on_scene", "done"), ("ordered", "done"), ("accepted", "cancelled")],
)  # fmt: skip
def test_a_legal_move(present: str, wanted: str) -> None:
    check_move(DispatchState(present), DispatchState(wanted))


@pytest.mark.parametrize(
    ("present", "wanted", "told"),
    [
        (
            "proposed",
            "accepted",
            "proposed cannot become accepted; possible: cancelled, ordered",
        ),
        ("on_scene", "en_route", "possible: cancelled, done"),
        ("done", "cancelled", "possible: nothing: it is closed"),
        ("ordered", "ordered", "a dispatch that is ordered cannot become ordered"),
    ],
)
def test_an_illegal_move_says_what_is_possible(present: str, wanted: str, told: str) -> None:
    with pytest.raises(IllegalMove, match=told):
        check_move(DispatchState(present), DispatchState(wanted))


def test_every_open_state_can_be_left_and_a_phone_gives_no_orders() -> None:
    assert set(MOVES) == set(DispatchState)
    closed = {DispatchState.DECLINED, DispatchState.DONE, DispatchState.CANCELLED}
    assert {state for state, following in MOVES.items() if not following} == closed
    assert not ANSWERS & {DispatchState.PROPOSED, DispatchState.ORDERED, DispatchState.CANCELLED}
