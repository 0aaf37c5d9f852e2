"""Replies of national stations to commands, on `$dr`: see domain/reply.py.

The topic does not tell who replies: the msgid does, which was made for one command to one device. What is
framed there without `$cmd` is data as on `$dp`.
"""

from __future__ import annotations

from datetime import datetime

from domain import reply
from ingest.codecs import dp
from ingest.decoded import Decoded

TOPIC = reply.TOPIC


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError: it is no reply, or it does not say to what."""
    if b"$cmd=" not in payload[:8] and b"{" in payload[:8]:
        return dp.decode(dp.TOPIC, payload, received_at)
    said = reply.parse(payload)
    if not said.msgid:
        raise ValueError(f"a reply to {said.name} without msgid: nobody can tell to which command")
    return Decoded(replies=(said,))
