"""A lead with its evidence in the platform's own format; the bytes of a photo travel separately.

{"id", "kind", "lon", "lat", "seen_at", "note",
 "evidence": [{"id", "sha256", "media_type", "size", "captured_at", "lon"?, "lat"?}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain.lead import Evidence, Lead
from domain.wire import UP
from ingest import fields
from ingest.codecs import _own
from ingest.decoded import Decoded

TOPIC = f"{UP}/+/lead"


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one payload; ValueError when it is no JSON object."""
    return _own.read(topic, payload, _lead)


def _lead(device: str, name: str | None, message: Mapping[str, object]) -> Decoded:
    evidence: list[Evidence] = []
    problems: list[str] = []
    for place, item in enumerate(fields.entries(message, "evidence", ())):
        try:
            evidence.append(_evidence(fields.mapping(item)))
        except ValueError as error:
            problems.append(f"evidence[{place}]: {error}")
    lead = Lead(
        id=fields.identifier(message, "id"),
        device=device,
        kind=fields.text(message, "kind"),
        position=fields.position(message),
        seen_at=fields.time(message, "seen_at"),
        note=fields.text(message, "note", ""),
        evidence=tuple(evidence),
    )
    return Decoded(device=device, id=name, leads=(lead,), problems=tuple(problems))


def _evidence(item: Mapping[str, object]) -> Evidence:
    size = item.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 63:
        raise ValueError(f"size: {fields.quoted(size)} is no number of bytes")
    placed = item.get("lon") is not None or item.get("lat") is not None
    return Evidence(
        id=fields.identifier(item, "id"),
        sha256=fields.text(item, "sha256"),
        media_type=fields.text(item, "media_type"),
        size=size,
        captured_at=fields.time(item, "captured_at"),
        position=fields.position(item) if placed else None,
    )
