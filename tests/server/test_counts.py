"""Counts of what is stored, of one's own regions only."""

from __future__ import annotations

import time

from fastapi.testclient import TestClient


def test_counts_of_the_whole_world(reader: TestClient) -> None:
    for _ in range(100):  # the database's statistics come a moment later
        counts = reader.get("/counts").json()
        if counts["observations"] == 2:
            break
        time.sleep(0.05)
    assert counts == {"observations": 2, "revisions": 2, "flags": {"range": 2}, "rejected": 2}


def test_counts_of_one_region(reader: TestClient) -> None:
    counts = reader.get("/counts", headers={"X-Liupan-Region": "640402"}).json()
    assert counts == {"observations": None, "revisions": 1, "flags": {"range": 1}, "rejected": 1}
