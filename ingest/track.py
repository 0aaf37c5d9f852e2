"""`liupan track`: the stored fixes of a device as a track, told in a line or written as a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection

from domain.clock import parse_time
from domain.geo import Position, length_m, pieces
from domain.patrol import TrackPoint
from domain.settings import Settings
from domain.track_format import FORMATS, Subject
from domain.wire import encode


def main(argv: list[str]) -> int:
    """Print what is known of the track; exit code 1 when there is no fix."""
    parser = argparse.ArgumentParser(prog="liupan track", description="Show the stored track of a device.")
    parser.add_argument("device")
    parser.add_argument(
        "--from", dest="start", type=parse_time, help="only fixes from this time (ISO 8601) on"
    )
    parser.add_argument("--to", dest="end", type=parse_time, help="only fixes until this time (ISO 8601)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--geojson", action="store_true", help="print a GeoJSON Feature (RFC 7946)")
    form.add_argument("--format", choices=list(FORMATS), help="write the track as such a file")
    args = parser.parse_args(argv)
    with psycopg.connect(Settings.from_env().database(), autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        fixes = read_track(conn, args.device, args.start, args.end)
        subject = read_subject(conn, args.device)
    if not fixes:
        print(f"no fix of {args.device!r} is stored for this time", file=sys.stderr)
        return 1
    told = summary(fixes)
    if args.format:
        sys.stdout.writelines(FORMATS[args.format].write(subject, fixes))
    elif args.geojson:
        print(encode(feature(fixes)).decode())
    elif args.json:
        print(encode(told).decode())
    else:
        print(
            "{device}: {points} points in {pieces} pieces, {length_km} km, from {started} to {ended}".format(
                **told
            )
        )
    return 0


def read_subject(conn: Connection[Any], device: str) -> Subject:
    """Return the device as a file names it; its mode is `unknown` when it is not registered."""
    row = conn.execute("SELECT name, mode FROM thing WHERE code = %s", (device,)).fetchone()
    name, mode = row or (device, "unknown")
    return Subject(device=device, name=name, mode=mode)


def read_track(
    conn: Connection[Any], device: str, start: datetime | None = None, end: datetime | None = None
) -> list[TrackPoint]:
    """Return the device's fixes between two times (both included), in the order of their times."""
    rows = conn.execute(
        "SELECT at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg, extra FROM track_point"
        " WHERE device = %s AND at >= coalesce(%s::timestamptz, '-infinity')"
        " AND at <= coalesce(%s::timestamptz, 'infinity')"
        " ORDER BY at, received_at",
        (device, start, end),
    )
    return [
        TrackPoint(
            device=device,
            at=at,
            position=Position(lon=lon, lat=lat, altitude_m=altitude_m),
            accuracy_m=accuracy_m,
            speed_m_s=speed_m_s,
            course_deg=course_deg,
            extra=extra,
        )
        for at, lon, lat, altitude_m, accuracy_m, speed_m_s, course_deg, extra in rows
    ]


def summary(fixes: Sequence[TrackPoint]) -> Mapping[str, object]:
    """Return device, points, pieces, length (km, through the raw fixes), first and last time."""
    parts = pieces([fix.position for fix in fixes])
    return {
        "device": fixes[0].device,
        "points": len(fixes),
        "pieces": len(parts),
        "length_km": round(sum(map(length_m, parts)) / 1000, 3),
        "started": fixes[0].at,
        "ended": fixes[-1].at,
    }


def feature(fixes: Sequence[TrackPoint]) -> Mapping[str, object]:
    """Return the track as a GeoJSON Feature of its pieces (one fix stands twice) and their `coordTimes`."""
    lines = [
        [_coordinates(position) for position in (part if len(part) > 1 else part * 2)]
        for part in pieces([fix.position for fix in fixes])
    ]
    geometry = {"type": "MultiLineString", "coordinates": lines}
    properties = {**summary(fixes), "coordTimes": [fix.at for fix in fixes]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _coordinates(place: Position) -> list[float]:
    return [place.lon, place.lat] if place.altitude_m is None else [place.lon, place.lat, place.altitude_m]
