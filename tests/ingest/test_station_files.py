"""Files of stations on a real PostgreSQL: kept whole with their hash, once, and not under two stories."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from psycopg import Connection

from ingest.store import Outcome

RECEIVED = datetime(2026, 8, 12, 3, 0, tzinfo=UTC)
STORED = Outcome(kept=True, reason="")
JPEG = b"\xff\xd8\xff\xe0 a picture \0"

Put = Callable[..., list[Outcome]]


def frame(body: object, data: bytes = b"") -> tuple[str, bytes]:
    text = json.dumps(body).encode()
    return "$dp", b"\x03" + len(text).to_bytes(2, "big") + text + len(data).to_bytes(2, "big") + data


def picture(
    data: bytes = JPEG, did: str = "st-a", at: str = "2026-08-12T02:50:00.000Z", **more: str
) -> tuple[str, bytes]:
    about = {"did": did, "ds_id": "L4_SP_1", "file_type": "jpg", "at": at, "desc": "0-1-16"}
    return frame({name: text for name, text in {**about, **more}.items() if text}, data)


def kept(conn: Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT t.code, f.name, f.sha256, f.media_type, f.size, f.at, f.description, f.data, f.received_at"
        " FROM station_file f JOIN thing t ON t.id = f.thing ORDER BY f.id"
    ).fetchall()


def reasons(conn: Connection[Any]) -> list[str]:
    return [reason for (reason,) in conn.execute("SELECT reason FROM rejected ORDER BY id").fetchall()]


def test_a_picture_is_kept_whole_with_its_hash(enrolled: Connection[Any], put: Put) -> None:
    assert put(picture()) == [STORED]
    at = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
    hashed = sha256(JPEG).hexdigest()
    assert kept(enrolled) == [
        ("st-a", "L4_SP_1", hashed, "image/jpeg", len(JPEG), at, "0-1-16", JPEG, RECEIVED)
    ]
    assert reasons(enrolled) == []


def test_a_second_send_is_absorbed_with_or_without_a_time(enrolled: Connection[Any], put: Put) -> None:
    untimed = picture(b"untimed", at="")
    assert put(picture(), untimed, picture()) == [STORED] * 3
    assert put(untimed, picture(), at=RECEIVED + timedelta(minutes=1)) == [STORED] * 2
    assert [(row[7], row[5] == RECEIVED) for row in kept(enrolled)] == [(JPEG, False), (b"untimed", True)]
    assert put(picture(did="st-b"), picture(b"another")) == [STORED] * 2
    assert len(kept(enrolled)) == 4


def test_the_same_bytes_with_another_story_are_told(enrolled: Connection[Any], put: Put) -> None:
    put(picture())
    outcomes = put(picture(desc="1-2-16"), picture(at="2026-08-12T02:55:00.000Z"), picture(b"good"))
    assert [outcome.kept for outcome in outcomes] == [False, False, True]
    assert "file L4_SP_1: the same bytes are known with another time or description" in outcomes[0].reason
    assert [row[7] for row in kept(enrolled)] == [JPEG, b"good"]
    assert len(reasons(enrolled)) == 2, "they wait in quarantine, whole"


def test_the_clock_and_the_zone_of_the_station_hold_for_files(enrolled: Connection[Any], put: Put) -> None:
    beijing = picture(did="st-beijing", at="2026-08-12T10:50:00.000Z")
    early, late = picture(at="1970-01-01T00:00:00Z"), picture(at="2026-08-14T00:00:00Z")
    outcomes = put(beijing, early, late)
    assert [outcome.kept for outcome in outcomes] == [True, False, False]
    assert [row[5] for row in kept(enrolled)] == [datetime(2026, 8, 12, 2, 50, tzinfo=UTC)]
    assert "before 1990" in outcomes[1].reason
    assert "more than 24 h ahead" in outcomes[2].reason


def test_a_file_of_nobody_waits_until_its_station_is_registered(enrolled: Connection[Any], put: Put) -> None:
    [outcome] = put(picture(did="st-none"))
    assert not outcome.kept
    assert outcome.reason.startswith("device 'st-none' is not registered")
    assert kept(enrolled) == []


def test_raw_observations_beside_solved_ones(enrolled: Connection[Any], put: Put) -> None:
    values = {"2026-08-12T10:50:00.000Z": {"gpsInitial": "D300133ED0", "gpsTotalX": 1.5}}
    assert put(frame({"st-beijing": {"L1_GP_1": values}})) == [STORED]
    at = datetime(2026, 8, 12, 2, 50, tzinfo=UTC)
    [file] = kept(enrolled)
    assert (file[0], file[1], file[5], file[7]) == ("st-beijing", "L1_GP_1/gpsInitial", at, b"D300133ED0")
    assert enrolled.execute("SELECT phenomenon_time, result FROM observation").fetchall() == [(at, 1.5)]


def test_results_stay_when_the_file_behind_them_is_refused(enrolled: Connection[Any], put: Put) -> None:
    put(frame({"st-a": {"L1_LF_1": 1}}, b"bytes"), frame({"st-a": {"L1_LF_1": 2}}, b"other"))
    assert [row[7] for row in kept(enrolled)] == [b"bytes", b"other"]
    [outcome] = put(frame({"st-a": {"L1_LF_1": 3}, "st-b": {"L1_LF_1": 4}}, b"whose"))
    assert outcome.kept
    assert outcome.reason == "a file of 5 bytes behind 2 devices: nobody says whose it is"
    assert len(kept(enrolled)) == 2
    results = enrolled.execute("SELECT count(*) FROM observation").fetchone()
    assert results == (2,), "one of each device: they have no times, and came at the same moment"
