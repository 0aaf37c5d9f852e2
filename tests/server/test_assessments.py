"""What the models said."""

from __future__ import annotations

from fastapi.testclient import TestClient

ID = "bbbbbbbb-0000-7000-8000-000000000000"


def test_assessments_the_newest_first(reader: TestClient) -> None:
    found = reader.get("/assessments").json()
    assert [assessment["site"] for assessment in found] == ["site-B", "site-A"]
    assert reader.get("/assessments", params={"site": "site-A"}).json() == found[1:]
    assert reader.get("/assessments", params={"after": ID}).json() == found[1:]


def test_one_assessment_says_why(reader: TestClient) -> None:
    found = reader.get(f"/assessments/{ID}").json()
    assert (found["level"], found["mode"], found["models"]) == (
        "orange",
        "actual",
        {"model-B": {"ratio": 1.1}},
    )
    assert (found["reason_zh"], found["reason_en"]) == ("因-B", "why-B")
