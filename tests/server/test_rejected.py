"""Quarantine."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_what_was_rejected_with_its_bytes_and_reason(reader: TestClient) -> None:
    found = reader.get("/rejected").json()
    assert [(r["topic"], bytes.fromhex(r["payload"]), r["reason"], r["times"]) for r in found] == [
        ("topic-B", b"apikey=***&B", "reason-B", 1), ("topic-A", b"apikey=***&A", "reason-A", 1)]  # fmt: skip
    assert reader.get("/rejected", params={"after": found[0]["id"]}).json() == found[1:]
