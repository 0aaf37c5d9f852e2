"""National stations that post over HTTP what others publish on `$dp`; the device stands in the topic.

Behind it stands the SHA-256 of the apikey where that came in a header; else the key is in the body.

Forms: {"deviceId", "apikey", "data": {device: {sensor: value}}}, also with bare sensors in `data`, and with
the type codes of 2019 ("103_1"), which `dp` refuses; in Guizhou {"datastreams": [{"id", "datapoints": [{"at",
"value"}]}]}; and raw GNSS observations (RTCM 3, which begins with D3). How values are read is told in `dp`.
Source: what public gateways and clients of the national platforms send.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from domain import wire
from ingest import fields
from ingest.codecs import dp
from ingest.decoded import Decoded, StationFile

TOPIC = ("http/dp/+", "http/dp/+/+")

#: names of sensors, as in L3_YL_1 and 103_1
SENSOR = re.compile(r"([A-Z]+\d*_[A-Z_]+|\d{3})_\d+", re.ASCII)
#: first byte of a message in RTCM 3
RTCM = b"\xd3"
BYTES = "application/octet-stream"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one body; ValueError: it is none of the forms."""
    device, key = [*topic.split("/"), ""][2:4]
    if payload[:1] == RTCM:
        raw = StationFile(thing=device, name="gpsInitial", media_type=BYTES, at=None, data=payload)
        return Decoded(device=device, files=(raw,), key_sha256=key)
    message = wire.decode(payload)
    if not key and isinstance(written := message.get("apikey"), str) and written:
        key = sha256(written.encode(errors="replace")).hexdigest()
    data = _datastreams(message) if "datastreams" in message else fields.mapping(message.get("data"))
    if data and all(SENSOR.fullmatch(name) for name in data):
        data = {device: data}
    decoded = dp.decode(dp.TOPIC, json.dumps(data).encode(), received_at)
    things = [each.thing for each in decoded.readings] + [each.thing for each in decoded.files]
    strangers = sorted(set(things) - {device})
    told = [f"{fields.quoted(device)} may not speak for {fields.quoted(each)}" for each in strangers]
    return decoded._replace(
        device=device,
        readings=tuple(reading for reading in decoded.readings if reading.thing == device),
        files=tuple(file for file in decoded.files if file.thing == device),
        key_sha256=key,
        problems=(*decoded.problems, *told),
    )


def _datastreams(message: Mapping[str, object]) -> Mapping[str, object]:
    """Return {sensor: {time: value}} of a list of datastreams with their points."""
    data: dict[str, dict[str, object]] = {}
    for item in fields.entries(message, "datastreams"):
        stream = fields.mapping(item)
        name = fields.text(stream, "id")
        values = data.setdefault(name, {})
        for point in map(fields.mapping, fields.entries(stream, "datapoints")):
            at = fields.text(point, "at")
            if at in values:
                raise ValueError(f"datastream {fields.quoted(name)}: two values at {fields.quoted(at)}")
            values[at] = point.get("value")
    return data
