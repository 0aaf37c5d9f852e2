"""What the doctor sees, says and does, on a real database and broker."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from domain.flow import BACK_OFF_S, emit, handle
from server import doctor, run_state
from server.migrate import SCHEMA
from server.registry import register
from warning.command import ask as command

Ask = Callable[..., tuple[int, dict[str, Any]]]

STATION = {
    "things": [
        {"code": code, "kind": "station", "name": code, "region": "640402", "mode": mode,
         "datastreams": [{"name": "rain"}]}
        for code, mode in (("st-1", "actual"), ("st-2", "actual"), ("drill", "exercise"))
    ]
}  # fmt: skip


@pytest.fixture
def environment(
    database_url: str, broker: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    monkeypatch.setenv("LIUPAN_MQTT_URL", broker)
    monkeypatch.setenv("LIUPAN_STATE", str(state))
    monkeypatch.delenv("LIUPAN_LANG", raising=False)
    return monkeypatch


@pytest.fixture
def db(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def ask(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask the doctor; return the exit code and the report."""

    def examine(*argv: str) -> tuple[int, dict[str, Any]]:
        code = doctor.main(["--json", *argv])
        (line,) = capsys.readouterr().out.splitlines()
        return code, json.loads(line)

    return examine


def told(report: dict[str, Any]) -> list[str]:
    return [problem["problem"] for problem in report["problems"]]


def test_all_is_well(ask: Ask, db: Connection[Any], state: Path, broker: str) -> None:
    code, report = ask()
    assert (code, report["healthy"], report["problems"]) == (0, True, [])
    facts = report["database"]
    row = db.execute("SELECT timescaledb, current_setting('server_version') FROM installation").fetchone()
    assert (facts["timescaledb"] is not None, facts["version"]) == row
    other = "_native.sql" if facts["timescaledb"] else "_timescale.sql"
    assert facts["schema"] == max(p.name for p in SCHEMA.glob("*.sql") if not p.name.endswith(other))
    assert facts["size_bytes"] > 1_000_000
    assert report["broker"] == {"reachable": True, "address": broker.removeprefix("mqtt://")}
    assert report["state"]["path"] == str(state)
    assert report["observations"] == {
        "oldest": None, "newest": None, "lag_s": None, "revisions": 0, "flags": {}}  # fmt: skip


def test_how_old_the_observations_are_and_what_is_doubtful(ask: Ask, db: Connection[Any]) -> None:
    register(db, STATION)
    for month in ("2026-06-30Z", "2026-07-01Z", "2055-01-01Z"):
        db.execute("SELECT ensure_observation_partition(%s)", (month,))
    db.execute(
        "INSERT INTO observation"
        " SELECT d.id, at::timestamptz, 1, at::timestamptz + late * interval '1 s', flags"
        " FROM datastream d JOIN thing t ON t.id = d.thing,"
        " (VALUES ('2026-06-30Z', 5, 0), ('2026-07-01Z', 90, 0), ('2055-01-01Z', 0, 2)) v (at, late, flags)"
        " WHERE t.code = 'st-1'"
    )
    db.execute("SELECT fill_latest()")
    db.execute("INSERT INTO observation_revision SELECT id, '2026-07-01Z', 2, now() FROM datastream LIMIT 1")
    assert ask()[1]["observations"] == {
        "oldest": "2026-06-30T00:00:00+00:00", "newest": "2026-07-01T00:00:00+00:00", "lag_s": 90,
        "revisions": 1, "flags": {"future": 1},
    }  # fmt: skip


def twice(db: Connection[Any], station: str, times: int, seconds: int) -> None:
    """Put results of so many minutes there, and other ones for the same minutes that came so much later."""
    db.execute(
        "SELECT ensure_observation_partition(now() - interval '1 hour' * n) FROM generate_series(0, 3) n"
    )
    for query in (
        "INSERT INTO observation (datastream, phenomenon_time, result, received_at)"
        " SELECT d.id, date_trunc('hour', now()) - n * interval '1 minute', 1,"
        " now() - interval '1 h' FROM datastream d JOIN thing t ON t.id = d.thing, "
        " generate_series(1, %(times)s) n WHERE t.code = %(station)s",
        "INSERT INTO observation_revision SELECT o.datastream, o.phenomenon_time, 2,"
        " o.received_at + %(seconds)s * interval '1 s' FROM observation o JOIN datastream d"
        " ON d.id = o.datastream JOIN thing t ON t.id = d.thing WHERE t.code = %(station)s",
    ):
        db.execute(query, {"station": station, "times": times, "seconds": seconds})


def test_an_id_that_two_stations_share(
    ask: Ask, db: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both tell at the same times, and the results of the second come within a minute, and differ."""
    register(db, STATION)
    twice(db, "st-1", times=10, seconds=40)
    twice(db, "st-2", times=9, seconds=40)
    twice(db, "drill", times=30, seconds=100)
    code, report = ask()
    assert [(row["code"], row["revisions"]) for row in report["shared_ids"]] == [("st-1", 10)]
    assert report["problems"] == [{"problem": "shared_id", "code": "st-1", "revisions": 10}]
    assert code == 1
    assert doctor.main([]) == 1
    shown = capsys.readouterr().out.replace("\n", "")
    assert "编码 st-1 一天内有 10 个相互矛盾的值，可能有两台设备共用" in shown
    db.execute(
        "UPDATE observation_revision r SET received_at = o.received_at FROM observation o"
        " WHERE o.datastream = r.datastream AND o.phenomenon_time = r.phenomenon_time"
    )
    assert ask()[1]["shared_ids"] == [], "of one and the same payload"


def test_silent_stations(ask: Ask, db: Connection[Any]) -> None:
    register(db, STATION)
    db.execute("SELECT ensure_observation_partition(now())")
    db.execute(
        "INSERT INTO observation SELECT d.id, now(), 1, now() - interval '3 hours' FROM datastream d"
        " JOIN thing t ON t.id = d.thing WHERE t.code = 'st-1'; SELECT fill_latest()"
    )
    db.execute("SELECT fill_latest()")
    code, report = ask()
    assert [(s["code"], s["last"]) for s in report["silent_stations"]] == [("st-2", None)]
    assert code == 0, "in the field some station is always silent"
    assert [s["code"] for s in ask("--silent-hours", "2")[1]["silent_stations"]] == ["st-2", "st-1"]
    db.execute(
        "INSERT INTO silence SELECT d.id, now() FROM datastream d JOIN thing t ON t.id = d.thing"
        " WHERE t.code IN ('st-1', 'drill')"
    )
    told = [(s["code"], s["missed"]) for s in ask()[1]["silent_stations"]]
    assert told == [("st-2", []), ("st-1", ["rain"])], "no exercise is missed"


def test_what_is_in_quarantine_by_reason(ask: Ask, db: Connection[Any]) -> None:
    db.execute(
        "INSERT INTO rejected (topic, payload, sha256, reason, times, first_at, last_at, replayed_at)"
        " SELECT 't', '', n::text::bytea, reason, n, now(), now(), CASE WHEN n = 9 THEN now() END"
        " FROM (VALUES (1, 'not JSON'), (2, 'unknown sender'), (3, 'unknown sender'), (9, 'x')) v (n, reason)"
    )
    assert [(q["reason"], q["payloads"], q["times"]) for q in ask()[1]["quarantine"]] == [
        ("unknown sender", 2, 5), ("not JSON", 1, 1)]  # fmt: skip


def fail(conn: Connection[Any], events: object) -> None:
    raise ValueError("no such number: 七")


def set_aside(db: Connection[Any], *subjects: str) -> None:
    for subject in subjects:
        emit(db, "reported", subject=subject)
    for _ in BACK_OFF_S:
        handle(db, "triage", fail)
        db.execute("UPDATE event SET not_before = now() WHERE done_at IS NULL")


def test_a_poison_event_is_seen_with_its_reason_and_can_be_tried_again(ask: Ask, db: Connection[Any]) -> None:
    set_aside(db, "lead-1")
    code, report = ask()
    assert (code, told(report)) == (1, ["set_aside"])
    (event,) = report["events"]["set_aside"]
    assert (event["consumer"], event["kind"], event["subject"], event["failures"], event["last_failure"]) == (
        "triage", "reported", "lead-1", 5, "ValueError: no such number: 七")  # fmt: skip
    db.execute("LISTEN liupan_triage")
    assert doctor.main(["--retry-set-aside", str(event["id"])]) == 0
    assert [n.channel for n in db.notifies(timeout=10, stop_after=1)] == ["liupan_triage"]
    handled: list[Any] = []
    assert handle(db, "triage", lambda _, events: handled.extend(events)) == 1
    assert (handled[0].subject, handled[0].failures) == ("lead-1", 0)


def test_one_or_all_are_tried_again(
    ask: Ask, db: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside(db, "a", "b", "c")
    ids = [event["id"] for event in ask()[1]["events"]["set_aside"]]
    assert ask("--retry-set-aside", str(ids[1])) == (0, {"put_back": 1})
    assert [event["id"] for event in ask()[1]["events"]["set_aside"]] == [ids[0], ids[2]]
    assert doctor.main(["--retry-set-aside"]) == 0
    assert capsys.readouterr().out == "events put back / 放回的事件: 2\n"
    assert ask()[1]["events"]["set_aside"] == []
    assert doctor.main(["--retry-set-aside", str(ids[1])]) == 1
    assert f"no event {ids[1]} is set aside" in capsys.readouterr().err


def test_a_failing_event_is_shown_and_not_yet_a_problem(ask: Ask, db: Connection[Any]) -> None:
    emit(db, "reported", subject="lead-1")
    handle(db, "triage", fail)
    code, report = ask()
    assert code == 0
    (event,) = report["events"]["failing"]
    assert (event["failures"], event["last_failure"]) == (1, "ValueError: no such number: 七")
    (waiting,) = report["events"]["waiting"]
    assert (waiting["consumer"], waiting["waiting"], waiting["overdue"]) == ("triage", 1, 0)


def test_an_overdue_event_is_a_problem(ask: Ask, db: Connection[Any]) -> None:
    emit(db, "reported", subject="lead-1")
    emit(db, "reported", subject="lead-2", delay_s=3600)
    db.execute(
        "UPDATE event SET created_at = now() - interval '2 min', not_before = not_before - interval '2 min'"
    )
    code, report = ask()
    assert code == 1
    (problem,) = report["problems"]
    assert (problem["problem"], problem["consumer"], problem["waiting"], problem["overdue"]) == (
        "overdue", "triage", 1, 1)  # fmt: skip
    assert problem["oldest_s"] >= 120


def test_commands_without_a_result(ask: Ask, db: Connection[Any]) -> None:
    register(db, STATION)
    db.execute("UPDATE thing SET apikey = 'hush'")
    ids = [str(command(db, "st-1", "status", {}, "duty")) for _ in range(5)]
    for id, state, minutes in zip(
        ids, ("pending", "pending", "sent", "sent", "timed_out"), (0, 2, 13, 26, 99), strict=True
    ):
        db.execute(
            "UPDATE command SET state = %s, asked_at = now() - %s * interval '1 min' WHERE id = %s",
            (state, minutes, id),
        )
    db.execute("DELETE FROM event")
    code, report = ask()
    assert (code, report["problems"]) == (1, [{"problem": "open_commands", "count": 2, "oldest": ids[3]}])
    assert [(c["id"], c["code"], c["state"]) for c in report["open_commands"]] == [
        (ids[3], "st-1", "sent"), (ids[1], "st-1", "pending")]  # fmt: skip
    assert "hush" not in json.dumps(report)


def test_a_schema_that_is_not_whole(ask: Ask, db: Connection[Any]) -> None:
    db.execute("DELETE FROM migration WHERE name = '0006_case.sql'")
    code, report = ask()
    assert (code, report["problems"]) == (1, [{"problem": "schema", "missing": "0006_case.sql"}])
    db.execute("DROP TABLE migration")
    assert "0001_registry.sql" in ask()[1]["database"]["missing_migrations"]


def test_a_transaction_that_holds_up_the_feed(
    ask: Ask, db: Connection[Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LONG_S", 0)
    with psycopg.connect(database_url) as slow:
        emit(slow, "moved", subject="x")
        assert told(ask()[1]) == ["transaction"]


def test_a_broker_that_is_away(ask: Ask, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LIUPAN_MQTT_URL", "mqtt://user:secret@127.0.0.1:1")
    code, report = ask()
    assert (code, report["problems"]) == (1, [{"problem": "broker", "address": "127.0.0.1:1"}])
    assert "secret" not in json.dumps(report)


def test_a_process_that_does_not_run(ask: Ask, state: Path) -> None:
    pids = dict.fromkeys(("ingest", "warning", "server"), os.getpid())
    with run_state.lock(state):
        run_state.write(state, {"pids": pids, "database_url": "", "mqtt_url": ""})
        code, report = ask()
    assert code == 1
    assert report["problems"] == [
        {"problem": "process", "name": "enforcement", "log": f"{state}/log/enforcement.log"}]  # fmt: skip
    assert report["processes"]["ingest"] == {"pid": os.getpid(), "alive": True}


def test_little_room_is_a_problem(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM", 10**18)
    assert told(ask()[1]) == ["room"]


@pytest.mark.parametrize(
    ("lang", "words"), [("", "数据库连不上："), ("en", "the database cannot be reached: ")]
)
def test_without_a_database_it_says_so_in_one_line(
    environment: pytest.MonkeyPatch,
    ask: Ask,
    capsys: pytest.CaptureFixture[str],
    lang: str,
    words: str,
) -> None:
    environment.setenv("LIUPAN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    environment.setenv("LIUPAN_LANG", lang)
    assert doctor.main([]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(words)
    code, report = ask()
    assert (code, report["healthy"], told(report)) == (1, False, ["database"])


def test_where_nothing_runs_it_says_so(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("LIUPAN_DATABASE_URL")
    assert doctor.main([]) == 1
    assert "LIUPAN_DATABASE_URL" in capsys.readouterr().err


def test_how_much_is_stored_and_what_is_ready(ask: Ask, db: Connection[Any]) -> None:
    native = db.execute("SELECT NOT timescaledb FROM installation").fetchone() == (True,)
    register(db, STATION)
    for ahead in ("0", "1"):
        if native:
            assert ask()[1]["storage"]["next_ready"] is False
        db.execute("SELECT ensure_observation_partition(now() + %s * interval '1 month')", (ahead,))
    db.execute("INSERT INTO observation SELECT id, now(), 1, now() FROM datastream")
    db.execute("SELECT fill_rollups()")
    stored = ask()[1]["storage"]
    assert stored["partitions"] == (2 if native else 1)
    assert stored["next_ready"] or not native
    assert stored["raw_bytes"] >= 8192
    assert stored["index_bytes"] >= 8192
    assert stored["rollup_bytes"] >= (4 * 8192 if native else 0), "two tables and their keys"
    assert (stored["compression_ratio"], stored["floor"], stored["late_partitions"]) == (None, None, 0)
    if native:
        db.execute("UPDATE rollup_state SET floor = date_trunc('month', now(), 'UTC') + interval '1 month'")
        assert ask()[1]["storage"]["late_partitions"] == 1


def test_rollups_that_are_behind_are_a_problem(ask: Ask, db: Connection[Any]) -> None:
    if db.execute("SELECT timescaledb FROM installation").fetchone() == (True,):
        pytest.skip("TimescaleDB keeps its rollups itself")
    emit(db, "observed", subject="")
    db.execute("UPDATE event SET created_at = now() - interval '2 min', done_at = now()")
    code, report = ask()
    assert (code, round(report["storage"]["rollups_behind_s"], -1)) == (0, 120)
    db.execute("UPDATE event SET created_at = now() - interval '25 min'")
    assert told(ask()[1]) == ["rollups"]
    db.execute("UPDATE rollup_state SET (xact, id) = (SELECT xact, id FROM event)")
    assert ask()[1]["storage"]["rollups_behind_s"] == 0


def test_a_database_that_takes_nothing_is_a_problem(ask: Ask, db: Connection[Any]) -> None:
    name = sql.Identifier(db.info.dbname)
    db.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    code, report = ask()
    assert (code, told(report)) == (1, ["refuses"])
    assert report["storage"]["refuses"] == "cannot execute CREATE TABLE AS in a read-only transaction"
    db.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
    assert told(ask()[1]) == []
    assert db.execute("SELECT to_regclass('liupan_doctor')").fetchone() == (None,)


READ = {
    "zh": [
        "六盘体检",
        "存储",
        "已搁置的事件",
        "最近失败原因",
        "st-2",
        "从未",
        "2 个事件已搁置",
        "1 条命令迟迟没有结果",
    ],
    "en": [
        "Liupan: how it is",
        "partitions",
        "events set aside",
        "last failure",
        "st-2",
        "never",
        "2 events are set aside:",
        "1 commands have no result:",
    ],
}


@pytest.mark.parametrize(("lang", "words"), READ.items())
def test_people_read_it_in_their_language(
    environment: pytest.MonkeyPatch,
    db: Connection[Any],
    capsys: pytest.CaptureFixture[str],
    lang: str,
    words: list[str],
) -> None:
    environment.setenv("LIUPAN_LANG", lang)
    environment.setenv("COLUMNS", "200")
    assert doctor.main([]) == 0
    assert ("一切正常" if lang == "zh" else "all is well") in capsys.readouterr().out
    set_aside(db, "a [bold]b", "c")
    register(db, STATION)
    db.execute("UPDATE thing SET apikey = 'hush'")
    command(db, "st-1", "status", {}, "duty")
    db.execute("UPDATE command SET asked_at = now() - interval '1 hour'")
    assert doctor.main([]) == 1
    shown = capsys.readouterr().out
    for word in [*words, "a [bold]b", "ValueError: no such number: 七"]:
        assert word in shown
