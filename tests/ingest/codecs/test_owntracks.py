"""OwnTracks: locations with all the dirt that phones write, and all else that they report."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nacl.secret import SecretBox

from domain.geo import Position
from domain.patrol import TrackPoint
from ingest.codecs import owntracks
from ingest.decoded import Decoded, Report

NOW = datetime(2026, 8, 12, tzinfo=UTC)
LOCATION: dict[str, Any] = {"_type": "location", "lat": 35.99, "lon": 106.25, "tst": 1786000000}
AT = datetime(2026, 8, 6, 7, 6, 40, tzinfo=UTC)


def decode(message: object) -> Decoded:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return owntracks.decode("owntracks/mei/ph-3", payload, NOW)


def test_a_full_location() -> None:
    full = {
        **LOCATION,
        "acc": 12,
        "alt": 1780,
        "vel": 36,
        "cog": 270,
        "batt": 71,
        "tid": "ph",
        "created_at": 1786000900,
    }
    place = Position(lon=106.25, lat=35.99, altitude_m=1780)
    extra = {"tid": "ph", "created_at": 1786000900, "battery": 71}
    fix = TrackPoint(
        device="mei/ph-3", at=AT, position=place, accuracy_m=12, speed_m_s=10, course_deg=270, extra=extra
    )  # fmt: skip
    assert decode(full) == Decoded(device="mei/ph-3", fixes=(fix,))


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"tst": "1786000000"}, "at", AT),
        ({"tst": 1786000000.0}, "at", AT),
        ({"tst": 1786000000250}, "at", AT.replace(microsecond=250_000)),
        ({"tst": "1786000000250"}, "at", AT.replace(microsecond=250_000)),
        ({"acc": -1}, "accuracy_m", None),
        ({"acc": 0.0}, "accuracy_m", 0),
        ({"acc": 5000}, "accuracy_m", 5000),
        ({"vel": -1}, "speed_m_s", None),
        ({"vel": 18.0}, "speed_m_s", 5),
        ({"cog": -1}, "course_deg", None),
        ({"batt": -1}, "extra", None),
        ({"batt": 80.0, "fake": False}, "extra", {"battery": 80, "fake": False}),
        ({"alt": -11.5}, "position", Position(lon=106.25, lat=35.99, altitude_m=-11.5)),
        ({}, "position", Position(lon=106.25, lat=35.99)),
        ({}, "accuracy_m", None),
    ],
)
def test_dirt_that_is_understood(change: dict[str, Any], field: str, expected: object) -> None:
    decoded = decode({**LOCATION, **change})
    assert decoded.problems == ()
    assert getattr(decoded.fixes[0], field) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lat": None}, "lat is missing"),
        ({"lat": "35.99"}, "lat: '35.99' is no number"),
        ({"lat": 90.5}, "latitude 90.5 is outside"),
        ({"lon": -181}, "longitude -181.0 is outside"),
        ({"lon": float("nan")}, "lon: nan is not finite"),
        ({"tst": None}, "tst is missing"),
        ({"tst": "soon"}, "tst: 'soon' is no number"),
        ({"tst": -1e18}, "out of range"),
        ({"_type": 5}, "_type: 5 is no type"),
        ({"_type": "location "}, "_type: 'location ' is no type"),
        ({"_type": ["location"]}, "_type: ['location'] is no type"),
        ({"_type": "lwt", "tst": None}, "tst is missing"),
        ({"acc": "12"}, "acc: '12' is no number"),
        ({"acc": 1e300}, "accuracy_m 1e+300 is nothing that a device can measure"),
        ({"tag": "a\0b"}, "cannot be stored: the character NUL"),
        ({"tag": "\ud800"}, "cannot be stored"),
        ({"p": float("inf")}, "cannot be stored"),
    ],
)
def test_dirt_that_is_not(change: dict[str, Any], reason: str) -> None:
    decoded = decode([LOCATION, {**LOCATION, **change}])
    assert len(decoded.fixes) == 1
    assert len(decoded.problems) == 1
    assert decoded.problems[0].startswith("[1]: ")
    assert reason in decoded.problems[0]


def test_nothing_and_no_json() -> None:
    assert decode(b"") == decode([]) == Decoded(device="mei/ph-3")
    for payload in (b"\n\n", b"lat,lon", b"\xff", b"[" * 20_000):
        with pytest.raises(ValueError, match="not JSON"):
            decode(payload)


def report(message: dict[str, Any]) -> Report:
    decoded = decode(message)
    assert (decoded.fixes, decoded.problems) == ((), ())
    return decoded.reports[0]


def test_a_zone_that_was_entered() -> None:
    """`transition.json` of the project's JSON schema."""
    said = {"_type": "transition", "acc": 6, "created_at": 1701264373, "desc": "blukii", "event": "enter",
            "lat": 61.195709, "lon": 9.688233, "rid": "c00b92", "t": "b", "tid": "SG", "tst": 1701264368,
            "wtst": 1610104404}  # fmt: skip
    body = {name: value for name, value in said.items() if name not in ("_type", "created_at")}
    place = Position(lon=9.688233, lat=61.195709)
    assert report(said) == Report(
        device="mei/ph-3", kind="transition", at=datetime(2023, 11, 29, 13, 26, 8, tzinfo=UTC),
        about="enter blukii", position=place, body=body,
    )  # fmt: skip
    assert report({**said, "created_at": 1701264999, "_id": "x"}) == report(said), "the same, sent again"


@pytest.mark.parametrize(
    ("message", "kind", "about", "at"),
    [
        ({"_type": "waypoint", "desc": "here", "lat": 77, "lon": 66, "rad": 500, "tst": 1505910709000},
         "waypoint", "here", datetime(2017, 9, 20, 12, 31, 49, tzinfo=UTC)),
        ({"_type": "waypoints", "waypoints": [{"_type": "waypoint"}]}, "waypoints", "", None),
        ({"_type": "lwt", "tst": 1786000000}, "lwt", "", AT),
        ({"_type": "card", "name": "VW", "face": "YWJj"}, "card", "VW", None),
        ({"_type": "status", "android": {"hib": 0, "bo": 1, "loc": 2}}, "status", "", None),
        ({"_type": "steps", "from": 1700002800, "steps": -1, "to": 1700058960, "tst": 1786000000},
         "steps", "", AT),
        ({"_type": "beacon", "desc": "b", "uuid": "u", "major": 1, "minor": 2, "tst": 1786000000},
         "beacon", "b u 1 2", AT),
        ({"_type": "cmd", "action": "reportLocation"}, "cmd", "reportLocation", None),
        ({"_type": "request", "request": "tours"}, "request", "tours", None),
    ],
)  # fmt: skip
def test_every_kind_is_kept(message: dict[str, Any], kind: str, about: str, at: datetime | None) -> None:
    said = report(message)
    assert (said.kind, said.about, said.at) == (kind, about, at)
    assert said.body == {name: value for name, value in message.items() if name != "_type"}


def test_secrets_of_a_phone_are_not_kept() -> None:
    configuration = {
        "host": "h",
        "password": "pw",
        "encryptionKey": "k",
        "auth": True,
    }
    kept = {**configuration, "password": "***", "encryptionKey": "***"}
    inside = {"configuration": configuration, "action": "setConfiguration"}
    assert report({"_type": "configuration", **configuration}).body == kept
    assert report({"_type": "dump", **inside}).body == {**inside, "configuration": kept}
    assert report({"_type": "cmd", **inside}).body == {**inside, "configuration": kept}


def test_a_place_that_a_person_has_marked() -> None:
    decoded = decode({**LOCATION, "poi": "裂缝", "image": "YWJj", "imagename": "a.jpg"})
    [fix], [said] = decoded.fixes, decoded.reports
    assert fix.extra == {"poi": "裂缝"}, "the picture is in the report"
    assert (said.kind, said.about, said.at, said.position) == ("poi", "裂缝", AT, fix.position)
    assert said.body == {"poi": "裂缝", "image": "YWJj", "imagename": "a.jpg"}


def test_many_fixes_of_one_second_are_several() -> None:
    """owntracks/android issue 317: after a reconnection many fixes carry one time."""
    decoded = decode([LOCATION, {**LOCATION, "lat": 35.991}, {**LOCATION, "created_at": 1786000001}])
    keys = {(fix.device, fix.at, fix.position.lon, fix.position.lat) for fix in decoded.fixes}
    assert (len(decoded.fixes), len(keys), decoded.problems) == (3, 2, ())


#: a passphrase as a person sets it in the app
KEY = "geheim"


def sealed(message: object, key: str = KEY) -> dict[str, str]:
    box = SecretBox(key.encode() + bytes(32 - len(key)))
    data = box.encrypt(json.dumps(message).encode(), bytes(range(24)))
    return {"_type": "encrypted", "data": base64.b64encode(data).decode()}


def test_an_encrypted_message_is_read_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUPAN_OWNTRACKS_KEY", KEY)
    assert decode(sealed(LOCATION)) == decode(LOCATION)
    assert decode([sealed(LOCATION), LOCATION]).fixes == decode([LOCATION, LOCATION]).fixes


@pytest.mark.parametrize(
    ("key", "message", "reason"),
    [
        ("", sealed(LOCATION), "set LIUPAN_OWNTRACKS_KEY"),
        ("k" * 33, sealed(LOCATION), "1 to 32 bytes"),
        ("other", sealed(LOCATION), "another key than LIUPAN_OWNTRACKS_KEY, or damaged"),
        (KEY, {"_type": "encrypted", "data": "YWJjZGUK"}, "or damaged"),
        (KEY, {"_type": "encrypted", "data": "abcd!?&%"}, "data: 'abcd!?&%' is no base64"),
        (KEY, {"_type": "encrypted", "data": "\u00e4"}, "is no base64"),
        (KEY, {"_type": "encrypted"}, "data is missing"),
        (KEY, sealed(sealed(LOCATION)), "encrypted twice"),
        (KEY, sealed([LOCATION]), "expected a JSON object"),
    ],
)
def test_an_encrypted_message_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, key: str, message: object, reason: str
) -> None:
    monkeypatch.setenv("LIUPAN_OWNTRACKS_KEY", key)
    decoded = decode([message, LOCATION])
    assert (len(decoded.fixes), len(decoded.problems)) == (1, 1)
    assert reason in decoded.problems[0]


@pytest.mark.parametrize(
    ("topic", "message", "device"),
    [
        ("http/owntracks/mei/ph-3", LOCATION, "mei/ph-3"),
        ("http/owntracks/mei/ph-3", {**LOCATION, "topic": "owntracks/other/one"}, "mei/ph-3"),
        ("http/owntracks//", {**LOCATION, "topic": "owntracks/mei/ph-3"}, "mei/ph-3"),
        ("http/owntracks/mei/", {**LOCATION, "topic": "owntracks/mei/ph-3/event"}, "mei/ph-3"),
    ],
)
def test_by_http_the_message_may_name_its_sender(topic: str, message: object, device: str) -> None:
    decoded = owntracks.decode(topic, json.dumps(message).encode(), NOW)
    assert (decoded.device, decoded.fixes[0].device) == (device, device)


@pytest.mark.parametrize("message", [LOCATION, {**LOCATION, "topic": "x/y/z"}, {**LOCATION, "topic": 5}])
def test_by_http_somebody_must_be_named(message: object) -> None:
    with pytest.raises(ValueError, match="nobody is named as the sender"):
        owntracks.decode("http/owntracks/mei/", json.dumps(message).encode(), NOW)


FILES = """
    array-empty array-nothing array-one array card-invalid-b64 card-volvo card-vw card-without-all
    card-without-face card-without-name cmd-clearWaypoints cmd-dump cmd-illegal-action cmd-reportLocation
    cmd-reportSteps cmd-setConfiguration-badconfiguration cmd-setConfiguration-config-notype
    cmd-setConfiguration-config-wrongtype cmd-setConfiguration-lock cmd-setConfiguration-noconfiguration
    cmd-setConfiguration-unlock cmd-setWaypoints-delete cmd-setWaypoints-illegal cmd-setWaypoints-update
    cmd-setWaypoints cmd-status cmd-waypoints cmd-without-action e-nobase64 e-nodata e l l2 location-5s
    location-lat-missing location-short location-sk lwt-extra lwt-notst lwt object-empty one status
    steps-kaputt steps-long-invalid steps-long steps-nohave steps tour-invalid-request tour tours-request
    tours-response-0 tours-response-2 transition-illegal-lat transition untour-illegal untour w
    waypoint-circular waypoints-follow-only
"""
NAMES = FILES.split()


def verdicts(data: Path) -> dict[str, str]:
    lines = (data / "owntracks/VERDICTS.txt").read_text().splitlines()[1:]
    pairs = [(line.partition(": ")[0], line.partition(": ")[2].split()) for line in lines]
    return {name: verdict for verdict, names in pairs for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_of_the_schema_holds(data: Path, name: str) -> None:
    """VERDICTS.txt: what is valid becomes one fix or report, what is invalid is told, nothing else."""
    payload = (data / f"owntracks/test/{name}.json").read_bytes()
    match verdicts(data).get(f"{name}.json"):
        case "unreadable":
            with pytest.raises(ValueError, match="not JSON"):
                decode(payload)
        case "valid":
            decoded = decode(payload)
            assert (len(decoded.fixes) + len(decoded.reports), decoded.problems) == (1, ())
            assert len(decoded.fixes) == (name in ("array-one", "l", "l2") or name.startswith("location"))
        case "invalid":
            decoded = decode(payload)
            assert (len(decoded.fixes) + len(decoded.reports), len(decoded.problems)) == (0, 1)
        case _:  # arrays, which the schema of one message does not judge
            decoded = decode(payload)
            kinds = [said.kind for said in decoded.reports]
            assert (len(decoded.fixes), kinds, decoded.problems) == (
                (1, ["lwt"], ()) if name == "array" else (0, [], ())
            )


def test_no_file_is_left_out(data: Path) -> None:
    assert {file.stem for file in (data / "owntracks/test").glob("*.json")} == set(NAMES)
    assert verdicts(data).keys() <= {f"{name}.json" for name in NAMES}
    assert len(verdicts(data)) == 58
