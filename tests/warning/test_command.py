"""Commands on a real database and broker: sent, repeated, given up, answered, and never across modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import Connection

from domain.flow import Handler, emit, handle
from domain.incident import IllegalMove
from domain.reply import fields
from server.registry import register
from warning.command import AT_ALL, WAITS_S, ask, cancel, commander

KEY = "e7eb73db9cc982caeb1f"


@pytest.fixture
def code() -> str:
    return f"7{uuid4().int % 10**8}"


@pytest.fixture
def db(conn: Connection[Any], code: str) -> Connection[Any]:
    station = {"code": code, "kind": "station", "name": code, "region": "640402", "mode": "exercise"}
    register(conn, {"things": [{**station, "apikey": KEY}]})
    return conn


@pytest.fixture
def ear(
    broker: str, code: str, listening: Callable[[str, str], AbstractContextManager[Any]]
) -> Iterator[Any]:
    """A real client that hears what the station would hear."""
    with listening(broker, f"$creq/{code}/+") as ear:
        yield ear


@pytest.fixture
def handler(broker: str, connected: Callable[..., AbstractContextManager[Client]]) -> Iterator[Handler]:
    with connected(broker) as client:
        yield commander(client)


def work(db: Connection[Any], handler: Handler) -> int:
    """Handle what is due, as if every delay were over."""
    db.execute("UPDATE event SET not_before = now() WHERE done_at IS NULL")
    return handle(db, "command", handler)


def state(db: Connection[Any], id: UUID) -> tuple[Any, ...]:
    [row] = db.execute("SELECT state, tries, reason FROM command WHERE id = %s", (id,)).fetchall()
    return tuple(row)


def failures(db: Connection[Any]) -> list[str]:
    return [text for (text,) in db.execute("SELECT last_failure FROM event WHERE last_failure IS NOT NULL")]


def reply(db: Connection[Any], id: UUID, device: str, result: str, reason: str = "") -> None:
    """Emit what ingest emits when a station has replied."""
    body = {"device": device, "result": result, "reason": reason, "reply": f"$cmd=x&result={result}",
            "at": datetime.now(UTC)}  # fmt: skip
    emit(db, "replied", subject=str(id), region="640402", body=body)


def test_it_is_sent_with_key_and_msgid_and_waits_for_its_reply(
    db: Connection[Any], code: str, ear: Any, handler: Handler
) -> None:
    id = ask(db, code, "emergency", {}, "duty")
    assert work(db, handler) == 1
    message = ear.heard.get(timeout=10)
    assert (message.topic, message.qos, message.retain) == (f"$creq/{code}/cmd", 1, False)
    assert message.payload == f"$cmd=setworkmode&mode=2&apikey={KEY}&msgid={id}".encode()
    assert state(db, id) == ("sent", 1, "")
    reply(db, id, code, "succ")
    assert handle(db, "command", handler) == 1
    assert state(db, id) == ("succeeded", 1, "")
    told = db.execute(
        "SELECT body ->> 'state' FROM event WHERE kind = 'advanced' AND subject = %s ORDER BY id", (str(id),)
    )
    assert told.fetchall() == [("sent",), ("succeeded",)]
    assert work(db, handler) == 1
    assert ear.heard.empty(), "an answered command was sent again"
    assert KEY not in str(db.execute("SELECT body FROM event").fetchall())


def test_without_a_reply_it_is_repeated_with_the_same_msgid_and_then_given_up(
    db: Connection[Any], code: str, ear: Any, handler: Handler
) -> None:
    id = ask(db, code, "status", {}, "duty")
    for tries, wait_s in enumerate(WAITS_S, start=1):
        assert work(db, handler) == 1
        assert fields(ear.heard.get(timeout=10).payload.decode())["msgid"] == str(id)
        assert state(db, id)[:2] == ("sent", tries)
        row = db.execute(
            "SELECT extract(epoch FROM not_before - now())::int FROM event WHERE done_at IS NULL"
            " AND kind = 'unreplied'"
        ).fetchall()
        assert row == [(wait_s,)]
    assert work(db, handler) == 1
    assert state(db, id) == (
        "timed_out", 3, "no reply to 3 sendings within 12 min; a late one still counts")  # fmt: skip
    assert (work(db, handler), ear.heard.empty()) == (0, True)
    reply(db, id, code, "succ")
    handle(db, "command", handler)
    assert state(db, id) == ("succeeded", 3, "")


@pytest.mark.parametrize("tries", [0, 1])
def test_what_could_not_be_sent_in_time_is_not_sent_any_more(
    db: Connection[Any], code: str, ear: Any, handler: Handler, tries: int
) -> None:
    id = ask(db, code, "speak", {"text": "撤离", "times": 1}, "duty")
    for _ in range(tries):
        work(db, handler)
        assert ear.heard.get(timeout=10)
    db.execute("UPDATE command SET asked_at = asked_at - %s", (AT_ALL,))
    assert work(db, handler) == 1
    assert state(db, id)[:2] == ("timed_out", tries)
    assert ("no reply to 1 sendings" if tries else "could not be sent within 12 min") in state(db, id)[2]
    assert ear.heard.empty()


@pytest.mark.parametrize(
    ("reason", "tries", "told"),
    [
        ("", 1, "the device answered fail"),
        ("修改链路编号不存在", 1, "修改链路编号不存在"),
        ("", 2, "the device answered fail; it was sent 2 times, the device may have obeyed one before"),
    ],
)
def test_a_device_that_fails_says_why(
    db: Connection[Any], code: str, handler: Handler, reason: str, tries: int, told: str
) -> None:
    id = ask(db, code, "status", {}, "duty")
    for _ in range(tries):
        work(db, handler)
    reply(db, id, code, "fail", reason)
    handle(db, "command", handler)
    assert state(db, id) == ("failed", tries, told)


def test_the_first_reply_stays(db: Connection[Any], code: str, handler: Handler) -> None:
    id = ask(db, code, "status", {}, "duty")
    work(db, handler)
    for result in ("succ", "fail", "succ"):
        reply(db, id, code, result)
    handle(db, "command", handler)
    assert state(db, id)[0] == "succeeded"
    assert failures(db) == []


def test_a_reply_of_another_device_changes_nothing(db: Connection[Any], code: str, handler: Handler) -> None:
    id = ask(db, code, "status", {}, "duty")
    work(db, handler)
    reply(db, id, "somebody", "succ")
    handle(db, "command", handler)
    assert state(db, id)[0] == "sent"
    assert failures(db) == [f"ValueError: a reply of somebody to the command {id}, which is for {code}"]


def test_a_station_that_has_become_real_gets_no_command_of_the_exercise(
    db: Connection[Any], code: str, ear: Any, handler: Handler
) -> None:
    new, sent = (ask(db, code, "speak", {"text": "撤离", "times": 1}, "drill") for _ in range(2))
    db.execute("DELETE FROM event WHERE subject = %s", (str(new),))
    assert work(db, handler) == 1
    assert ear.heard.get(timeout=10)
    emit(db, "commanded", subject=str(new))
    db.execute("UPDATE thing SET mode = 'actual' WHERE code = %s", (code,))
    assert work(db, handler) == 2
    for id in (new, sent):
        assert state(db, id)[0::2] == ("cancelled", f"{code} is actual now, the command is exercise")
    assert ear.heard.empty()


def test_a_key_that_was_taken_away_ends_the_command(
    db: Connection[Any], code: str, ear: Any, handler: Handler
) -> None:
    id = ask(db, code, "status", {}, "duty")
    db.execute("UPDATE thing SET apikey = ''")
    work(db, handler)
    assert state(db, id) == ("cancelled", 0, f"{code} has no apikey any more")
    assert ear.heard.empty()


def test_what_is_cancelled_is_not_sent_and_may_still_be_answered(
    db: Connection[Any], code: str, ear: Any, handler: Handler
) -> None:
    id = ask(db, code, "status", {}, "duty")
    cancel(db, id, "duty")
    assert work(db, handler) == 1
    assert state(db, id) == ("cancelled", 0, "cancelled by duty")
    assert ear.heard.empty()
    reply(db, id, code, "succ")
    handle(db, "command", handler)
    assert state(db, id)[0] == "succeeded"
    with pytest.raises(IllegalMove, match="a command that is succeeded cannot become cancelled"):
        cancel(db, id, "duty")
    with pytest.raises(LookupError, match="no command"):
        cancel(db, uuid4(), "duty")


def test_without_a_broker_it_stays_pending(db: Connection[Any], code: str) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    id = ask(db, code, "status", {}, "duty")
    handle(db, "command", commander(client))
    assert state(db, id) == ("pending", 0, "")
    assert failures(db) == ["ConnectionError: not connected to the broker"]


def test_what_cannot_be_asked_is_refused_at_once(db: Connection[Any], code: str) -> None:
    with pytest.raises(LookupError, match="there is no thing 'nowhere'"):
        ask(db, "nowhere", "status", {}, "duty")
    with pytest.raises(ValueError, match="mode: 7 is not 0 正常 normal"):
        ask(db, code, "setworkmode", {"mode": 7}, "duty")
    assert db.execute("SELECT count(*) FROM command").fetchone() == (0,)
