"""National geohazard stations on `$dp`: frames around {device: {sensor: value}}, files, encrypted messages.

The topic does not tell who sends: a device is who it says it is, unless the broker's own rules know better.
Sources and forms stand in the parts: `_dp_frame`, `_dp_sensors`, `_dp_types`, `_dp_file`, `_dp_wrapped`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain import wire
from ingest.codecs import _dp_file, _dp_frame, _dp_sensors, _dp_wrapped
from ingest.decoded import Decoded

TOPIC = "$dp"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload: results, states, raw observations, or a file.

    ValueError: it is no frame and no JSON, it is without a device, or it is encrypted and no key opens it.
    """
    body, file = _dp_frame.split(payload)
    message = wire.decode(body)
    app = _dp_wrapped.app_of(message)
    if app is None:
        return _contents(message, file)
    if file:
        raise ValueError(f"appId {app}: {len(file)} bytes stand behind the encrypted message, where none may")
    frame = _dp_wrapped.unwrap(app, message)
    try:
        body, file = _dp_frame.split(frame)
        return _contents(wire.decode(body), file)
    except ValueError as error:
        raise ValueError(f"appId {app}: decrypted, but is it the right key? {error}") from None


def _contents(message: Mapping[str, object], file: bytes) -> Decoded:
    if _dp_wrapped.app_of(message) is not None:
        raise ValueError("encrypted twice")
    if "ds_id" in message:
        described = _dp_file.described(message, file)
        return Decoded(device=described.thing, files=(described,))
    found = _dp_sensors.read(message)
    if file:
        try:
            found.files.append(_dp_file.behind(message, file))
        except ValueError as error:
            found.problems.append(str(error))
    return Decoded(
        device=next(iter(message)),
        readings=tuple(found.readings),
        files=tuple(found.files),
        problems=tuple(found.problems),
    )
