"""`liupan rejected`: the quarantine is listed whole, and replayed once its reason is gone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.wire import up_topic
from ingest import codecs
from ingest.registry import Registry
from ingest.rejected import main
from ingest.resolve import Arrival, resolve
from ingest.store import save
from server.registry import register

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
UNREADABLE = ("$dp", b"\x02\x00\xff{")
TIMELESS = (up_topic("st-new", "observation"), b'{"datastream":"rain","result":1.5}')
AHEAD = (
    up_topic("st-new", "observation"),
    b'{"datastream":"rain","phenomenon_time":"2026-08-14T03:00:00Z","result":2}',
)
POISON = (up_topic("st-new", "observation"), b'{"datastream":"gate","result":"a\\u0000b"}')
THING = {"code": "st-new", "kind": "station", "name": "new", "region": "640402"}


@pytest.fixture
def filled(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection to a database with four payloads in quarantine, which `main` uses too."""
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        arrivals = [
            Arrival(
                topic=topic,
                payload=payload,
                received_at=RECEIVED,
                decoded=codecs.read(topic, payload, RECEIVED),
            )
            for topic, payload in (UNREADABLE, TIMELESS, AHEAD, POISON)
        ]
        registry = Registry()
        outcomes = save(conn, registry, resolve(conn, registry, arrivals, 0))
        assert not any(outcome.kept for outcome in outcomes)
        yield conn


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[dict[str, Any]]]:
    code = main([*argv, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_list_tells_everything(filled: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, "list")
    assert code == 0
    assert [(line["topic"], bytes.fromhex(line["payload"])) for line in lines] == [
        UNREADABLE,
        TIMELESS,
        AHEAD,
        POISON,
    ]
    assert {(line["times"], line["first_at"], line["replayed_at"]) for line in lines} == {
        (1, "2026-08-12T03:00:00+00:00", None)}  # fmt: skip
    assert lines[0]["reason"].startswith("broken frame of type 2")
    code, lines = run(capsys, "list", "--device", "st-new")
    assert [line["device"] for line in lines] == ["st-new"] * 3
    assert main(["list"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.split()[3:5] == ["1x", "$dp"]
    assert "broken frame" in first


def test_a_replay_stores_what_can_be_stored_now(
    filled: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(capsys, "replay", "--all")
    assert (code, [line["stored"] for line in lines]) == (1, [False] * 4), "still not registered"
    register(filled, {"things": [THING]})
    code, lines = run(capsys, "replay", "--all")
    assert (code, [line["stored"] for line in lines]) == (1, [False, True, False, False])
    assert [line["reason"].partition(":")[0] for line in lines] == [
        "broken frame of type 2", "", "device clock", "the database refuses it"]  # fmt: skip
    rows = filled.execute("SELECT phenomenon_time, result, received_at FROM observation").fetchall()
    assert rows == [(RECEIVED, 1.5, RECEIVED)], "the time of receipt is that of then"
    events = filled.execute(
        "SELECT count(*) FROM event WHERE kind = 'observed' AND done_at IS NULL"
    ).fetchone()
    assert events == (1,)
    marked = filled.execute(
        "SELECT replayed_at IS NOT NULL, times, reason FROM rejected ORDER BY id"
    ).fetchall()
    assert [row[:2] for row in marked] == [(False, 1), (True, 1), (False, 1), (False, 1)]
    assert marked[1][2].startswith("device 'st-new' is not registered"), "why it was refused stays"
    assert [row[2] for row in marked if not row[0]] == [
        line["reason"] for line in lines if not line["stored"]
    ]
    code, lines = run(capsys, "replay", "--all")
    assert len(lines) == 3, "what is stored does not come again"


def test_a_replay_by_number(filled: Connection[Any], capsys: pytest.CaptureFixture[str]) -> None:
    register(filled, {"things": [THING]})
    numbers = [number for (number,) in filled.execute("SELECT id FROM rejected ORDER BY id").fetchall()]
    assert run(capsys, "replay", str(numbers[1])) == (0, [{"id": numbers[1], "stored": True, "reason": ""}])
    assert run(capsys, "replay", str(numbers[1]))[0] == 0, "a second time is absorbed"
    assert filled.execute("SELECT count(*) FROM observation").fetchone() == (1,)
    code, [line] = run(capsys, "replay", "999999")
    assert (code, line["reason"]) == (1, "there is no payload of this number in quarantine")
    assert main(["replay", str(numbers[0]), str(numbers[1])]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{numbers[0]}: broken frame")
    assert told[1] == f"{numbers[1]}: stored"


def test_what_comes_again_after_it_was_stored_waits_again(
    filled: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    register(filled, {"things": [THING]})
    run(capsys, "replay", "--all")
    filled.execute("DELETE FROM datastream")
    filled.execute("DELETE FROM thing WHERE code = 'st-new'")
    topic, payload = TIMELESS
    arrival = Arrival(
        topic=topic, payload=payload, received_at=RECEIVED, decoded=codecs.read(topic, payload, RECEIVED)
    )
    registry = Registry()
    save(filled, registry, resolve(filled, registry, [arrival], 0))
    row = filled.execute(
        "SELECT times, replayed_at FROM rejected WHERE topic = %s AND payload = %s", TIMELESS
    ).fetchone()
    assert row == (2, None)


@pytest.mark.parametrize("argv", [["replay"], ["replay", "1", "--all"], ["replay", "x"], []])
def test_it_must_be_said_what_to_replay(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
