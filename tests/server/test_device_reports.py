"""What devices report: alarms, zones, states; over HTTP and as a line for people."""

from __future__ import annotations

import psycopg
from fastapi.testclient import TestClient

from server.told import told


def test_reports_of_a_device_the_last_stored_first(client: TestClient, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO device_report (device, kind, about, at, lon, lat, body, region, mode, received_at)"
            " SELECT 'phone-A', 'transition', 'enter ' || n, '2026-07-01Z', 106, 36,"
            " '{\"event\": \"enter\"}', '640402', 'actual', now() FROM generate_series(1, 3) n"
        )
    found = client.get("/device-reports", params={"device": "phone-A"}).json()
    assert [report["about"] for report in found] == ["enter 3", "enter 2", "enter 1", "sos"]
    first = found[0]
    assert (first["kind"], first["lon"], first["lat"]) == ("transition", 106, 36)
    assert first["body"] == {"event": "enter"}
    alarms = client.get("/device-reports", params={"kind": "alarm"}).json()
    assert {report["device"] for report in alarms} == {"phone-A", "phone-B"}
    page = client.get(
        "/device-reports", params={"device": "phone-A", "limit": 2, "after": found[0]["id"]}
    ).json()
    assert page == found[1:3]


def test_a_report_is_told_in_both_languages() -> None:
    event = {"subject": "ph-1", "body": {"kind": "alarm", "about": "sos", "mode": "exercise"}}
    assert told("device_reported", event, "zh") == "[演练] 求救/报警 ph-1 sos"
    assert told("device_reported", event, "en") == "[exercise] ALARM of ph-1 sos"
    other = {"subject": "ph-1", "body": {"kind": "steps", "about": "", "mode": "actual"}}
    assert told("device_reported", other, "en") == "steps of ph-1"
