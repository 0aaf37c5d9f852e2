"""Incidents and teams: who is sent, what their answers change, how it ends, what two processes may not do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from domain.flow import emit, handle
from domain.geo import EARTH_RADIUS_M
from domain.incident import DispatchState, IllegalMove
from domain.settings import Settings
from domain.wire import new_id
from server.registry import register
from warning.cap import Office
from warning.issue import issuer
from warning.response.incident import close_incident, confirm, move, staff
from warning.response.respond import respond
from warning.response.tracking import route_driven

NOW = datetime(2026, 8, 12, 12, 0, tzinfo=UTC)
ISSUE = issuer(Office.of(Settings(state=Path())))

#: one degree along a meridian of the sphere, m
DEGREE_M = EARTH_RADIUS_M * 3.141592653589793 / 180

Make = Callable[..., int]
Say = Callable[..., None]


def unit(conn: Connection[Any], code: str, lat: float, mode: str = "actual") -> None:
    """Register a team that stands on the meridian of the site; its phone is called phone-<code>."""
    phone = {"code": f"phone-{code}", "kind": "phone", "name": code, "region": "640402", "mode": mode}
    team = {
        "code": code, "name_zh": f"{code}队", "name_en": f"team {code}", "region": "640402",
        "device": f"phone-{code}", "lon": 106.2, "lat": lat,
    }  # fmt: skip
    register(conn, {"things": [phone], "units": [team]})


def fix(conn: Connection[Any], code: str, lat: float, at: datetime) -> None:
    conn.execute(
        "INSERT INTO track_point (device, at, lon, lat, region, received_at)"
        " VALUES (%s, %s, 106.2, %s, '640402', now())",
        (f"phone-{code}", at, lat),
    )


def go(conn: Connection[Any]) -> None:
    """Let the alerts out and the response follow."""
    while handle(conn, "issue", ISSUE) + handle(conn, "respond", respond):
        pass


def answer(conn: Connection[Any], subject: object, device: str, state: str, at: datetime = NOW) -> None:
    body = {"device": device, "state": state, "at": at, "id": new_id()}
    emit(conn, "answered", subject=str(subject), region="640402", body=body)
    go(conn)


def dispatches(conn: Connection[Any]) -> list[tuple[str, str]]:
    return conn.execute(
        "SELECT u.code, d.state FROM dispatch d JOIN unit u ON u.id = d.unit ORDER BY d.id"
    ).fetchall()


def only(conn: Connection[Any], query: str) -> Any:
    ((value,),) = conn.execute(query).fetchall()
    return value


def bodies(conn: Connection[Any], kind: str) -> list[dict[str, Any]]:
    query = "SELECT body FROM event WHERE consumer = 'live' AND kind = %s ORDER BY id"
    return [row[0] for row in conn.execute(query, (kind,))]


def failures(conn: Connection[Any]) -> int:
    return int(only(conn, "SELECT coalesce(sum(failures), 0) FROM event"))


@pytest.mark.parametrize(("level", "opened"), [("blue", 0), ("yellow", 0), ("orange", 1), ("red", 1)])
def test_orange_and_red_open_an_incident(
    conn: Connection[Any], site: Make, levelled: Say, level: str, opened: int
) -> None:
    levelled(conn, site(conn), "none", level, 0)
    go(conn)
    assert only(conn, "SELECT count(*) FROM incident") == opened
    expected = [{"site": "yz-1", "mode": "actual", "level": level, "free_units": 0}]
    assert bodies(conn, "opened") == expected * opened


def test_a_site_has_one_open_incident(conn: Connection[Any], site: Make, levelled: Say) -> None:
    number = site(conn)
    levelled(conn, number, "none", "orange", 0)
    levelled(conn, number, "orange", "red", 1)
    go(conn)
    assert only(conn, "SELECT count(*) FROM incident") == 1


def test_the_nearest_by_its_last_fix_is_proposed_and_waits_for_the_commander(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number = site(conn)  # at 36.0 N
    unit(conn, "station", 36.3)
    unit(conn, "drove-off", 36.1)
    unit(conn, "near", 37.0)
    fix(conn, "drove-off", 36.0, NOW)  # was at the site, but
    fix(conn, "drove-off", 38.0, NOW + timedelta(minutes=9))  # has left
    fix(conn, "near", 36.2, datetime.now(UTC) - timedelta(minutes=4))
    levelled(conn, number, "none", "red", 0)
    go(conn)
    assert dispatches(conn) == [("near", "proposed")]
    assert only(conn, "SELECT distance_m FROM dispatch") == pytest.approx(0.2 * DEGREE_M, rel=1e-6)
    zh, en = conn.execute("SELECT reason_zh, reason_en FROM dispatch").fetchall()[0]
    assert zh == "3支空闲队伍中最近：near队，直线距离22.2公里，定位于4分钟前"
    assert en == "nearest of 3 free: team near, 22.2 km as the crow flies, its fix is 4 min old"
    assert only(conn, "SELECT ordered_at FROM dispatch") is None
    dispatch = only(conn, "SELECT id FROM dispatch")
    confirm(conn, dispatch, NOW)
    assert dispatches(conn) == [("near", "ordered")]
    assert only(conn, "SELECT ordered_at FROM dispatch") == NOW
    assert [body["state"] for body in bodies(conn, "dispatched")] == ["proposed", "ordered"]
    with pytest.raises(IllegalMove, match="ordered cannot become ordered"):
        confirm(conn, dispatch, NOW)
    with pytest.raises(LookupError, match="no dispatch"):
        confirm(conn, new_id(), NOW)


def test_without_a_fix_the_station_counts_and_the_reason_says_so(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    unit(conn, "a", 36.1)
    levelled(conn, site(conn), "none", "red", 0)
    go(conn)
    zh, en = conn.execute("SELECT reason_zh, reason_en FROM dispatch").fetchall()[0]
    assert "无定位" in zh and "no fix known" in en


def test_an_exercise_orders_at_once(conn: Connection[Any], site: Make, levelled: Say) -> None:
    unit(conn, "a", 36.1, mode="exercise")
    levelled(conn, site(conn, mode="exercise"), "none", "orange", 0)
    go(conn)
    assert dispatches(conn) == [("a", "ordered")]
    body = bodies(conn, "dispatched")[-1]
    assert (body["unit"], body["state"], body["mode"]) == ("a", "ordered", "exercise")
    assert body["distance_m"] == round(0.1 * DEGREE_M)


def test_a_simulated_team_is_never_sent_to_the_real_thing(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    unit(conn, "simulated", 36.0, mode="exercise")
    unit(conn, "real", 37.0)
    levelled(conn, site(conn), "none", "red", 0)
    go(conn)
    assert dispatches(conn) == [("real", "proposed")]


def test_nobody_free_is_said_and_tried_again(conn: Connection[Any], site: Make, levelled: Say) -> None:
    unit(conn, "a", 36.1)
    unit(conn, "off-duty", 36.0)
    conn.execute("UPDATE unit SET available = false WHERE code = 'off-duty'")
    first, second = site(conn), site(conn, "yz-2", mode="exercise")
    levelled(conn, first, "none", "orange", 0)
    levelled(conn, second, "none", "red", 1)
    go(conn)
    assert dispatches(conn) == [("a", "proposed")]
    assert [body["free_units"] for body in bodies(conn, "opened")] == [1, 0]
    note = "SELECT note_zh || note_en FROM incident WHERE mode = 'exercise'"
    assert "没有空闲队伍" in only(conn, note) and "no team is free" in only(conn, note)
    dispatch = only(conn, "SELECT id FROM dispatch")
    confirm(conn, dispatch, NOW)
    answer(conn, dispatch, "phone-a", "done")
    assert dispatches(conn) == [("a", "done"), ("a", "ordered")]
    assert only(conn, note) == ""


def test_the_gravest_incident_gets_the_first_free_team(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    for code, level in (("yz-1", "orange"), ("yz-2", "orange"), ("yz-3", "red")):
        levelled(conn, site(conn, code), "none", level, 0)
    go(conn)
    unit(conn, "a", 36.1)
    staff(conn, NOW)
    query = (
        "SELECT s.code FROM dispatch d, incident i, hazard_site s WHERE i.id = d.incident AND s.id = i.site"
    )
    assert only(conn, query) == "yz-3"


def test_a_team_that_is_registered_is_proposed_to_who_waits(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    levelled(conn, site(conn), "none", "red", 0)
    go(conn)
    assert dispatches(conn) == []
    phone = {"code": "ph", "kind": "phone", "name": "ph", "region": "640402", "mode": "actual"}
    team = {"code": "new", "name_zh": "新队", "name_en": "New team", "region": "640402", "device": "ph",
            "lon": 106.2, "lat": 36.1}  # fmt: skip
    register(conn, {"things": [phone], "units": [team]})
    assert dispatches(conn) == [("new", "proposed")]


def test_who_declines_makes_room_for_the_next_and_is_not_asked_again(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    for code, lat in (("a", 36.1), ("b", 36.2)):
        unit(conn, code, lat)
    levelled(conn, site(conn, mode="exercise"), "none", "red", 0)
    go(conn)
    answer(conn, only(conn, "SELECT id FROM dispatch"), "phone-a", "declined")
    assert dispatches(conn) == [("a", "declined"), ("b", "ordered")]
    answer(conn, only(conn, "SELECT id FROM dispatch WHERE closed_at IS NULL"), "phone-b", "declined")
    assert dispatches(conn) == [("a", "declined"), ("b", "declined")]
    assert "no team is free" in only(conn, "SELECT note_en FROM incident WHERE closed_at IS NULL")


@pytest.fixture
def ordered(conn: Connection[Any], site: Make, levelled: Say) -> UUID:
    """A dispatch of team a, ordered in an exercise."""
    unit(conn, "a", 36.1)
    levelled(conn, site(conn, mode="exercise"), "none", "red", 0)
    go(conn)
    return UUID(str(only(conn, "SELECT id FROM dispatch")))


def test_answers_move_the_dispatch_to_its_end(conn: Connection[Any], ordered: UUID) -> None:
    at = only(conn, "SELECT ordered_at FROM dispatch")
    for minute, state in enumerate(("accepted", "en_route", "on_scene", "done"), start=1):
        answer(conn, ordered, "phone-a", state, at + timedelta(minutes=minute))
        assert dispatches(conn) == [("a", state)]
    assert only(conn, "SELECT closed_at FROM dispatch") == at + timedelta(minutes=4)
    moves = conn.execute("SELECT state FROM dispatch_move ORDER BY at").fetchall()
    states = ["proposed", "ordered", "accepted", "en_route", "on_scene", "done"]
    assert sorted(state for (state,) in moves) == sorted(states)
    assert [(body["state"], body["mode"]) for body in bodies(conn, "moved")] == [
        (state, "exercise") for state in states[2:]
    ]
    assert only(conn, "SELECT closed_at FROM incident") is None  # the warning stands


def test_answers_out_of_order_are_absorbed(
    conn: Connection[Any], ordered: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for state in ("en_route", "accepted", "declined", "done", "on_scene"):
            answer(conn, ordered, "phone-a", state)
    assert dispatches(conn) == [("a", "done")]
    assert failures(conn) == 0
    ignored = [record.getMessage() for record in caplog.records]
    assert len(ignored) == 3 and "'accepted' of phone-a" in ignored[0] and "cannot become" in ignored[0]


@pytest.mark.parametrize(
    ("device", "state", "subject"),
    [
        ("phone-b", "accepted", None),  # another phone
        ("phone-a", "ordered", None),  # not a phone's to say
        ("phone-a", "flying", None),
        ("phone-a", "accepted", "no uuid"),
        ("phone-a", "accepted", "019aab48-6e00-7000-8000-000000000000"),  # no order
    ],
)
def test_answers_that_make_no_sense_change_nothing(
    conn: Connection[Any], ordered: UUID, device: str, state: str, subject: str | None
) -> None:
    answer(conn, subject or ordered, device, state)
    assert dispatches(conn) == [("a", "ordered")]
    assert failures(conn) == 0


def test_a_clock_that_is_behind_cannot_close_an_order_before_it_was_given(
    conn: Connection[Any], ordered: UUID
) -> None:
    answer(conn, ordered, "phone-a", "done", datetime(2001, 1, 1, tzinfo=UTC))
    assert only(conn, "SELECT closed_at = ordered_at FROM dispatch")


def test_the_incident_closes_when_the_warning_has_ended_and_the_team_is_done(
    conn: Connection[Any], ordered: UUID, site: Make, levelled: Say
) -> None:
    levelled(conn, site(conn, mode="exercise"), "red", "none", 5)
    go(conn)
    assert dispatches(conn) == [("a", "ordered")]  # still at work
    assert only(conn, "SELECT closed_at FROM incident") is None
    answer(conn, ordered, "phone-a", "done")
    assert only(conn, "SELECT closed_at FROM incident") is not None
    assert bodies(conn, "closed") == [{"site": "yz-1", "mode": "exercise"}]


def test_the_end_of_the_warning_takes_a_proposal_back(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    unit(conn, "a", 36.1)
    number = site(conn)
    levelled(conn, number, "none", "red", 0)
    go(conn)
    levelled(conn, number, "red", "none", 1)
    go(conn)
    assert only(conn, "SELECT closed_at FROM incident") is not None
    assert dispatches(conn) == [("a", "cancelled")]


def test_an_alert_that_comes_after_its_cancel_opens_nothing(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number = site(conn)
    levelled(conn, number, "none", "red", 0)
    levelled(conn, number, "red", "none", 1)
    handle(conn, "issue", ISSUE)
    later = "UPDATE event SET not_before = now() + interval '1 day' WHERE id ="
    conn.execute(later + " (SELECT min(id) FROM event WHERE consumer = 'respond')")
    handle(conn, "respond", respond)
    conn.execute("UPDATE event SET not_before = now()")
    handle(conn, "respond", respond)
    assert only(conn, "SELECT count(*) FROM incident") == 0


def test_closing_by_hand_calls_the_team_back(conn: Connection[Any], ordered: UUID) -> None:
    incident = only(conn, "SELECT id FROM incident")
    close_incident(conn, incident, datetime.now(UTC))
    assert dispatches(conn) == [("a", "cancelled")]
    assert bodies(conn, "dispatched")[-1]["state"] == "cancelled"
    with pytest.raises(LookupError, match="is open"):
        close_incident(conn, incident, NOW)
    with pytest.raises(IllegalMove):
        move(conn, ordered, DispatchState.DONE, NOW)


def test_a_receipt_is_kept_once_and_only_from_the_phone_that_was_told(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    levelled(conn, site(conn), "none", "blue", 0)
    go(conn)
    delivery = new_id()
    conn.execute(
        "INSERT INTO delivery SELECT %s, id, 'mqtt', 'phone-x', region, now() FROM alert", (delivery,)
    )
    answer(conn, delivery, "phone-y", "received")
    for state in ("received", "received", "acting"):
        answer(conn, delivery, "phone-x", state)
    receipts = conn.execute("SELECT delivery, state, at FROM receipt ORDER BY state").fetchall()
    assert receipts == [(delivery, "acting", NOW), (delivery, "received", NOW)]
    assert failures(conn) == 0


def test_the_way_it_drove_is_its_fixes_between_order_and_end(conn: Connection[Any], ordered: UUID) -> None:
    at = only(conn, "SELECT ordered_at FROM dispatch")
    for minute, lat in ((-5, 35.0), (0, 36.10), (10, 36.05), (20, 36.00), (30, 35.5)):
        fix(conn, "a", lat, at + timedelta(minutes=minute))
    assert len(route_driven(conn, ordered).points) == 4  # still open: until now
    answer(conn, ordered, "phone-a", "done", at + timedelta(minutes=20))
    route = route_driven(conn, ordered)
    assert [point.position.lat for point in route.points] == [36.10, 36.05, 36.00]
    assert route.length_m == pytest.approx(0.1 * DEGREE_M, rel=1e-6)
    with pytest.raises(LookupError):
        route_driven(conn, new_id())


def test_a_proposal_has_no_route(conn: Connection[Any], site: Make, levelled: Say) -> None:
    unit(conn, "a", 36.1)
    fix(conn, "a", 36.1, NOW)
    levelled(conn, site(conn), "none", "red", 0)
    go(conn)
    assert route_driven(conn, only(conn, "SELECT id FROM dispatch")).points == ()


def test_two_processes_never_send_one_team_twice(database_url: str, site: Make, levelled: Say) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for i in range(12):
            levelled(conn, site(conn, f"site-{i}", mode="exercise"), "none", "red", 0)
        for i in range(8):
            unit(conn, f"team-{i}", 36.0 + i / 100)
        handle(conn, "issue", ISSUE)

        def work() -> None:
            with psycopg.connect(database_url, autocommit=True) as own:
                while handle(own, "respond", respond, limit=1):
                    pass

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = dispatches(conn)
        assert sorted(code for code, _ in sent) == [f"team-{i}" for i in range(8)]
        assert {state for _, state in sent} == {"ordered"}
        assert only(conn, "SELECT count(DISTINCT incident) FROM dispatch") == 8
        assert only(conn, "SELECT count(*) FROM incident WHERE note_en <> ''") == 4
        assert failures(conn) == 0
