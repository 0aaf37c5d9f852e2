"""Tracks as files: against the schema of GPX 1.1, RFC 7946, the KML reference and RFC 4180."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest

from domain.geo import Position
from domain.patrol import TrackPoint
from domain.track_format import FORMATS, LABELS, NAMESPACE, Subject

AT = datetime(2026, 8, 12, 11, 0, tzinfo=timezone(timedelta(hours=8)))
REAL = Subject(device="mei/ph-3", name='巡查 <1> & "2"', mode="actual")


def fix(minutes: int, lat: float, **more: Any) -> TrackPoint:
    altitude = more.pop("altitude_m", None)
    place = Position(lon=106.25, lat=lat, altitude_m=altitude)
    return TrackPoint(device="mei/ph-3", at=AT + timedelta(minutes=minutes), position=place, **more)


#: two pieces, 3.3 km apart; everything known, nothing known, a made-up time, a tiny number
TRACK = [
    fix(0, 35.9, altitude_m=1800.5, accuracy_m=4.5, speed_m_s=1e-7, course_deg=270,
        extra={"battery": 71, "mock": True}),
    fix(1, 35.91),
    fix(2, 35.94, extra={"untimed": True}),
]  # fmt: skip


def written(form: str, subject: Subject = REAL, track: list[TrackPoint] = TRACK) -> str:
    return "".join(FORMATS[form].write(subject, iter(track)))


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own


#: GPX 1.1, http://www.topografix.com/GPX/1/1/gpx.xsd: the children of each type, in the order of the sequence
WPT = ("ele time magvar geoidheight name cmt desc src link sym type fix sat hdop vdop pdop ageofdgpsdata"
       " dgpsid extensions")  # fmt: skip
SEQUENCES = {
    "gpx": "metadata wpt rte trk extensions",
    "metadata": "name desc author copyright link time keywords bounds extensions",
    "trk": "name cmt desc src link number type extensions trkseg",
    "trkseg": "trkpt extensions",
    "trkpt": WPT,
}
GPX = "{http://www.topografix.com/GPX/1/1}"


def check_gpx(element: ElementTree.Element) -> None:
    """Hold the element and what is in it against the sequences and simple types of the schema."""
    name = element.tag.removeprefix(GPX)
    if name in SEQUENCES:
        order = SEQUENCES[name].split()
        places = [order.index(child.tag.removeprefix(GPX)) for child in element]
        assert places == sorted(places), f"children of {name} are out of order"
    if name == "trkpt":
        assert set(element.attrib) == {"lat", "lon"}
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in element.attrib.values())
    if name == "ele":
        assert re.fullmatch(r"-?\d+(\.\d+)?", element.text or ""), "xsd:decimal has no exponent"
    if name == "time":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", element.text or "")
    if name == "extensions":
        assert all(child.tag.startswith("{" + NAMESPACE + "}") for child in element), "another namespace"
        return
    for child in element:
        check_gpx(child)


@pytest.mark.parametrize("mode", LABELS)
def test_gpx_keeps_to_its_schema(mode: str) -> None:
    root = parsed(written("gpx", Subject(device="d", name="n", mode=mode)))
    assert (root.tag, root.attrib) == (f"{GPX}gpx", {"version": "1.1", "creator": "Liupan"})
    check_gpx(root)
    assert (root.findtext(f"{GPX}metadata/{GPX}desc") or "") == LABELS[mode]


def test_gpx_says_everything() -> None:
    root = parsed(written("gpx"))
    assert root.findtext(f"{GPX}trk/{GPX}name") == REAL.name
    lines = [list(segment) for segment in root.iter(f"{GPX}trkseg")]
    assert [len(line) for line in lines] == [2, 1], "a gap is a new segment"
    first, second, third = (point for line in lines for point in line)
    assert first.attrib == {"lat": "35.9", "lon": "106.25"}
    assert (first.findtext(f"{GPX}ele"), first.findtext(f"{GPX}time")) == ("1800.5", "2026-08-12T03:00:00Z")
    said = {child.tag.partition("}")[2]: child.text for child in first.find(f"{GPX}extensions") or ()}
    assert said == {"accuracy": "4.5", "speed": "0.0000001", "course": "270", "battery": "71", "mock": "true"}
    assert [child.tag for child in second] == [f"{GPX}time"]
    assert list(third) == [], "a made-up time is not passed on as one"


def test_geojson() -> None:
    """RFC 7946: lon before lat, no crs, a line has two positions at least."""
    collection = json.loads(written("geojson"))
    assert (collection["type"], collection["mode"], collection["label"]) == (
        "FeatureCollection",
        "actual",
        "",
    )
    assert "crs" not in collection
    line, lonely = collection["features"]
    assert line["geometry"] == {
        "type": "LineString",
        "coordinates": [[106.25, 35.9, 1800.5], [106.25, 35.91]],
    }
    assert lonely["geometry"] == {"type": "Point", "coordinates": [106.25, 35.94]}
    properties = line["properties"]
    assert properties["coordTimes"] == ["2026-08-12T03:00:00Z", "2026-08-12T03:01:00Z"]
    assert (properties["accuracy_m"], properties["mock"]) == ([4.5, None], [True, None])
    assert lonely["properties"]["coordTimes"] == [None]
    assert json.loads(written("geojson", track=[]))["features"] == []


def test_kml() -> None:
    """KML reference of Google: as many `when` as `gx:coord` in a gx:Track, and those come first."""
    root = parsed(written("kml"))
    kml, gx = "{http://www.opengis.net/kml/2.2}", "{http://www.google.com/kml/ext/2.2}"
    assert root.tag == f"{kml}kml"
    tracks = list(root.iter(f"{gx}Track"))
    names = [[child.tag for child in track] for track in tracks]
    assert names == [[f"{kml}altitudeMode", *[f"{kml}when"] * n, *[f"{gx}coord"] * n] for n in (2, 1)]
    assert [c.text for c in tracks[0].iter(f"{gx}coord")] == ["106.25 35.9 1800.5", "106.25 35.91 0"]
    assert [w.text for w in tracks[0].iter(f"{kml}when")] == ["2026-08-12T03:00:00Z", "2026-08-12T03:01:00Z"]
    assert {track.findtext(f"{kml}altitudeMode") for track in tracks} == {"clampToGround"}


def test_csv() -> None:
    text = written("csv", Subject(device='马,"1"', name="n", mode="exercise"))
    assert text.count("\r\n") == 4, "RFC 4180"
    first, second, third = csv.DictReader(io.StringIO(text))
    assert first == {
        "device": '马,"1"', "mode": "exercise", "segment": "1", "at": "2026-08-12T03:00:00Z", "lon": "106.25",
        "lat": "35.9", "altitude_m": "1800.5", "accuracy_m": "4.5", "speed_m_s": "0.0000001",
        "course_deg": "270", "battery": "71", "mock": "true", "untimed": "",
    }  # fmt: skip
    assert (second["segment"], second["accuracy_m"]) == ("1", "")
    assert (third["segment"], third["untimed"]) == ("2", "true")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["exercise", "test", "unknown"])
def test_a_track_that_is_not_real_is_labelled_in_every_file(form: str, mode: str) -> None:
    text = written(form, Subject(device="d", name="n", mode=mode))
    assert mode in text if form == "csv" else LABELS[mode] in text
    assert LABELS[mode] not in written(form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_track_is_written_while_it_is_read(form: str) -> None:
    read = 0

    def fixes() -> Iterator[TrackPoint]:
        nonlocal read
        for number in range(10):  # each is a piece of its own
            read += 1
            yield fix(number, 30 + number)

    text = FORMATS[form].write(REAL, fixes())
    assert next(text)
    assert next(text)
    assert read < 10


@pytest.mark.parametrize("form", FORMATS)
def test_names_with_anything_in_them(form: str) -> None:
    text = written(form, Subject(device="d", name="a\0b\x1b]]>&<", mode="actual"))
    if form in ("gpx", "kml"):
        assert "a?b?]]>&<" in "".join(parsed(text).itertext())
    text.encode()
