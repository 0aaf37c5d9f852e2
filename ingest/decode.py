"""`liupan decode`: what a payload holds, without storing anything."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from domain.patrol import TrackPoint
from domain.settings import Settings
from domain.wire import encode
from ingest.codecs import Codec, configure, load, sender_in
from ingest.decoded import Decoded, StationFile


def main(argv: list[str]) -> int:
    """Print what the payload holds, one JSON object per line; exit code 1 when a part cannot be read."""
    parser = argparse.ArgumentParser(prog="liupan decode", description="Show what a payload holds.")
    parser.add_argument("codec", help=f"one of {', '.join(load())}")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--hex", help="the payload in hexadecimal digits")
    source.add_argument("--file", type=Path, help="file that holds the payload")
    parser.add_argument("--topic", help="MQTT topic that it came on; it may name the sender")
    parser.add_argument("--json", action="store_true", help="one JSON object per line, as without it")
    args = parser.parse_args(argv)
    if (codec := load().get(args.codec)) is None:
        parser.error(f"no codec {args.codec!r}; there are {', '.join(load())}")
    try:
        configure(Settings.from_env())
        payload = args.file.read_bytes() if args.file else bytes.fromhex(args.hex)
        decoded, unknown = _decode(codec, args.topic, payload)
    except OSError as error:
        print(f"{args.file}: {error.strerror}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for line in lines(decoded):
        if line.get("thing") == unknown:
            line["thing"] = None
        # a lone surrogate, legal in JSON, is written as the escape that it came as
        print(json.dumps(line, ensure_ascii=False).encode(errors="backslashreplace").decode())
    for problem in decoded.problems:
        print(problem, file=sys.stderr)
    return 1 if decoded.problems else 0


def lines(decoded: Decoded) -> Iterator[dict[str, Any]]:
    """Yield one object per observation, fix or other content; None where the payload has none."""
    for reading in decoded.readings:
        at = reading.phenomenon_time
        yield {
            "thing": reading.thing,
            "datastream": reading.datastream,
            "phenomenon_time": at.isoformat() if at else None,
            "result": reading.result,
            "unit": reading.unit,
        }
    for result in decoded.numbered:
        at = result.phenomenon_time
        yield {
            "thing": "",
            "datastream": f"Datastreams({result.datastream})",
            "phenomenon_time": at.isoformat() if at else None,
            "result": result.result,
            "unit": None,
        }
    yield from map(_location, decoded.fixes)
    yield from map(_file, decoded.files)
    said = {
        "patrol": decoded.patrols,
        "lead": decoded.leads,
        "answer": decoded.answers,
        "reply": decoded.replies,
        "report": decoded.reports,
    }
    for kind, items in said.items():
        for item in items:
            yield {"kind": kind, **json.loads(encode(item))}


def _location(fix: TrackPoint) -> dict[str, Any]:
    place = fix.position
    altitude = [] if place.altitude_m is None else [place.altitude_m]
    return {
        "thing": fix.device,
        "datastream": "location",
        "phenomenon_time": fix.at.isoformat(),
        "result": {"type": "Point", "coordinates": [place.lon, place.lat, *altitude]},
        "unit": None,
        "accuracy_m": fix.accuracy_m,
        "speed_m_s": fix.speed_m_s,
        "course_deg": fix.course_deg,
        **({"extra": fix.extra} if fix.extra else {}),
    }


def _file(file: StationFile) -> dict[str, Any]:
    return {
        "kind": "file",
        "thing": file.thing,
        "name": file.name,
        "media_type": file.media_type,
        "at": file.at.isoformat() if file.at else None,
        "description": file.description,
        "size": len(file.data),
        "sha256": sha256(file.data).hexdigest(),
    }


def _decode(codec: Codec, topic: str | None, payload: bytes) -> tuple[Decoded, str]:
    """Return the contents and, when no topic is given, what stands in them for the unknown sender."""
    if topic is not None and not codec.filter_of(topic):
        raise ValueError(f"{codec.name} reads topics like {codec.topics[0]}, not {topic}")
    some_topic = codec.topics[0].replace("+", "?")
    decoded = codec.decode(some_topic if topic is None else topic, payload, datetime.now(UTC))
    return decoded, sender_in(codec.topics[0], some_topic) if topic is None else ""
