"""A patrol in the platform's own format, sent at its begin and at its end.

{"id", "inspector", "started_at", "ended_at"?}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain.patrol import Patrol
from domain.wire import UP
from ingest import fields
from ingest.codecs import _own
from ingest.decoded import Decoded

TOPIC = f"{UP}/+/patrol"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON object."""
    return _own.read(topic, payload, _patrol)


def _patrol(device: str, name: str | None, message: Mapping[str, object]) -> Decoded:
    patrol = Patrol(
        id=fields.identifier(message, "id"),
        device=device,
        inspector=fields.text(message, "inspector"),
        started_at=fields.time(message, "started_at"),
        ended_at=None if message.get("ended_at") is None else fields.time(message, "ended_at"),
    )
    return Decoded(device=device, id=name, patrols=(patrol,))
