"""Changes of level become a chain of alerts, once each, in the order of phenomenon time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lxml import etree
from psycopg import Connection
from psycopg.rows import namedtuple_row

from domain.flow import handle
from domain.settings import Settings
from domain.wire import new_id
from warning.cap import NAMESPACE, Office
from warning.cap_check import check
from warning.issue import issuer

CAP = {"c": NAMESPACE}
ISSUE = issuer(Office.of(Settings(state=Path())))

Make = Callable[..., int]
Say = Callable[..., None]


def issue(conn: Connection[Any]) -> None:
    while handle(conn, "issue", ISSUE):
        pass


def alerts(conn: Connection[Any]) -> list[Any]:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute("SELECT * FROM alert ORDER BY sent, length(identifier), identifier").fetchall()


def text(xml: str, name: str) -> str:
    return etree.fromstring(xml).findtext(f"c:{name}", "", CAP)


@pytest.fixture(scope="session")
def schema(data: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(data / "cap" / "CAP-v1.2.xsd"))


def test_a_warning_lives_as_alert_updates_and_cancel(
    conn: Connection[Any], site: Make, levelled: Say, schema: etree.XMLSchema
) -> None:
    number = site(conn)
    path = ["none", "blue", "orange", "yellow", "red", "none", "yellow"]
    for minute, (before, after) in enumerate(pairwise(path)):
        levelled(conn, number, before, after, minute)
    issue(conn)
    chain = alerts(conn)
    assert [a.message_type for a in chain] == ["Alert", "Update", "Update", "Update", "Cancel", "Alert"]
    assert [a.level for a in chain] == [1, 3, 2, 4, 0, 2]
    assert [a.refers_to for a in chain] == [None, *(a.id for a in chain[:4]), None]
    for earlier, alert in zip([None, *chain], chain, strict=False):
        schema.assertValid(etree.fromstring(alert.cap))
        assert check(alert.cap) == []
        told = earlier and ",".join(text(earlier.cap, name) for name in ("sender", "identifier", "sent"))
        assert text(alert.cap, "references") == (told if alert.refers_to else "")
        assert text(alert.cap, "msgType") == alert.message_type
        assert text(alert.cap, "identifier") == alert.identifier
        assert (alert.expires - alert.sent).total_seconds() == 24 * 3600
    assert (
        "升级" in chain[1].headline_zh and "降为" in chain[2].headline_zh and "解除" in chain[4].headline_zh
    )


def test_each_alert_is_told_to_its_consumers_in_the_same_transaction(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    levelled(conn, site(conn), "none", "orange", 0)
    issue(conn)
    (alert,) = alerts(conn)
    rows = conn.execute("SELECT consumer, subject, region, body FROM event WHERE kind = 'alerted'").fetchall()
    assert {row[0] for row in rows} == {"fan_out", "publish", "respond", "live"}
    assert {row[1:3] for row in rows} == {(str(alert.id), "640402")}
    assert rows[0][3] == {
        "identifier": alert.identifier, "message_type": "Alert", "level": "orange", "site": "yz-1",
        "mode": "actual", "headline_zh": alert.headline_zh, "headline_en": alert.headline_en,
    }  # fmt: skip


def test_the_same_change_twice_is_told_once(conn: Connection[Any], site: Make, levelled: Say) -> None:
    number = site(conn)
    for _ in range(2):
        levelled(conn, number, "none", "orange", 0)
    issue(conn)
    assert len(alerts(conn)) == 1
    for _ in range(2):
        levelled(conn, number, "orange", "none", 1)
    issue(conn)
    assert [a.message_type for a in alerts(conn)] == ["Alert", "Cancel"]


def test_an_older_change_never_overrides_a_newer_alert(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number = site(conn)
    levelled(conn, number, "yellow", "red", 10)
    levelled(conn, number, "none", "yellow", 5)
    levelled(conn, number, "yellow", "none", 6)
    issue(conn)
    assert [(a.message_type, a.level) for a in alerts(conn)] == [("Alert", 4)]


def test_a_second_sensor_may_raise_the_level_within_one_time(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number = site(conn)
    levelled(conn, number, "none", "yellow", 0)
    levelled(conn, number, "yellow", "red", 0)
    levelled(conn, number, "red", "orange", 0)
    issue(conn)
    newest = conn.execute("SELECT level FROM newest_alert").fetchall()
    assert [a.level for a in alerts(conn)] == [2, 4, 3] and newest == [(3,)]


def test_the_end_of_what_was_never_told_is_not_told(conn: Connection[Any], site: Make, levelled: Say) -> None:
    levelled(conn, site(conn), "blue", "none", 0)
    issue(conn)
    assert alerts(conn) == []


def test_sites_do_not_share_a_chain(conn: Connection[Any], site: Make, levelled: Say) -> None:
    for code in ("a", "b"):
        levelled(conn, site(conn, code), "none", "red", 0)
    issue(conn)
    assert [a.message_type for a in alerts(conn)] == ["Alert", "Alert"]


def test_the_reasons_and_the_people_stand_in_the_description(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number, assessment = site(conn, threatened=12345), new_id()
    conn.execute(
        "INSERT INTO assessment VALUES (%s, %s, '640402', now(), 3, 'landslide', 1, '{}', %s, %s, now())",
        (assessment, number, "累计位移<20>毫米。", "20 mm & more."),
    )
    levelled(conn, number, "none", "orange", 0, assessment)
    issue(conn)
    (alert,) = alerts(conn)
    zh, en = (e.text or "" for e in etree.fromstring(alert.cap).iterfind("c:info/c:description", CAP))
    assert "：累计位移<20>毫米。受威胁群众12345人。" in zh
    assert ": 20 mm & more. People under threat: 12345." in en
    assert alert.assessment == assessment


@pytest.mark.parametrize("name", ["<坡> & \"a\" 'b'", "长" * 3000, "\x02ctrl"])
def test_weird_names_make_valid_alerts(
    conn: Connection[Any], site: Make, levelled: Say, schema: etree.XMLSchema, name: str
) -> None:
    levelled(conn, site(conn, name_zh=name, name_en=name, contact=name), "none", "red", 0)
    issue(conn)
    (alert,) = alerts(conn)
    schema.assertValid(etree.fromstring(alert.cap))
    assert check(alert.cap) == []


def test_a_site_that_becomes_real_starts_a_chain_of_its_own(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    number = site(conn, mode="exercise")
    levelled(conn, number, "none", "yellow", 0)
    issue(conn)
    site(conn, mode="actual")
    levelled(conn, number, "yellow", "red", 1)
    issue(conn)
    drill, real = alerts(conn)
    assert (drill.mode, text(drill.cap, "status")) == ("exercise", "Exercise")
    assert (real.mode, text(real.cap, "status"), real.message_type) == ("actual", "Actual", "Alert")
    assert real.refers_to is None and "演练" not in real.cap


def test_an_exercise_ends_as_an_exercise(conn: Connection[Any], site: Make, levelled: Say) -> None:
    number = site(conn, mode="exercise")
    levelled(conn, number, "none", "yellow", 0)
    issue(conn)
    site(conn, mode="actual")
    levelled(conn, number, "yellow", "none", 1)
    issue(conn)
    drill, end = alerts(conn)
    assert (end.message_type, end.mode, end.refers_to) == ("Cancel", "exercise", drill.id)
    assert end.headline_zh.startswith("【演练】")


def test_an_unknown_site_stands_alone_with_its_reason(
    conn: Connection[Any], site: Make, levelled: Say
) -> None:
    levelled(conn, 999_999, "none", "red", 0)
    levelled(conn, site(conn), "none", "red", 0)
    issue(conn)
    assert len(alerts(conn)) == 1
    failed = conn.execute("SELECT last_failure FROM event WHERE consumer = 'issue' AND done_at IS NULL")
    assert failed.fetchall() == [("LookupError: no hazard site has the number 999999",)]


def test_identifiers_stay_unique_when_two_processes_issue_at_once(
    database_url: str, site: Make, levelled: Say
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        for i in range(60):
            levelled(conn, site(conn, f"site-{i}"), "none", "orange", 0)

        def work() -> None:
            with psycopg.connect(database_url, autocommit=True) as own:
                while handle(own, "issue", ISSUE, limit=3):
                    pass

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [a.identifier for a in alerts(conn)]
        assert len(set(found)) == 60
        assert all(re.fullmatch(r"64000000000000_\d{14}_\d+", identifier) for identifier in found)
        failures = conn.execute("SELECT sum(failures) FROM event WHERE consumer = 'issue'").fetchone()
        assert failures == (0,)
