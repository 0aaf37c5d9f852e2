"""What is stored comes out whole, in order, as CSV or as lines of JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from server import cli
from server.export import observations
from server.registry import register
from tests.server.test_rollup import Result, bring_up_to_date, store

Export = Callable[..., str]

FIRST = datetime(2026, 7, 1, tzinfo=UTC)
STATION = {"code": "st-1", "kind": "station", "name": "st-1", "region": "640402",
           "datastreams": [{"name": "rain"}, {"name": "crack 1"}]}  # fmt: skip


@pytest.fixture
def export(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Export of `crack 1`: a result each half hour for two days, the third one marked."""
    monkeypatch.setenv("LIUPAN_DATABASE_URL", database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        register(conn, {"things": [STATION]})
        (stream,) = conn.execute("SELECT id FROM datastream WHERE name = 'crack 1'").fetchall()[0]
        times = [FIRST + n * timedelta(minutes=30) for n in range(96)]
        store(conn, [Result(stream, at, n / 8, 5 if n == 2 else 0) for n, at in enumerate(times)])
        bring_up_to_date(conn)

    def run(*argv: str, datastream: str = "crack 1") -> str:
        assert cli.main(["export", "observations", "st-1", datastream, *argv]) == 0
        return capsys.readouterr().out

    return run


def test_every_result_with_its_marks(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "PAGE", 7)  # several fetches
    rows = list(csv.DictReader(io.StringIO(export())))
    assert list(rows[0]) == ["phenomenon_time", "result", "received_at", "flags"]
    assert [datetime.fromisoformat(row["phenomenon_time"]) for row in rows] == [
        FIRST + n * timedelta(minutes=30) for n in range(96)
    ]
    assert [float(row["result"]) for row in rows] == [n / 8 for n in range(96)]
    assert [row["flags"] for row in rows[:4]] == ["", "", "range spike", ""]
    assert rows[0]["phenomenon_time"] == "2026-07-01T00:00:00+00:00"


def test_lines_of_json_from_and_to(export: Export) -> None:
    told = export("--format", "jsonl", "--from", "2026-07-01T09:00:00+08:00", "--to", "2026-07-01T02:00Z")
    rows = [json.loads(line) for line in told.splitlines()]
    assert [(row["result"], row["flags"]) for row in rows] == [(0.25, ["range", "spike"]), (0.375, [])]


def test_hours_and_days(export: Export) -> None:
    hours = list(csv.DictReader(io.StringIO(export("--every", "1h"))))
    assert len(hours) == 49, "the result at midnight belongs to the hour before"
    second: dict[str, Any] = hours[1]
    assert (second["begin_time"], second["count"], second["marked"], second["last"]) == (
        "2026-07-01T00:00:00+00:00", "1", "1", "0.125")  # fmt: skip
    days = [json.loads(line) for line in export("--every", "1d", "--format", "jsonl").splitlines()]
    assert [day["begin_time"] for day in days] == [
        f"2026-{day}T16:00:00+00:00" for day in ("06-30", "07-01", "07-02")
    ]
    assert sum(day["count"] + day["marked"] for day in days) == 96


def test_without_results_there_is_the_head_only(export: Export) -> None:
    assert export(datastream="rain") == "phenomenon_time,result,received_at,flags\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [(("st-1", "tilt"), "it has crack 1, rain"), (("st-9", "rain"), "no such thing has any")],
)
def test_no_such_datastream(
    export: Export, argv: tuple[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", "observations", *argv]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["--from", "2026-07-01T00:00"], ["--to", "today"], ["--every", "2h"], ["--format", "xml"]]
)
def test_what_cannot_be_meant(export: Export, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", "observations", "st-1", "rain", *argv])
    assert ended.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_the_registry_comes_out_by_the_same_command(
    export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", "registry", "--kind", "things"]) == 0
    assert "st-1" in capsys.readouterr().out
