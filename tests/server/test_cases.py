"""Enforcement cases."""

from __future__ import annotations

from fastapi.testclient import TestClient

A, B = (f"{x * 8}-0000-7000-8000-000000000000" for x in "ab")


def test_cases_the_newest_first(reader: TestClient) -> None:
    found = reader.get("/cases").json()
    assert [(case["number"], case["lead"], case["step"]) for case in found] == [
        ("number-B", B, "step-B"), ("number-A", A, "step-A")]  # fmt: skip
    assert reader.get("/cases", params={"after": B}).json() == found[1:]


def test_one_case_with_its_moves(reader: TestClient) -> None:
    (move,) = reader.get(f"/cases/{A}").json()["moves"]
    assert (move["step"], move["reason"]) == ("step-A", "reason-A")


def test_what_is_no_id_is_told(reader: TestClient) -> None:
    assert reader.get("/cases/number-A").status_code == 422
