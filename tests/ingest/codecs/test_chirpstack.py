"""ChirpStack v4 events as its integration writes them; the shapes are those of its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.geo import Position
from ingest.codecs import chirpstack
from ingest.decoded import Decoded

NOW = datetime(2026, 8, 12, tzinfo=UTC)
#: nanoseconds, which Rust writes, are cut to microseconds
TIME, AT = "2022-07-18T09:34:15.775023242+00:00", datetime(2022, 7, 18, 9, 34, 15, 775023, UTC)
DEVICE = {
    "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
    "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97",
    "deviceProfileName": "Test device-profile",
    "deviceName": "Test device",
    "devEui": "0101010101010101",
    "tags": {"key": "value"},
}
COMMON = {"deduplicationId": "c9dbe358-2578-4fb7-b295-66b44edc45a6", "time": TIME, "deviceInfo": DEVICE}
UP = {
    **COMMON,
    "devAddr": "00189440",
    "adr": True,
    "dr": 1,
    "fCnt": 4,
    "fPort": 1,
    "confirmed": False,
    "data": "qg==",
    "rxInfo": [
        {"gatewayId": "a", "uplinkId": 4217106255, "rssi": -97, "snr": 9.75},
        {"gatewayId": "b", "uplinkId": 4217106256, "rssi": -48, "snr": 6.5},
        {"gatewayId": "c", "uplinkId": 4217106257},
    ],
    "txInfo": {"frequency": 868500000},
}


def decode(event: str, message: object) -> Decoded:
    topic = f"application/17c82e96/device/0101010101010101/event/{event}"
    return chirpstack.decode(topic, json.dumps(message).encode(), NOW)


def results(decoded: Decoded) -> dict[str, Any]:
    assert {reading.thing for reading in decoded.readings} == {"0101010101010101"}
    assert {reading.phenomenon_time for reading in decoded.readings} <= {AT}
    return {reading.datastream: reading.result for reading in decoded.readings}


def test_an_uplink_is_its_numbers_by_path_and_its_radio() -> None:
    content = {"rain": 0.2, "tilt": {"x": 1, "y": -2.5}, "acc": [1, 2], "temp_SOIL": "13.25", "dry": True,
               "state": "ok", "none": None}  # fmt: skip
    decoded = decode("up", {**UP, "object": content})
    assert decoded.problems == ()
    assert results(decoded) == {
        "fCnt": 4, "rssi": -48, "snr": 6.5, "rain": 0.2, "tilt/x": 1, "tilt/y": -2.5, "acc/0": 1, "acc/1": 2,
        "temp_SOIL": 13.25, "dry": "true", "state": "ok",
    }  # fmt: skip
    units = {reading.datastream: reading.unit for reading in decoded.readings if reading.unit}
    assert units == {"rssi": "dBm", "snr": "dB"}


def test_an_uplink_that_chirpstack_did_not_decode_keeps_its_radio_and_says_what_to_do() -> None:
    decoded = decode("up", UP)
    assert results(decoded) == {"fCnt": 4, "rssi": -48, "snr": 6.5}
    assert len(decoded.problems) == 1
    assert decoded.problems[0].startswith("fPort 1: ChirpStack did not decode the payload: give the device")


def test_an_empty_uplink_is_a_sign_of_life() -> None:
    """Zeros are left out: the first uplink has no fCnt, an empty one no data."""
    message = {name: value for name, value in UP.items() if name not in ("fCnt", "data", "fPort")}
    decoded = decode("up", {**message, "rxInfo": [{"rssi": -30}]})
    assert (results(decoded), decoded.problems) == ({"fCnt": 0, "rssi": -30, "snr": 0}, ())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": float("nan"), "b": 1}, "object.a: nan is not finite"),
        ({"a": 10**400, "b": 1}, "object.a: "),
        ({"rssi": -1, "b": 1}, "the datastream 'rssi' is the radio's own"),
    ],
)
def test_one_bad_value_leaves_the_others(content: dict[str, Any], reason: str) -> None:
    decoded = decode("up", {**UP, "object": content})
    assert results(decoded) == {"fCnt": 4, "rssi": -48, "snr": 6.5, "b": 1}
    assert len(decoded.problems) == 1
    assert reason in decoded.problems[0]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"margin": 10, "batteryLevel": 75.5}, {"margin": 10, "battery": 75.5}),
        ({"margin": -3, "batteryLevelUnavailable": True}, {"margin": -3}),
        ({"externalPowerSource": True}, {"margin": 0, "power": "external"}),
        ({}, {"margin": 0, "battery": 0}),
    ],
)
def test_a_status_is_battery_and_margin(status: dict[str, Any], expected: dict[str, Any]) -> None:
    decoded = decode("status", {**COMMON, **status})
    assert (results(decoded), decoded.problems) == (expected, ())


@pytest.mark.parametrize(
    ("event", "more", "about"),
    [
        ("join", {"devAddr": "00189440"}, ""),
        ("ack", {"queueItemId": "b", "acknowledged": True, "fCntDown": 4}, ""),
        ("txack", {"queueItemId": "b", "fCntDown": 4, "gatewayId": "a"}, ""),
        (
            "log",
            {"level": "ERROR", "code": "UPLINK_CODEC", "description": "x is not defined"},
            "UPLINK_CODEC",
        ),
        ("integration", {"integrationName": "loracloud", "eventType": "modem", "object": {"a": 1}}, "modem"),
    ],
)
def test_what_happened_in_the_network_is_kept(event: str, more: dict[str, Any], about: str) -> None:
    decoded = decode(event, {**COMMON, **more})
    [said] = decoded.reports
    assert (said.device, said.kind, said.about, said.at) == ("0101010101010101", event, about, AT)
    assert said.body == {**COMMON, **more}
    assert (decoded.readings, decoded.problems) == ((), ())


def test_a_place_that_the_network_found() -> None:
    place = {"latitude": 36.01, "longitude": 106.2, "altitude": 1700, "accuracy": 50}
    [fix] = decode("location", {**COMMON, "location": place}).fixes
    assert (fix.device, fix.at, fix.accuracy_m) == ("0101010101010101", AT, 50)
    assert fix.position == Position(lon=106.2, lat=36.01, altitude_m=1700)


@pytest.mark.parametrize(
    ("event", "message", "reason"),
    [
        ("up", {**UP, "deviceInfo": {}}, "devEui is missing"),
        ("up", {**UP, "deviceInfo": {"devEui": ""}}, "devEui is empty"),
        ("up", {**UP, "time": "soon"}, "time: 'soon' is no time"),
        ("up", [UP], "expected a JSON object"),
        ("down", UP, "the topic ends in 'down', which is no event of ChirpStack v4"),
    ],
)
def test_what_is_no_event(event: str, message: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(event, message)


def test_without_a_time_it_is_that_of_receipt() -> None:
    decoded = decode("up", {**UP, "time": None, "object": {"rain": 1}})
    assert {reading.phenomenon_time for reading in decoded.readings} == {None}
