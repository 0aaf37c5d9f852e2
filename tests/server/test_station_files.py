"""Files of stations over HTTP: listed, and given out as they came, to be saved."""

from __future__ import annotations

from hashlib import sha256

from fastapi.testclient import TestClient

A, B = (f"{x * 8}-0000-7000-8000-000000000000" for x in "ab")


def test_files_the_newest_first(reader: TestClient) -> None:
    found = reader.get("/station-files").json()
    assert [(file["id"], file["thing"], file["name"]) for file in found] == [
        (B, "thing/B-B", "camera-B"),
        (A, "thing/A-A", "camera-A"),
    ]
    assert reader.get("/station-files", params={"after": B}).json() == found[1:]
    assert reader.get("/station-files", params={"thing": "thing/A-A"}).json() == found[1:]
    assert reader.get("/station-files", params={"thing": "nobody"}).json() == []
    assert (found[1]["sha256"], found[1]["size"]) == (sha256(b"bytes -A").hexdigest(), 8)


def test_the_bytes_of_a_file_as_they_came(reader: TestClient) -> None:
    shown = reader.get(f"/station-files/{A}").json()
    response = reader.get(f"/station-files/{A}/data")
    assert response.content == b"bytes -A"
    assert sha256(response.content).hexdigest() == shown["sha256"] == response.headers["etag"].strip('"')
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["content-disposition"] == f'attachment; filename="{A}.jpg"'
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_file_that_is_not_there(reader: TestClient) -> None:
    for path in ("", "/data"):
        response = reader.get(f"/station-files/{A.replace('7', '8')}{path}")
        assert response.status_code == 404
        assert response.json()["detail"].startswith("there is no station file aaaaaaaa-")
