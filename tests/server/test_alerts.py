"""What people were told."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

OTHER = "cccccccc-0000-7000-8000-000000000000"


def identifiers(client: TestClient, **params: str | int) -> list[str]:
    return [alert["identifier"] for alert in client.get("/alerts", params=params).json()]


def test_alerts_the_newest_first(reader: TestClient) -> None:
    assert identifiers(reader) == ["alert-B", "alert-A"]
    assert identifiers(reader, site="site-A") == ["alert-A"]
    assert identifiers(reader, after="alert-B") == ["alert-A"]
    assert identifiers(reader, limit=1) == ["alert-B"]


@pytest.mark.parametrize(
    ("message_type", "at", "expires", "in_force"),
    [
        ("Update", "2026-07-01 01:00Z", "2100-01-01Z", ["update", "alert-B"]),
        ("Cancel", "2026-07-01 01:00Z", "2100-01-01Z", ["alert-B"]),
        ("Update", "2026-07-01 01:00Z", "2026-07-01 02:00Z", ["alert-B"]),
        ("Update", "2026-06-30Z", "2100-01-01Z", ["alert-B", "alert-A"]),
    ],
    ids=["updated", "cancelled", "expired", "late"],
)
def test_in_force_is_the_last_word_on_each_site_while_it_holds(
    client: TestClient, database_url: str, message_type: str, at: str, expires: str, in_force: list[str]
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE alert SET expires = '2100-01-01Z'")
        conn.execute("CREATE TEMPORARY TABLE new AS SELECT * FROM alert WHERE identifier = 'alert-A'")
        conn.execute(
            "UPDATE new SET refers_to = id, id = %s, identifier = 'update', message_type = %s, at = %s,"
            " expires = %s",
            (OTHER, message_type, at, expires),
        )
        conn.execute("INSERT INTO alert SELECT * FROM new")
    assert identifiers(client, in_force=True) == in_force
    assert identifiers(client) == ["update", "alert-B", "alert-A"]
    assert client.get("/alerts/update").json()["refers_to"] == "alert-A"


def test_one_alert_says_whom_it_reached(reader: TestClient) -> None:
    alert = reader.get("/alerts/alert-A").json()
    assert (alert["level"], alert["headline_zh"], alert["instruction_en"]) == ("orange", "题-A", "do-A")
    (delivery,) = alert["deliveries"]
    assert (delivery["channel"], delivery["address"], delivery["sent_at"]) == ("mqtt", "phone-A", None)
    assert [receipt["state"] for receipt in delivery["receipts"]] == ["received"]


def test_an_alert_as_cap(reader: TestClient) -> None:
    response = reader.get("/alerts/alert-A.xml")
    assert response.headers["content-type"] == "application/cap+xml"
    assert response.text == "<alert>-A</alert>"
    assert reader.get("/alerts/alert-C.xml").status_code == 404
