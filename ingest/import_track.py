"""`liupan import-track`: a GPX file into the stored track of a device, in one transaction.

It goes past the broker, which a file on this machine does not need: what is told is told after the commit,
and a second import is absorbed by the keys of the fixes. Whoever imports is there to read what is refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from domain.patrol import TrackPoint
from domain.settings import Settings
from domain.wire import encode
from ingest import gpx
from ingest.decoded import Decoded
from ingest.quarantine import reason_of
from ingest.registry import Registry
from ingest.resolve import Arrival, resolve
from ingest.store import keep


def main(argv: list[str]) -> int:
    """Import one file; exit code 1 when a point of it is not stored. ValueError: it is no GPX file."""
    parser = argparse.ArgumentParser(
        prog="liupan import-track", description="把 GPX 文件存为设备的轨迹 / store a GPX file as a track."
    )
    parser.add_argument("file", type=Path, help="GPX 1.0 or 1.1")
    parser.add_argument("--device", required=True, metavar="CODE", help="the registered device")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    text = args.file.read_bytes()
    with psycopg.connect(Settings.from_env().database(), autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        told = store(conn, args.device, text, datetime.now(UTC))
    if args.json:
        print(encode(told).decode())
    else:
        print("{device}: {points} points in {segments} segments, {stored} stored, {refused} refused,"
              " {untimed} without a time (placed beside or before the others)".format(**told))  # fmt: skip
        if told["reason"]:
            print(told["reason"], file=sys.stderr)
    return 1 if told["refused"] else 0


def store(conn: Connection[Any], device: str, text: bytes, now: datetime) -> dict[str, object]:
    """Store the points of a GPX file as fixes of the device and commit; return what became of them.

    Points that are stored already count as stored. ValueError: no GPX, no track in it, a device that is not
    registered, or a track that our own export calls synthetic for an actual device.
    """
    lines = gpx.segments(text)
    if not lines:
        raise ValueError("the GPX file has no track points: waypoints and routes are no record of a way")
    fixes = tuple(_fix(device, fix) for line in lines for fix in line)
    arrival = Arrival(
        topic=f"file/gpx/{device}", payload=text, received_at=now, decoded=Decoded(device=device, fixes=fixes)
    )
    registry = Registry()
    batch = resolve(conn, registry, [arrival], time.monotonic())
    [contents] = batch.contents
    if device not in registry.senders:
        raise ValueError(reason_of(contents.problems))
    if gpx.mode(text) not in ("", "actual") and registry.senders[device].mode == "actual":
        raise ValueError(
            f"the file says that its track is not real ({gpx.mode(text)}), and {device} is actual"
        )
    with conn.transaction():
        [outcome], _ = keep(conn, registry, batch)  # it has no observations
    return {
        "device": device,
        "points": len(fixes),
        "segments": len(lines),
        "stored": len(contents.fixes),
        "refused": len(fixes) - len(contents.fixes),
        "untimed": sum(not fix.timed for line in lines for fix in line),
        "reason": outcome.reason,
    }


def _fix(device: str, fix: gpx.Fix) -> TrackPoint:
    """Return the point as a fix; what was made up of it is marked, for whoever reads the track."""
    extra = None if fix.timed else {"untimed": True}
    return TrackPoint(device=device, at=fix.at, position=fix.position, extra=extra, **fix.measured)
