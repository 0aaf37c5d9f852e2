"""`liupan import-track`: real and dirty GPX files as the track of a registered device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.geo import Position, length_m
from ingest import import_track, track
from server.registry import register


@pytest.fixture
def registered(registered_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection[Any]]:
    monkeypatch.setenv("LIUPAN_DATABASE_URL", registered_url)
    with psycopg.connect(registered_url, autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        yield conn


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    code = import_track.main([*argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


#: file -> segments with points, points, without a time, stored; counted in the files (`<trkpt`, `<time`)
FILES = {
    "korita-zbevnica": (3, 871, 358, 871),
    "around-visnjan-with-car": (1, 104, 0, 104),
    "track-with-empty-segment": (1, 9, 0, 9),
    "gpx1.0_with_all_fields": (1, 1, 0, 1),
    "cerknicko-without-times": (7, 296, 291, 296),
    "Mojstrovka": (1, 184, 0, 0),
}


@pytest.mark.parametrize("name", FILES)
def test_each_file(
    data: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    segments, points, untimed, stored = FILES[name]
    file = str(data / f"gpx/{name}.gpx")
    code, report = told(capsys, file, "--device", "mei/ph-3")
    reason = report.pop("reason")
    assert report == {"device": "mei/ph-3", "segments": segments, "points": points, "untimed": untimed,
                      "stored": stored, "refused": points - stored}  # fmt: skip
    assert code == (1 if stored < points else 0)
    if stored < points:
        assert "1901-12-13" in reason
        assert "is before 1990, the clock was never set" in reason
    rows = registered.execute(
        "SELECT count(*), count(*) FILTER (WHERE (extra ->> 'untimed')::boolean) FROM track_point"
    ).fetchone()
    assert rows is not None
    assert rows[1] == untimed
    again = told(capsys, file, "--device", "mei/ph-3")
    assert again == (code, {**report, "reason": reason})
    assert registered.execute("SELECT count(*) FROM track_point").fetchone() == rows[:1], "absorbed"


def test_korita_zbevnica_is_14_9_km_long(
    data: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The figure of gpx/SOURCE.txt, between the first and the last point of each segment."""
    told(capsys, str(data / "gpx/korita-zbevnica.gpx"), "--device", "ph-1")
    rows = registered.execute("SELECT lon, lat FROM track_point ORDER BY at").fetchall()
    line = [Position(lon=lon, lat=lat) for lon, lat in rows]
    parts = (line[:358], line[358 : 358 + 176], line[358 + 176 :])
    assert sum(map(length_m, parts)) == pytest.approx(14_900, abs=50)


def gpx(*points: str, space: str = ' xmlns="http://www.topografix.com/GPX/1/1"') -> bytes:
    return f'<gpx version="1.1"{space}><trk><trkseg>{"".join(points)}</trkseg></trk></gpx>'.encode()


POINT = '<trkpt lat="36" lon="106"><ele>1700</ele><time>2026-07-01T08:00:00</time></trkpt>'


@pytest.mark.parametrize(
    "text",
    [gpx(POINT), gpx(POINT, space=""), b"\xef\xbb\xbf" + gpx(POINT), gpx(POINT).decode().encode("utf-16")],
)
def test_bom_no_namespace_and_times_without_offset(
    text: bytes, tmp_path: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.gpx").write_bytes(text)
    assert told(capsys, str(tmp_path / "a.gpx"), "--device", "ph-1")[0] == 0
    rows = registered.execute("SELECT device, at, lon, lat, altitude_m, extra FROM track_point").fetchall()
    assert rows == [("ph-1", datetime(2026, 7, 1, 8, tzinfo=UTC), 106, 36, 1700, None)], "GPX times are UTC"


@pytest.mark.parametrize(
    ("text", "device", "reason"),
    [
        (gpx(POINT), "ph-9", "device 'ph-9' is not registered"),
        (gpx(), "ph-1", "has no track points"),
        (b"lat,lon", "ph-1", "no GPX"),
        (gpx('<trkpt lat="36" lon="106"/>'), "ph-1", "nothing to place it by"),
    ],
)
def test_what_is_refused_whole(
    text: bytes, device: str, reason: str, tmp_path: Path, registered: Connection[Any]
) -> None:
    (tmp_path / "a.gpx").write_bytes(text)
    with pytest.raises(ValueError, match=reason):
        import_track.main([str(tmp_path / "a.gpx"), "--device", device])
    assert registered.execute("SELECT count(*) FROM track_point").fetchone() == (0,)


def test_what_is_exported_comes_back_the_same(
    tmp_path: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg"
    registered.execute(
        f"INSERT INTO track_point (device, region, received_at, {columns}) VALUES"
        " ('ph-1', '640402', now(), '2026-07-01 08:00Z', 106, 36, 1700, 4.5, 1.25, 270),"
        " ('ph-1', '640402', now(), '2026-07-01 08:01Z', 106, 36.001, NULL, NULL, NULL, NULL),"
        " ('ph-1', '640402', now(), '2026-07-01 09:00Z', 106, 36.5, NULL, 4.5, NULL, NULL)"
    )
    assert track.main(["ph-1", "--format", "gpx"]) == 0
    (tmp_path / "out.gpx").write_text(capsys.readouterr().out)
    code, report = told(capsys, str(tmp_path / "out.gpx"), "--device", "ph-2")
    assert (code, report["segments"], report["stored"]) == (0, 2, 3)
    of = f"SELECT {columns} FROM track_point WHERE device = %s ORDER BY at"
    assert registered.execute(of, ["ph-1"]).fetchall() == registered.execute(of, ["ph-2"]).fetchall()


def test_an_exercise_does_not_become_the_track_of_an_actual_device(
    tmp_path: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    phone = {"code": "real", "kind": "phone", "name": "r", "region": "640402", "mode": "actual"}
    register(registered, {"things": [phone]})
    registered.execute(
        "INSERT INTO track_point (device, at, lon, lat, region, received_at)"
        " VALUES ('ph-1', '2026-07-01Z', 106, 36, '640402', now())"
    )
    assert track.main(["ph-1", "--format", "gpx"]) == 0
    (tmp_path / "out.gpx").write_text(capsys.readouterr().out)
    with pytest.raises(ValueError, match=r"its track is not real \(exercise\), and real is actual"):
        import_track.main([str(tmp_path / "out.gpx"), "--device", "real"])


def test_the_line_for_people(
    tmp_path: Path, registered: Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    late = POINT.replace("2026", "2999")
    (tmp_path / "a.gpx").write_bytes(gpx(POINT, '<trkpt lat="36" lon="106"/>', late))
    assert import_track.main([str(tmp_path / "a.gpx"), "--device", "ph-1"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("ph-1: 3 points in 1 segments, 2 stored, 1 refused, 1 without a time")
    assert "more than 24 h ahead" in said.err
