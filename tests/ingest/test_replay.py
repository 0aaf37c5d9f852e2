"""Known answers of real records, through the broker, ingest, the database and the models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import Connection

from domain.settings import Settings
from server.apart import apart
from server.up import Stack, running

Replay = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole installation."""
    with TemporaryDirectory(prefix="liupan-") as folder:
        ports = {"database_port": 0, "mqtt_port": 0, "http_port": 0}
        with running(apart(Settings(state=Path(folder), **ports), Path(folder))) as stack:  # type: ignore[arg-type]
            yield stack


#: results of one datastream, in the order of their times
SERIES: LiteralString = (
    "SELECT o.result, o.phenomenon_time, d.unit FROM observation o JOIN datastream d ON d.id = o.datastream"
    " JOIN thing t ON t.id = d.thing WHERE t.code = %s AND d.name = %s ORDER BY o.phenomenon_time"
)


@pytest.fixture
def database(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.settings.database(), autocommit=True) as conn:
        yield conn


@pytest.fixture
def replay(stack: Stack, data: Path) -> Replay:
    """Run `liupan replay` against the installation; return what it reports, each row once."""

    def run(*args: str, code: int = 0) -> list[dict[str, Any]]:
        env = {
            **os.environ,
            "LIUPAN_DATA": str(data),
            "LIUPAN_DATABASE_URL": stack.settings.database_url,
            "LIUPAN_MQTT_URL": stack.settings.mqtt_url,
        }
        command = [sys.executable, "-P", "-m", "server.cli", "replay", *args, "--json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def of_kind(report: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in report if row["kind"] == kind]


def test_usgs_thresh_gives_the_counts_of_thresh(replay: Replay) -> None:
    """usgs-thresh/SOURCE.txt: what Thresh 1.0.027 found in the same records, its windows counted in rows."""
    report = replay("usgs-thresh")
    exceeded = {(row["site"], row["model"]): row["exceeded"] for row in of_kind(report, "exceeded")}
    assert exceeded == {
        ("RP-KBFI", "ra"): 641,
        ("RP-KBFI", "id"): 12,
        ("RP-KBFI", "awi"): 1060,
        ("RP-KBFI", "mean_6h"): 33,
        ("RP-KSEA", "ra"): 784,
        ("RP-KSEA", "id"): 15,
        ("RP-KSEA", "awi"): 1059,
        ("RP-KSEA", "mean_6h"): 40,
    }
    [stored] = of_kind(report, "replayed")
    assert stored["results"] == stored["results_stored"] == 12_507 + 12_529
    assert {(row["site"], row["message_type"]) for row in of_kind(report, "alerts")} >= {
        ("RP-KBFI", "Alert"), ("RP-KBFI", "Cancel"), ("RP-KSEA", "Alert"), ("RP-KSEA", "Cancel")
    }  # fmt: skip


def test_second_replay_changes_nothing(replay: Replay, database: Connection[Any]) -> None:
    def counted() -> list[Any]:
        return [
            database.execute(query).fetchone()
            for query in ("SELECT count(*) FROM observation", "SELECT count(*) FROM alert",
                          "SELECT count(*) FROM observation_revision", "SELECT count(*) FROM assessment")
        ]  # fmt: skip

    first = replay("baishuihe")
    before = counted()
    assert replay("baishuihe") == first
    assert counted() == before


def test_baishuihe_is_stored_whole_and_its_rain_too(replay: Replay, database: Connection[Any]) -> None:
    [stored] = of_kind(replay("baishuihe"), "replayed")
    assert stored["results"] == stored["results_stored"] == 722 * 3 + (2192 - 1385)
    moved = [result for result, *_ in database.execute(SERIES, ("replay-bsh-zg118", "dF"))]
    assert (len(moved), min(moved), max(moved)) == (73, 637.6, 2332.8)


def test_captured_frames_are_read_in_both_numberings(
    replay: Replay, data: Path, database: Connection[Any]
) -> None:
    report = replay("dp", str(data / "stations/dp_frames.jsonl"))
    [stored] = of_kind(report, "replayed")
    assert stored["messages"] == 16
    assert stored["results"] == stored["results_stored"] > 40
    assert of_kind(report, "rejected") == []
    rows = database.execute(SERIES, ("17165802", "L1_GP_1/gpsTotalX")).fetchall()
    assert rows == [(9.9, datetime(2026, 3, 14, 6, tzinfo=UTC), "mm")]


def test_gpx_becomes_a_stored_track(replay: Replay, data: Path, database: Connection[Any]) -> None:
    """gpx/SOURCE.txt: 871 points, 14.9 km."""
    report = replay("gpx", str(data / "gpx/korita-zbevnica.gpx"), "--device", "walker-1")
    [track] = of_kind(report, "track")
    assert track["points"] == 871
    assert round(track["length_m"] / 1000, 1) == 14.9
    assert (track["pieces"], track["untimed"]) == (3, 358)
    assert database.execute("SELECT count(*) FROM track_point WHERE device = 'walker-1'").fetchone() == (871,)


def test_csv_goes_the_same_way(replay: Replay, tmp_path: Path, database: Connection[Any]) -> None:
    file = tmp_path / "gauge.csv"
    file.write_text("time,rain\n2026-07-01 08:00,0.4\n2026-07-01 09:00,1.2\n")
    report = replay("csv", str(file), "--thing", "gauge-1", "--datastream", "rain", "--unit", "mm",
                    "--zone", "Asia/Shanghai")  # fmt: skip
    [stored] = of_kind(report, "replayed")
    assert stored["results_stored"] == 2
    rows = database.execute(SERIES, ("gauge-1", "rain")).fetchall()
    assert rows == [
        (0.4, datetime(2026, 7, 1, 0, tzinfo=UTC), "mm"),
        (1.2, datetime(2026, 7, 1, 1, tzinfo=UTC), "mm"),
    ]


def test_what_is_refused_is_told_and_counts_as_failure(replay: Replay, tmp_path: Path) -> None:
    frame = '{"topic": "$dp", "frame_new_hex": "0200ff7b7d"}\n'
    file = tmp_path / "broken.jsonl"
    file.write_text(frame)
    report = replay("dp", str(file), code=1)
    [refused] = of_kind(report, "rejected")
    assert "255" in refused["reason"]


def test_file_that_is_none_ends_with_one_clear_line(replay: Replay, tmp_path: Path) -> None:
    (tmp_path / "no.gpx").write_text("<kml/>")
    assert replay("gpx", str(tmp_path / "no.gpx"), "--device", "walker-2", code=1) == []


def test_speed_is_kept(stack: Stack, replay: Replay, tmp_path: Path) -> None:
    file = tmp_path / "slow.csv"
    file.write_text("2026-07-01T00:00:00Z,1\n2026-07-01T01:00:00Z,2\n")
    args = ("csv", str(file), "--thing", "gauge-2", "--datastream", "rain", "--unit", "mm")
    began = time.monotonic()
    replay(*args, "--speed", "1800")
    assert time.monotonic() - began > 2.0
