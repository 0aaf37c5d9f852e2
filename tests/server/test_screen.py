"""What the terminal view shows of a picture, in both languages."""

from __future__ import annotations

from collections import deque
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from server.screen import View, render, to_go
from server.told import LINES, told
from server.watch import Picture

AT = "2026-07-20T00:00:00+00:00"
SITE = {"code": "EX1", "name_zh": "演练·西吉滑坡", "name_en": "Exercise: Xiji landslide",
        "level": "orange", "as_of": AT, "lon": 105.79, "lat": 36.02}  # fmt: skip
DISPATCH: dict[str, Any] = {
    "unit": "U1", "unit_name_zh": "演练·西吉救援队", "unit_name_en": "Exercise team Xiji",
    "state": "en_route", "closed_at": None, "moves": [],
}  # fmt: skip
INCIDENT: dict[str, Any] = {
    "id": "i", "site_name_zh": "演练·西吉滑坡", "site_name_en": "Exercise: Xiji landslide", "level": "orange",
    "lon": 105.79, "lat": 36.02, "note_zh": "", "note_en": "", "dispatches": [DISPATCH],
}  # fmt: skip


def picture() -> Picture:
    results = {"L3_YL_1/totalValue": ("", 120.4), "L1_GP_1/gpsTotalX": ("displacement_x", 30.0),
               "L1_GP_1/gpsTotalY": ("displacement_y", 40.0)}  # fmt: skip
    return Picture(
        sites=[SITE],
        latest=[
            {"site": "EX1", "datastream": name, "observed_property": observed, "unit": "mm", "result": result}
            for name, (observed, result) in results.items()
        ],
        alerts=[{"sent": AT, "level": "orange", "message_type": "Alert", "headline_zh": "西吉橙色预警",
                 "headline_en": "Orange alert Xiji"}],
        incidents=[INCIDENT],
        units=[{"code": "U1", "lon": 105.79, "lat": 36.07}],
        assessments=[{"at": AT, "level": "red", "site": "EX1", "reason_zh": "位移快", "reason_en": "fast"}],
        leads=[{"seen_at": AT, "kind": "dumping", "note": "演练:取土 / exercise: digging", "case": "c"}],
        cases=[{"id": "c", "number": "演练-1", "step": "accepted"}],
        counts={"observations": 25119, "revisions": 1, "flags": {"range": 2}, "rejected": 3},
    )  # fmt: skip


def test_brackets_are_no_markup() -> None:
    view = View(lang="en", url="", state=Path(), pids=dict, lines=deque(["[exercise] team [/red]: done"]))
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(view))
    assert "[exercise] team [/red]: done" in console.export_text()


def shown(lang: str, seen: Picture) -> str:
    view = View(
        lang=lang, url="http://127.0.0.1:1", state=Path("state"), pids=lambda: {"ingest": 4711}, picture=seen
    )
    console = Console(width=160, record=True, file=StringIO())
    console.print(render(view))
    return console.export_text()


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("zh", ["演练", "西吉滑坡", "橙色", "120.4", "50", "西吉橙色预警", "途中", "距现场 5.6 km", 
                "演练-1 · 受理", "位移快", "25119", "存疑 2", "ingest 4711", "liupan doctor"]),
        ("en", ["EXERCISE", "Xiji landslide", "orange", "120.4", "50", "Orange alert Xiji", "en_route",
                "to go 5.6 km", "digging", "25119", "doubtful 2", "Ctrl-C"]),
    ],
)  # fmt: skip
def test_screen_shows_what_the_picture_holds(lang: str, words: list[str]) -> None:
    text = shown(lang, picture())
    for word in words:
        assert word in text


def test_screen_of_nothing_says_so() -> None:
    assert shown("en", Picture()).count("nothing yet") == 6


def test_team_that_is_done_has_no_way_to_go() -> None:
    assert to_go(picture(), INCIDENT, {**DISPATCH, "closed_at": AT}, "en") == ""


BODY: dict[str, Any] = {
    "from": "blue", "to": "orange", "level": "orange", "message_type": "Alert", "headline_zh": "题",
    "headline_en": "head", "unit": "U1", "state": "ordered", "distance_m": 8100, "reason": "why",
    "site": "EX1", "address": "phone-1", "kind": "dumping", "device": "phone-2", "number": "N-1",
    "step": "accepted", "ended_at": None, "mode": "exercise", "thing": "st-1", "datastreams": ["rain"],
    "jumped": [],
    "since": "2026-08-12T03:00:00+00:00", "about": "sos",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(LINES))
def test_every_told_event_has_a_line_that_says_exercise(kind: str) -> None:
    event = {"subject": "EX1", "region": "640422", "at": AT, "body": BODY}
    assert told(kind, event, "zh").startswith("[演练] ")
    assert told(kind, event, "en").startswith("[exercise] ")
    assert not told(kind, {**event, "body": {**BODY, "mode": "actual"}}, "en").startswith("[")


def test_a_jump_before_a_silence_is_to_be_verified() -> None:
    event = {"subject": "st-1", "body": BODY}
    assert "verify" not in told("silent", event, "en")
    event["body"] = {**BODY, "jumped": ["crack"]}
    assert told("silent", event, "en").endswith("; the last of crack was a jump: verify")
    assert told("silent", event, "zh").endswith(";crack 最后一条为突变,请核实")


def test_events_that_come_too_often_have_no_line() -> None:
    assert told("tracked", {"subject": "phone", "body": {}}, "zh") == ""
