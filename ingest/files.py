"""Anyone's files as messages on the real topics: captured `$dp` frames, GPX tracks, CSV columns."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path

from domain.clock import parse_time
from domain.wire import encode, make_id, up_topic
from ingest import enrol, gpx
from ingest.codecs import codec_of
from ingest.decoded import Decoded
from ingest.play import Message
from ingest.records import MODE, YUANZHOU, Source, in_order, observation

#: a track message carries this many points
POINTS = 100


def decoded(message: Message) -> Decoded:
    """Return what the codec of its topic reads in the message; only the problem where it can read nothing."""
    codec = codec_of(message.topic)
    try:
        if codec is None:
            raise ValueError(f"no codec reads the topic {message.topic}")
        return codec.decode(message.topic, message.payload, datetime.now(UTC))
    except ValueError as error:
        return Decoded(problems=(str(error),))


def dp(file: Path) -> Source:
    """Return the frames of a JSON-lines file in both type numberings (`frame_new_hex`, `frame_old_hex`).

    The two forms of one frame hold the same results, so the second is a repetition. What they tell of their
    devices, units included, is registered as the codec reads it.
    """
    now, region = datetime.now(UTC), YUANZHOU[0]
    frames = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    messages = [
        Message(at=now, topic=str(frame.get("topic", "$dp")), payload=bytes.fromhex(frame[form]))
        for frame in frames
        for form in ("frame_new_hex", "frame_old_hex")
        if form in frame
    ]
    streams: dict[str, dict[str, enrol.Entry]] = {}
    for content in map(decoded, messages):
        for sent in content.files:
            streams.setdefault(sent.thing, {})
        for reading in content.readings:
            known = streams.setdefault(reading.thing, {})
            if not isinstance(reading.result, str):
                known[reading.datastream] = enrol.stream(reading.datastream, "", reading.unit or "")
    things = [
        enrol.station(device, f"回放 replay: {device}", region, MODE, list(known.values()))
        for device, known in streams.items()
    ]
    return Source(registry={"things": things}, messages=messages)


def gpx_track(file: Path, device: str) -> Source:
    """Return a GPX track as the fixes of a phone, a hundred points to a message."""
    lines = gpx.segments(file.read_bytes())
    parts = [line[first : first + POINTS] for line in lines for first in range(0, len(line), POINTS)]
    messages = []
    for part in parts:
        points = [_point(fix) for fix in part]
        # the same points have the same id: a second replay is a repetition
        bits = int.from_bytes(sha256(encode({device: points})).digest()[:10], "big")
        name = make_id(max(0, int(part[0].at.timestamp() * 1000)), bits)
        payload = encode({"id": name, "points": points})
        messages.append(Message(at=part[-1].at, topic=up_topic(device, "track"), payload=payload))
    phone = enrol.phone(device, f"回放 replay: {file.name}", YUANZHOU[0], MODE)
    return Source(
        registry={"things": [phone]},
        messages=in_order(messages),
        segments=[(min(fix.at for fix in line), max(fix.at for fix in line)) for line in lines],
        untimed=sum(not fix.timed for line in lines for fix in line),
    )


def _point(fix: gpx.Fix) -> dict[str, object]:
    place = fix.position
    point: dict[str, object] = {"at": fix.at, "lon": place.lon, "lat": place.lat}
    return point if place.altitude_m is None else {**point, "altitude_m": place.altitude_m}


def csv_file(file: Path, thing: str, datastream: str, unit: str, zone: tzinfo | None = None) -> Source:
    """Return a CSV file with a time and a result in its first two columns; a blank result is a missing one.

    Times without an offset are in `zone`; without one they are refused with ValueError, which names the line.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = [row for row in enumerate(csv.reader(lines), start=1) if len(row[1]) > 1 and row[1][1].strip()]
    if rows and not any(character.isdigit() for character in rows[0][1][0]):
        rows.pop(0)  # the heading
    spoken = []
    for number, (time, result, *_) in rows:
        try:
            at, value = parse_time(time.strip(), zone), float(result)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
        spoken.append(observation(thing, at, {datastream: (value, unit)}))
    streams = [enrol.stream(datastream, "", unit)]
    station = enrol.station(thing, f"回放 replay: {file.name}", YUANZHOU[0], MODE, streams)
    return Source(registry={"things": [station]}, messages=in_order(spoken))
