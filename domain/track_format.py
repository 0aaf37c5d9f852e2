"""A track as a file: GPX 1.1, GeoJSON (RFC 7946), KML 2.2 with gx:Track, CSV (RFC 4180); piece by piece.

WGS-84 degrees, metres, m/s, degrees from north, times in UTC. Where something is not recorded (`geo.GAP_M`)
the line is interrupted: a new segment, feature, track. Each file says whose track it is and if it is real.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from xml.sax.saxutils import escape

from domain.geo import GAP_M, distance_m
from domain.patrol import TrackPoint

#: namespace of what GPX 1.1 has no element for
NAMESPACE = "urn:liupan:track:1"

#: mode of the thing -> what a reader must know, '' for real tracks
LABELS: Mapping[str, str] = {
    "actual": "",
    "exercise": "演练数据,非真实轨迹 / EXERCISE: simulated, not a real track",
    "test": "测试数据,非真实轨迹 / TEST: not a real track",
    "unknown": "设备未登记,来源不明 / the device is not registered: nobody knows whether this is real",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose track it is: code and name of the device, and its mode, one of LABELS."""

    device: str
    name: str
    mode: str

    @property
    def label(self) -> str:
        """What a reader must know before he believes the track."""
        return LABELS[self.mode]


@dataclass(frozen=True, slots=True)
class Format:
    """How a track is written, and as which media type."""

    media_type: str
    write: Callable[[Subject, Iterable[TrackPoint]], Iterator[str]]


def segments(fixes: Iterable[TrackPoint]) -> Iterator[list[TrackPoint]]:
    """Yield the fixes, which come in the order of their times, in pieces: cut where two lie GAP_M apart."""
    piece: list[TrackPoint] = []
    for fix in fixes:
        if piece and distance_m(piece[-1].position, fix.position) > GAP_M:
            yield piece
            piece = []
        piece.append(fix)
    if piece:
        yield piece


def gpx(subject: Subject, fixes: Iterable[TrackPoint]) -> Iterator[str]:
    """Yield GPX 1.1 (topografix.com/GPX/1/1/gpx.xsd); a time that was made up is left out."""
    name, label = _xml(subject.name), _xml(subject.label)
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="Liupan" xmlns="http://www.topografix.com/GPX/1/1"'
        f' xmlns:lp="{NAMESPACE}">\n'
        f"<metadata><name>{name}</name>{_element('desc', label)}</metadata>\n"
        f"<trk><name>{name}</name>{_element('desc', label)}<src>{_xml(subject.device)}</src>\n"
        f"<extensions><lp:mode>{_xml(subject.mode)}</lp:mode></extensions>\n"
    )
    for piece in segments(fixes):
        yield "<trkseg>\n"
        yield from map(_trkpt, piece)
        yield "</trkseg>\n"
    yield "</trk>\n</gpx>\n"


def _trkpt(fix: TrackPoint) -> str:
    more = {"accuracy": fix.accuracy_m, "speed": fix.speed_m_s, "course": fix.course_deg}
    said = "".join(_element(f"lp:{name}", _number(value)) for name, value in more.items())
    said += _element("lp:battery", _number(_extra(fix, "battery"))) + _element("lp:mock", _flag(fix, "mock"))
    place = fix.position
    return (
        f'<trkpt lat="{_number(place.lat)}" lon="{_number(place.lon)}">'
        f"{_element('ele', _number(place.altitude_m))}{_element('time', _time(fix))}"
        f"{_element('extensions', said)}</trkpt>\n"
    )


def geojson(subject: Subject, fixes: Iterable[TrackPoint]) -> Iterator[str]:
    """Yield a FeatureCollection, a LineString for each piece, a Point where a piece is one fix.

    The properties have one value for each position: `coordTimes`, `accuracy_m`, `speed_m_s`, `course_deg`.
    """
    about = {"device": subject.device, "name": subject.name, "mode": subject.mode, "label": subject.label}
    yield '{"type":"FeatureCollection","features":['
    for number, piece in enumerate(segments(fixes)):
        yield ("," if number else "") + _json(_feature(piece, {**about, "segment": number + 1}))
    yield "]," + _json(about)[1:] + "\n"


def _feature(piece: Sequence[TrackPoint], about: Mapping[str, object]) -> Mapping[str, object]:
    line = [_coordinates(fix) for fix in piece]
    properties = {
        **about,
        "coordTimes": [_time(fix) or None for fix in piece],
        "accuracy_m": [fix.accuracy_m for fix in piece],
        "speed_m_s": [fix.speed_m_s for fix in piece],
        "course_deg": [fix.course_deg for fix in piece],
        "mock": [_extra(fix, "mock") for fix in piece],
    }
    geometry = (
        {"type": "LineString", "coordinates": line}
        if len(line) > 1
        else {"type": "Point", "coordinates": line[0]}
    )
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def kml(subject: Subject, fixes: Iterable[TrackPoint]) -> Iterator[str]:
    """Yield KML 2.2 with a gx:Track for each piece (developers.google.com/kml), drawn on the ground.

    A gx:coord needs an altitude: one that is not known is written as 0, which clampToGround does not use.
    """
    name, label = _xml(subject.name), _xml(subject.label)
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">\n'
        f"<Document><name>{name}</name>{_element('description', label)}\n"
    )
    for number, piece in enumerate(segments(fixes), start=1):
        yield f"<Placemark><name>{name} {number}</name>{_element('description', label)}<gx:Track>\n"
        yield "<altitudeMode>clampToGround</altitudeMode>\n"
        yield from (f"<when>{_time(fix, made_up=True)}</when>\n" for fix in piece)
        for fix in piece:
            lon, lat, *altitude = _coordinates(fix)
            height = _number(altitude[0]) if altitude else "0"
            yield f"<gx:coord>{_number(lon)} {_number(lat)} {height}</gx:coord>\n"
        yield "</gx:Track></Placemark>\n"
    yield "</Document></kml>\n"


def table(subject: Subject, fixes: Iterable[TrackPoint]) -> Iterator[str]:
    """Yield CSV with a header; `mode` stands in every row, an unknown value is empty."""
    header = ["device", "mode", "segment", "at", "lon", "lat", "altitude_m", "accuracy_m", "speed_m_s",
              "course_deg", "battery", "mock", "untimed"]  # fmt: skip
    yield _row(header)
    for number, piece in enumerate(segments(fixes), start=1):
        for fix in piece:
            place = fix.position
            values = (place.lon, place.lat, place.altitude_m, fix.accuracy_m, fix.speed_m_s, fix.course_deg)
            flags = [_number(_extra(fix, "battery")), _flag(fix, "mock"), _flag(fix, "untimed")]
            at = _time(fix, made_up=True)
            yield _row([subject.device, subject.mode, str(number), at, *map(_number, values), *flags])


#: name, which is also the ending of the file -> how it is written
FORMATS: Mapping[str, Format] = {
    "gpx": Format("application/gpx+xml", gpx),
    "geojson": Format("application/geo+json", geojson),
    "kml": Format("application/vnd.google-earth.kml+xml", kml),
    "csv": Format("text/csv; charset=utf-8", table),
}


def _coordinates(fix: TrackPoint) -> list[float]:
    place = fix.position
    return [place.lon, place.lat, *([] if place.altitude_m is None else [place.altitude_m])]


def _time(fix: TrackPoint, *, made_up: bool = False) -> str:
    if _extra(fix, "untimed") and not made_up:
        return ""
    return fix.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _extra(fix: TrackPoint, name: str) -> object:
    return (fix.extra or {}).get(name)


def _flag(fix: TrackPoint, name: str) -> str:
    value = _extra(fix, name)
    return str(value).lower() if isinstance(value, bool) else ""


def _number(value: object) -> str:
    """Return a number without exponent, as xsd:decimal wants it; '' for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>" if text else ""


def _xml(text: str) -> str:
    return escape("".join(c if c.isprintable() else "?" for c in text))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _row(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
