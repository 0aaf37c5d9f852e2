"""Tracks of real GPX files, points without a time, and files that must be refused."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from domain.geo import length_m
from ingest import gpx


def document(*segments: str, head: str = "", space: str = "http://www.topografix.com/GPX/1/1") -> bytes:
    lines = "".join(f"<trkseg>{points}</trkseg>" for points in segments)
    return f'<gpx version="1.1" xmlns="{space}">{head}<trk>{lines}</trk></gpx>'.encode()


def point(lon: float, lat: float, inside: str = "") -> str:
    return f'<trkpt lon="{lon}" lat="{lat}">{inside}</trkpt>'


def test_korita_zbevnica_has_871_points_on_14_9_km(data: Path) -> None:
    """The figures of gpx/SOURCE.txt; 358 of the points have no time."""
    lines = gpx.segments((data / "gpx/korita-zbevnica.gpx").read_bytes())
    assert [len(line) for line in lines] == [358, 176, 337]
    assert sum(length_m([fix.position for fix in line]) for line in lines) == pytest.approx(14_900, abs=50)
    assert sum(not fix.timed for line in lines for fix in line) == 358
    times = [fix.at for line in lines for fix in line]
    assert times == sorted(set(times))
    assert lines[1][0].at == datetime(2010, 10, 3, 9, 36, 30, tzinfo=UTC)
    assert lines[1][0].position.altitude_m is not None


@pytest.mark.parametrize(
    "name",
    [
        "Mojstrovka",
        "around-visnjan-with-car",
        "cerknicko-without-times",
        "gpx1.0_with_all_fields",
        "track-with-empty-segment",
        "unicode_with_bom",
    ],
)
def test_every_point_of_the_other_files_is_read(data: Path, name: str) -> None:
    text = (data / f"gpx/{name}.gpx").read_bytes()
    assert sum(map(len, gpx.segments(text))) == text.count(b"<trkpt")


def test_segments_without_times_lie_apart_and_before_the_others(data: Path) -> None:
    lines = gpx.segments((data / "gpx/cerknicko-without-times.gpx").read_bytes())
    for a, b in pairwise(lines):
        assert a[-1].at < b[0].at
    assert lines[0][-1].at + gpx.BEFORE == lines[1][0].at


def test_points_beside_timed_ones_keep_their_order() -> None:
    timed = point(15, 45, "<time>2026-07-01T00:00:00Z</time>")
    [line] = gpx.segments(document(point(14, 45) + timed + point(16, 45)))
    assert [fix.timed for fix in line] == [False, True, False]
    at = datetime(2026, 7, 1, tzinfo=UTC)
    assert [fix.at - at for fix in line] == [timedelta(milliseconds=ms) for ms in (-1, 0, 1)]


def test_time_of_the_file_serves_where_no_point_has_one() -> None:
    head = "<metadata><time>2026-07-01T10:00:00Z</time></metadata>"
    [line] = gpx.segments(document(point(14, 45) + point(15, 45), head=head))
    assert line[-1].at == datetime(2026, 7, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"lon,lat", "no GPX"),
        (b"<kml/>", "the document is a kml"),
        (document(point(14, 45)), "no time|has a time"),
        (document('<trkpt lon="14"/>', head="<time>2026-07-01T00:00:00Z</time>"), "has no 'lat'"),
        (document(point(14, 95), head="<time>2026-07-01T00:00:00Z</time>"), "outside -90..90"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        gpx.segments(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_would_fill_the_memory_are_refused(encoding: str) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE gpx [<!ENTITY e0 "lol">{entities}]><gpx><name>&e9;</name></gpx>'
    with pytest.raises(ValueError, match="DOCTYPE"):
        gpx.segments(bomb.encode(encoding))
