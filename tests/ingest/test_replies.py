"""Replies on a real PostgreSQL: whose they are, what they measured, what is refused, and what came before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.wire import new_id
from ingest.rejected import listed
from ingest.store import Outcome

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
STORED = Outcome(kept=True, reason="")
Put = Callable[..., list[Outcome]]


@pytest.fixture
def asked(enrolled: Connection[Any]) -> Callable[..., str]:
    """Give a command to a station with a key of its own; return its msgid."""

    def ask(name: str, device: str = "st-a") -> str:
        enrolled.execute("UPDATE thing SET apikey = 'key-' || code WHERE kind = 'station'")
        id = new_id()
        enrolled.execute(
            "INSERT INTO command (id, thing, region, name, params, mode, state, asked_by, asked_at)"
            " SELECT %s, id, region, %s, %s, mode, 'sent', 'test', now() FROM thing WHERE code = %s",
            (id, name, Jsonb({}), device),
        )
        return str(id)

    return ask


def reply(text: str, msgid: str, key: str = "key-st-a") -> tuple[str, bytes]:
    return "$dr", f"$cmd={text}&apikey={key}&msgid={msgid}".encode()


def replied(conn: Connection[Any]) -> list[dict[str, Any]]:
    rows = conn.execute(
        "SELECT subject, region, body FROM event WHERE kind = 'replied' ORDER BY id"
    ).fetchall()
    return [{"subject": subject, "region": region, **body} for subject, region, body in rows]


def stored(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT t.code, d.name, d.unit, o.phenomenon_time, o.result FROM observation o"
        " JOIN datastream d ON d.id = o.datastream JOIN thing t ON t.id = d.thing ORDER BY 1, 2, 4"
    ).fetchall()


def rejected(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT reason, device, times FROM rejected ORDER BY id").fetchall()


def test_a_reply_is_told_once_without_the_secret(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    msgid = asked("setworkmode")
    message = reply("setworkmode&result=succ", msgid)
    assert put(message) == [STORED]
    assert put(message, message) == [STORED] * 2
    assert replied(enrolled) == [{
        "subject": msgid, "region": "640402", "device": "st-a", "result": "succ", "reason": "",
        "reply": f"$cmd=setworkmode&result=succ&msgid={msgid}", "at": RECEIVED.isoformat(),
    }]  # fmt: skip
    assert rejected(enrolled) == []


def test_twice_in_one_batch_is_once(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    msgid = asked("sample")
    message = reply('sample&datastreams={"L1_LF_1":"34.56"}', msgid)
    assert put(message, message) == [STORED] * 2
    assert len(replied(enrolled)) == len(stored(enrolled)) == 1


def test_it_is_known_also_when_the_event_is_gone(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    msgid = asked("sample")
    enrolled.execute(
        "UPDATE command SET state = 'succeeded', reply = %s", (f"$cmd=sample&datastreams={{}}&msgid={msgid}",)
    )
    assert put(reply("sample&datastreams={}", msgid)) == [STORED]
    assert replied(enrolled) == []


def test_what_a_sample_measured_becomes_observations(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    text = 'sample&datastreams={"L1_LF_1":"34.56","L1_GP_1":"1,2,-3","L3_YL_1":{"value":0.5}}'
    put(reply(text, asked("sample")))
    assert stored(enrolled) == [
        ("st-a", "L1_GP_1/gpsTotalX", "mm", RECEIVED, 1.0),
        ("st-a", "L1_GP_1/gpsTotalY", "mm", RECEIVED, 2.0),
        ("st-a", "L1_GP_1/gpsTotalZ", "mm", RECEIVED, -3.0),
        ("st-a", "L1_LF_1/value", "mm", RECEIVED, 34.56),
        ("st-a", "L3_YL_1/value", "mm", RECEIVED, 0.5),
    ]
    assert enrolled.execute("SELECT count(*) FROM event WHERE kind = 'observed'").fetchone() == (1,)


def test_the_status_becomes_that_of_the_device(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    text = 'getstatus&state={"ext_power_volt":24.04,"temp":42.00,"sw_version":"1.0.1","4g_on":true}'
    assert put(reply(text, asked("getstatus"))) == [STORED]
    assert [row[1:] for row in stored(enrolled)] == [
        ("S1_ZT_1/ext_power_volt", "V", RECEIVED, 24.04), ("S1_ZT_1/temp", "degC", RECEIVED, 42.0)
    ]  # fmt: skip
    [(state,)] = enrolled.execute("SELECT state FROM thing WHERE code = 'st-a'").fetchall()
    assert {name: said["result"] for name, said in state.items()} == {
        "S1_ZT_1/sw_version": "1.0.1", "S1_ZT_1/on_4g": "true"
    }  # fmt: skip


def test_what_the_device_is_measures_nothing(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    assert put(reply('basic&datastreams={"sn":"3880402","lon":"104.5638"}', asked("getbasic"))) == [STORED]
    assert stored(enrolled) == []


@pytest.mark.parametrize("text", ['{"L1_LF_1":}', "[1]", '{"L1_LF_1":"abc"}', '{"L1_LF_1":1e999}'])
def test_values_that_cannot_be_read_are_said_and_the_reply_counts(
    enrolled: Connection[Any], put: Put, asked: Any, text: str
) -> None:
    [outcome] = put(reply(f"sample&datastreams={text}", asked("sample")))
    assert outcome.kept
    assert outcome.reason
    assert len(replied(enrolled)) == 1
    assert stored(enrolled) == []
    assert len(rejected(enrolled)) == 1


def test_a_reply_of_another_device_is_refused_and_recorded(
    enrolled: Connection[Any], put: Put, asked: Any
) -> None:
    msgid = asked("sample", "st-a")
    [outcome] = put(reply('sample&datastreams={"L1_LF_1":99}', msgid, key="key-st-b"))
    told = "a reply to a command for st-a with another apikey: another device sent it"
    assert [bytes.fromhex(row["payload"]).count(b"key-st-b") for row in listed(enrolled)] == [0]
    assert outcome == Outcome(kept=False, reason=told)
    assert (replied(enrolled), stored(enrolled)) == ([], [])
    assert rejected(enrolled) == [(told, "", 1)]
    assert put(reply('sample&datastreams={"L1_LF_1":1}', msgid)) == [STORED], "the right one still counts"


def test_a_device_that_sends_no_key_back_is_believed(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    assert put(("$dr", f"$cmd=reqtime&time=2026-08-12 11:00:00&msgid={asked('reqtime')}".encode())) == [
        STORED
    ]
    assert replied(enrolled)[0]["device"] == "st-a"


@pytest.mark.parametrize(
    "msgid", ["2abr65892", "a5afbb14827a4d63afbb14827a5d630b", "01a2135f-4dd4-78b7-accb-6f0919c4699c"]
)
def test_a_reply_to_nothing_of_ours_is_counted(
    enrolled: Connection[Any], put: Put, asked: Any, msgid: str
) -> None:
    asked("reboot")
    message = reply("reboot&result=succ", msgid)
    put(message)
    put(message)
    assert rejected(enrolled) == [("a reply to a command that was not given here", "", 2)]
    assert replied(enrolled) == []


def test_a_second_different_reply_is_kept_aside(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    msgid = asked("setworkmode")
    put(reply("setworkmode&result=succ", msgid))
    [outcome] = put(reply("setworkmode&result=fail", msgid))
    told = f"a second, different reply to the setworkmode {msgid}: the first stays"
    assert outcome == Outcome(kept=False, reason=told)
    assert rejected(enrolled) == [(told, "st-a", 1)]
    assert [event["result"] for event in replied(enrolled)] == ["succ"]


def test_a_reply_to_another_command_is_refused(enrolled: Connection[Any], put: Put, asked: Any) -> None:
    put(reply("reboot&result=succ", asked("setworkmode")))
    assert rejected(enrolled) == [("a reply to reboot, but its msgid is that of a setworkmode", "st-a", 1)]


def test_a_reply_among_other_messages_takes_nothing_from_them(
    enrolled: Connection[Any], put: Put, asked: Any
) -> None:
    frame = b'{"st-b":{"L1_LF_1":{"2026-08-12T02:50:00.000Z":4.5}}}'
    assert put(reply("reboot&result=succ", asked("reboot")), ("$dp", frame)) == [STORED] * 2
    assert [row[0] for row in stored(enrolled)] == ["st-b"]
