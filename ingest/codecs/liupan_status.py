"""A phone's answer to an order or an alert, in the platform's own format.

{"id", "subject", "state", "at"}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain.wire import UP
from ingest import fields
from ingest.codecs import _own
from ingest.decoded import Answer, Decoded

TOPIC = f"{UP}/+/status"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON object."""
    return _own.read(topic, payload, _answer)


def _answer(device: str, name: str | None, message: Mapping[str, object]) -> Decoded:
    answer = Answer(
        id=fields.identifier(message, "id"),
        device=device,
        subject=fields.identifier(message, "subject"),
        state=fields.text(message, "state"),
        at=fields.time(message, "at"),
    )
    return Decoded(device=device, id=name, answers=(answer,))
