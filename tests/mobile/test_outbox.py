"""What is said stays until the server has stored it; what is heard is kept once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from uuid import UUID

import pytest

from mobile.outbox import due, hear, note_sent, open_outbox, retry_now, say, settle


def test_what_is_said_survives_the_process_and_waits(tmp_path: Path) -> None:
    db = open_outbox(tmp_path / "phone.db")
    id = say(db, "lead", {"kind": "dumping", "note": "沟边堆土"})
    again = open_outbox(tmp_path / "phone.db")  # the first connection was never closed, as after a kill
    (record,) = due(again, time.time(), 10)
    assert UUID(record.id) == id
    assert json.loads(record.body) == {"kind": "dumping", "note": "沟边堆土", "id": str(id)}


def test_the_urgent_goes_first_and_the_same_id_is_said_once(tmp_path: Path) -> None:
    db = open_outbox(tmp_path / "phone.db")
    track, lead = say(db, "track", {"points": []}), say(db, "lead", {})
    say(db, "lead", {"id": lead, "note": "said twice"})
    assert [r.id for r in due(db, time.time(), 10)] == [str(lead), str(track)]


def test_a_record_on_its_way_is_due_again_until_it_is_stored(tmp_path: Path) -> None:
    db = open_outbox(tmp_path / "phone.db")
    id, now = str(say(db, "lead", {})), time.time()
    note_sent(db, id, now)
    assert due(db, now + 4, 10) == []
    assert [r.id for r in due(db, now + 6, 10)] == [id]
    note_sent(db, id, now + 6)
    assert due(db, now + 6 + 14, 10) == []
    retry_now(db)
    assert len(due(db, now + 7, 10)) == 1
    settle(db, {"id": id, "state": "stored"})
    assert due(db, now + 1e6, 10) == []


def test_a_rejection_is_kept_with_its_reason_but_never_undoes_a_storing(tmp_path: Path) -> None:
    db = open_outbox(tmp_path / "phone.db")
    bad, good = str(say(db, "lead", {})), str(say(db, "lead", {}))
    settle(db, {"id": bad, "state": "rejected", "reason": "kind is missing"})
    settle(db, {"id": good, "state": "stored"})
    settle(db, {"id": good, "state": "rejected", "reason": "a late duplicate"})
    rows = db.execute("SELECT id, state, reason FROM outbox").fetchall()
    assert set(rows) == {(bad, "rejected", "kind is missing"), (good, "stored", "")}
    settle(db, {"id": bad, "state": "stored"})  # replayed from quarantine
    assert db.execute("SELECT state, reason FROM outbox WHERE id = ?", (bad,)).fetchone() == ("stored", "")


def test_what_is_heard_twice_is_kept_once(tmp_path: Path) -> None:
    db = open_outbox(tmp_path / "phone.db")
    assert hear(db, "alert", "d1", {"level": "red"})
    assert not hear(db, "alert", "d1", {"level": "red"})
    assert hear(db, "dispatch", "o1", {"state": "ordered"})
    assert hear(db, "dispatch", "o1", {"state": "cancelled"})
    assert db.execute("SELECT id, body FROM inbox ORDER BY id").fetchall() == [
        ("d1", b'{"level": "red"}'),
        ("o1", b'{"state": "cancelled"}'),
    ]


@pytest.mark.parametrize("state", [None, "lost", 7])
def test_a_confirmation_that_says_neither_is_refused(tmp_path: Path, state: object) -> None:
    db = open_outbox(tmp_path / "phone.db")
    id = str(say(db, "lead", {}))
    with pytest.raises(ValueError, match="neither stored nor rejected"):
        settle(db, {"id": id, "state": state})
    assert len(due(db, time.time(), 10)) == 1


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gossip"):
        say(open_outbox(tmp_path / "phone.db"), "gossip", {})
