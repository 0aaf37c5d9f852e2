"""Who is in doubt, or when: several devices in one payload, and Beijing time behind a Z, in every form."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.wire import up_topic
from ingest.store import Outcome
from server.registry import register

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
STORED = Outcome(kept=True, reason="")

Put = Callable[..., list[Outcome]]


def dp(body: object, kind: int = 2) -> tuple[str, bytes]:
    text = json.dumps(body).encode()
    return "$dp", bytes([kind]) + len(text).to_bytes(2, "big") + text


def ahead(**delta: float) -> str:
    return (RECEIVED + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def stored(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT t.code, o.phenomenon_time, o.result FROM observation o"
        " JOIN datastream d ON d.id = o.datastream JOIN thing t ON t.id = d.thing ORDER BY 1, 2, 3"
    ).fetchall()


def test_several_devices_in_one_payload_must_all_be_registered(enrolled: Connection[Any], put: Put) -> None:
    both = dp({"st-a": {"L1_LF_1": 1}, "st-b": {"L1_LF_1": 2}})
    assert put(both) == [STORED]
    [outcome] = put(dp({"st-a": {"L1_LF_1": {ahead(hours=-1): 3}}, "st-c": {"L1_LF_1": 4}}))
    assert not outcome.kept
    assert outcome.reason.startswith(
        "names 2 devices, which must all be registered, and 'st-c' is not registered"
    )
    assert [(code, result) for code, _, result in stored(enrolled)] == [("st-a", 1.0), ("st-b", 2.0)]
    thing = {"code": "st-c", "kind": "station", "name": "new", "region": "640402"}
    register(enrolled, {"things": [thing]})
    assert put(dp({"st-a": {"L1_LF_1": {ahead(hours=-1): 3}}, "st-c": {"L1_LF_1": 4}}), now_s=5) == [STORED]


#: forms of one result at a time: every one of them writes its time in UTC
FORMS: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "frame": lambda at: dp({"st-a": {"L1_LF_1": {at: 1.5}}}),
    "old number": lambda at: dp({"st-a": {"L1_LF_1": {at: 1.5}}}, 4),
    "empty file": lambda at: ("$dp", dp({"st-a": {"L1_LF_1": {at: 1.5}}})[1] + b"\0\0"),
    "bare": lambda at: ("$dp", dp({"st-a": {"L1_LF_1": {at: 1.5}}})[1][3:]),
    "control character": lambda at: ("$dp", b"\x10" + dp({"st-a": {"L1_LF_1": {at: 1.5}}})[1][3:]),
    "text": lambda at: dp({"st-a": {"L1_LF_1": {at.removesuffix("Z"): "1.5"}}}),
    "beidou": lambda at: ("http/beidou/card", beidou(json.dumps({"st-a": {"L1_LF_1": {at: 1.5}}}))),
    "own": lambda at: (
        up_topic("st-a", "observation"),
        json.dumps({"datastream": "L1_LF_1/value", "phenomenon_time": at, "result": 1.5}).encode(),
    ),
}


def beidou(text: str) -> bytes:
    table = str.maketrans("0123456789ABCDEF", '!{W];)t8"Bei(G\\?')
    return text.encode().hex().upper().translate(table).encode()


@pytest.mark.parametrize("form", FORMS)
def test_eight_hours_ahead_says_what_to_set(enrolled: Connection[Any], put: Put, form: str) -> None:
    message = FORMS[form](ahead(hours=8, minutes=-5))
    [outcome] = put(message)
    assert not outcome.kept
    assert stored(enrolled) == []
    assert "about 8 h ahead of its receipt" in outcome.reason
    assert "set its time_zone to Asia/Shanghai with `liupan import FILE`" in outcome.reason
    enrolled.execute("UPDATE thing SET time_zone = 'Asia/Shanghai' WHERE code = 'st-a'")
    assert put(message, now_s=61) == [STORED]
    assert stored(enrolled) == [("st-a", RECEIVED - timedelta(minutes=5), 1.5)]


@pytest.mark.parametrize(
    ("hours", "right"), [(6.9, True), (7, False), (8, False), (8.16, False), (8.2, True), (12, True)]
)
def test_only_times_that_fit_beijing_are_refused(
    enrolled: Connection[Any], put: Put, hours: float, right: bool
) -> None:
    """Others may be a clock that is wrong: they are stored, and flagged as from the future."""
    [outcome] = put(dp({"st-a": {"L1_LF_1": {ahead(hours=hours): 1.5}}}))
    assert outcome.kept is right


def test_all_of_a_payload_waits_and_nothing_of_other_devices(enrolled: Connection[Any], put: Put) -> None:
    """What was measured hours ago looks right, and is as wrong."""
    history = {ahead(hours=hours): hours for hours in (-20, -4, 2, 7.9)}
    [outcome] = put(
        dp({"st-a": {"L1_LF_1": history, "L3_QW_1": 5}, "st-b": {"L1_LF_1": {ahead(hours=-1): 9}}})
    )
    assert outcome.kept
    assert stored(enrolled) == [("st-b", RECEIVED - timedelta(hours=1), 9.0)]


def test_a_time_with_its_own_offset_is_believed(enrolled: Connection[Any], put: Put) -> None:
    assert put(dp({"st-a": {"L1_LF_1": {"2026-08-12T10:55:00+08:00": 1.5}}})) == [STORED]
    assert stored(enrolled) == [("st-a", RECEIVED - timedelta(minutes=5), 1.5)]


def test_the_registered_unit_and_zone_hold_in_every_form(enrolled: Connection[Any], put: Put) -> None:
    enrolled.execute(
        "INSERT INTO datastream (thing, name, unit)"
        " SELECT id, 'L1_JS_1/gX', 'g' FROM thing WHERE code = 'st-beijing'"
    )
    forms: list[Any] = [{"gX": 0.5}, "0.5,,", {ahead(hours=8): {"gX": "0.5"}}]
    for number, form in enumerate(forms):
        assert put(dp({"st-beijing": {"L1_JS_1": form}}), at=RECEIVED + timedelta(minutes=number)) == [STORED]
    units = enrolled.execute(
        "SELECT name, unit FROM datastream WHERE name LIKE 'L1_JS_1%' ORDER BY 1"
    ).fetchall()
    assert units == [("L1_JS_1/gX", "g")]
    assert {result for *_, result in stored(enrolled)} == {0.5}
