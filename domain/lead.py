"""A suspected violation or danger seen in the field, and its proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.clock import aware
from domain.geo import Position

#: kind of lead -> (Chinese, English); "geohazard" is a danger, the others are suspected violations
LEAD_KINDS = {
    "illegal_mining": ("非法采矿", "illegal mining"),
    "illegal_land_use": ("违法占地", "illegal land use"),
    "illegal_building": ("违法建设", "illegal building"),
    "dumping": ("违法倾倒", "dumping"),
    "geohazard": ("地质灾害险情", "geohazard"),
    "other": ("其他", "other"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A photo or file: its SHA-256 (hex) sealed at capture; the bytes travel separately."""

    id: UUID
    sha256: str
    media_type: str
    size: int
    captured_at: datetime
    position: Position | None = None

    def __post_init__(self) -> None:
        aware(self.captured_at, "capture time")
        if len(self.sha256) != 64 or not all(c in "0123456789abcdef" for c in self.sha256):
            raise ValueError(f"sha256 must be 64 lower-case hex digits, not {self.sha256[:70]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What an inspector saw: kind, place, time, note; its id was made on the phone (UUIDv7)."""

    id: UUID
    device: str
    kind: str
    position: Position
    seen_at: datetime
    note: str = ""
    evidence: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        aware(self.seen_at, "time of the lead")
        if self.kind not in LEAD_KINDS:
            raise ValueError(f"kind of lead {self.kind!r} is none of {', '.join(LEAD_KINDS)}")
