"""Deliveries over a real broker: told once each, retried alone, told again until the phone answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from domain.flow import handle
from domain.wire import down_topic
from server.registry import register
from warning import channels
from warning.delivery import deliverer, fan_out
from warning.response.order import orderer
from warning.response.respond import respond

REGION = "640402"

Make = Callable[..., int]
Say = Callable[..., None]
Open = Callable[..., AbstractContextManager[Any]]


def column(conn: Connection[Any], query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def phones(conn: Connection[Any], *devices: str, prefix: str = "64") -> None:
    things = [{"code": d, "kind": "phone", "name": d, "region": REGION} for d in devices]
    told = [{"name": d, "channel": "mqtt", "address": d, "region": prefix} for d in devices]
    register(conn, {"things": things, "recipients": told})


@pytest.fixture
def device() -> str:
    return f"phone-{uuid4().hex[:8]}"


def test_a_phone_is_told_everything_it_shows(
    conn: Connection[Any], broker: str, device: str, listening: Open, connected: Open, raise_level: Make
) -> None:
    phones(conn, device)
    raise_level(conn, mode="exercise")
    with listening(broker, down_topic(device, "alert")) as ear, connected(broker) as client:
        handle(conn, "fan_out", fan_out)
        assert handle(conn, "deliver", deliverer(client, channels.load())) == 1
        heard = ear.next()
    row = conn.execute(
        "SELECT d.id::text, d.sent_at IS NOT NULL, a.identifier, a.headline_zh, a.headline_en,"
        " a.instruction_zh, a.instruction_en FROM delivery d JOIN alert a ON a.id = d.alert"
    ).fetchone()
    assert row is not None and row[1]
    assert (heard["delivery"], heard["alert"]) == (row[0], row[2])
    names = ("headline_zh", "headline_en", "instruction_zh", "instruction_en")
    assert tuple(heard[name] for name in names) == row[3:]
    assert (heard["mode"], heard["message_type"], heard["level"]) == ("exercise", "Alert", "orange")
    assert heard["site"]["code"] == "yz-1" and heard["site"]["polygon"][0] == [106.1, 36.0]
    assert heard["threatened"] == 45 and heard["expires"] > heard["sent"]
    delivered = conn.execute("SELECT subject, body FROM event WHERE kind = 'delivered'").fetchall()
    assert delivered == [
        (row[0], {"channel": "mqtt", "address": device, "alert": row[2], "mode": "exercise"})
    ]


def test_recipients_are_those_whose_prefix_begins_the_region_once_each(
    conn: Connection[Any], raise_level: Make
) -> None:
    for device, prefix in (("all", ""), ("ningxia", "64"), ("county", "640402"), ("else", "6401")):
        phones(conn, device, prefix=prefix)
    phones(conn, "county", prefix="64")
    raise_level(conn)
    handle(conn, "fan_out", fan_out)
    assert column(conn, "SELECT address FROM delivery ORDER BY 1") == ["all", "county", "ningxia"]
    assert column(conn, "SELECT count(*) FROM event WHERE kind = 'due'") == [3]
    conn.execute("UPDATE event SET done_at = NULL WHERE consumer = 'fan_out'")
    handle(conn, "fan_out", fan_out)
    assert column(conn, "SELECT count(*) FROM event WHERE kind = 'due'") == [3]
    assert column(conn, "SELECT sum(failures) FROM event") == [0]


def test_one_bad_delivery_holds_up_no_other(
    conn: Connection[Any], broker: str, device: str, listening: Open, connected: Open, raise_level: Make
) -> None:
    phones(conn, device)
    conn.execute(
        "INSERT INTO recipient (name, channel, address, region)"
        " VALUES ('x', 'mqtt', 'no/device', ''), ('y', 'pigeon', 'z', '')"
    )
    raise_level(conn)
    handle(conn, "fan_out", fan_out)
    with listening(broker, down_topic(device, "alert")) as ear, connected(broker) as client:
        handle(conn, "deliver", deliverer(client, channels.load()))
        assert ear.next()["level"] == "orange"
    assert column(conn, "SELECT address FROM delivery WHERE sent_at IS NOT NULL") == [device]
    failed = column(conn, "SELECT last_failure FROM event WHERE kind = 'due' AND failures = 1 ORDER BY 1")
    assert failed[0].startswith("LookupError: no channel 'pigeon'")
    assert failed[1].startswith("ValueError: 'no/device'")


def planned(conn: Connection[Any], kind: str) -> list[tuple[int, int]]:
    """Which repeats wait for their time: (how often it was sent, seconds to go)."""
    query = (
        "SELECT (body->>'tries')::int, extract(epoch FROM not_before - now())::int FROM event"
        " WHERE kind = %s AND done_at IS NULL AND not_before > now() ORDER BY 1"
    )
    return conn.execute(query, (kind,)).fetchall()


def now(conn: Connection[Any]) -> None:
    """Let the time come that events wait for."""
    conn.execute("UPDATE event SET not_before = now() WHERE done_at IS NULL")


def test_a_phone_that_says_nothing_is_told_the_same_again_and_ever_more_rarely(
    conn: Connection[Any], broker: str, device: str, listening: Open, connected: Open, raise_level: Make
) -> None:
    phones(conn, device)
    raise_level(conn)
    handle(conn, "fan_out", fan_out)
    with listening(broker, down_topic(device, "alert")) as ear, connected(broker) as client:
        deliver = deliverer(client, channels.load())
        heard = []
        for tries, seconds in ((1, 15), (2, 60), (3, 300), (4, 900), (5, 900)):
            handle(conn, "deliver", deliver)
            heard.append(ear.next()["delivery"])
            assert planned(conn, "due") == [(tries, seconds)]
            now(conn)
        assert len(set(heard)) == 1
        assert column(conn, "SELECT count(*) FROM event WHERE kind = 'delivered'") == [1]
        conn.execute("INSERT INTO receipt SELECT id, 'received', now() FROM delivery")
        handle(conn, "deliver", deliver)
        assert planned(conn, "due") == []
        assert ear.heard.empty()


@pytest.mark.parametrize("over", ["newer", "expired"])
def test_what_no_longer_holds_is_not_told_again(
    conn: Connection[Any],
    broker: str,
    device: str,
    levelled: Say,
    connected: Open,
    raise_level: Make,
    issue: Say,
    over: str,
) -> None:
    phones(conn, device)
    number = raise_level(conn)
    handle(conn, "fan_out", fan_out)
    with connected(broker) as client:
        deliver = deliverer(client, channels.load())
        handle(conn, "deliver", deliver)
        if over == "newer":
            levelled(conn, number, "orange", "red", 1)
            issue(conn)
        else:
            conn.execute("UPDATE alert SET expires = now()")
        now(conn)
        assert handle(conn, "deliver", deliver) == 1
    assert planned(conn, "due") == []


def test_a_team_is_told_again_until_it_answers(
    conn: Connection[Any], broker: str, device: str, listening: Open, connected: Open, raise_level: Make
) -> None:
    phones(conn, device)
    team = {
        "code": device, "name_zh": "一队", "name_en": "one", "region": REGION, "device": device,
        "lon": 106.2, "lat": 36.1,
    }  # fmt: skip
    register(conn, {"units": [team]})
    raise_level(conn, mode="exercise")
    handle(conn, "respond", respond)
    with listening(broker, down_topic(device, "dispatch")) as ear, connected(broker) as client:
        order = orderer(client)
        for tries, seconds in ((1, 15), (2, 60)):
            handle(conn, "order", order)
            assert ear.next()["state"] == "ordered"
            assert planned(conn, "unanswered") == [(tries, seconds)]
            now(conn)
        conn.execute("UPDATE dispatch SET state = 'accepted'")
        handle(conn, "order", order)
        assert planned(conn, "unanswered") == []
        assert ear.heard.empty()


def test_a_channel_without_send_fails_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(channels.load()) == {"mqtt"}
    (tmp_path / "fax.py").write_text('"""No send."""\n')
    monkeypatch.setattr(channels, "__path__", [str(tmp_path)])
    with pytest.raises(AttributeError, match="send"):
        channels.load()
