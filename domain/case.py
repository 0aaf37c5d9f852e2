"""The words of an enforcement case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.clock import aware


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One enforcement case: opened from a lead, standing in one step of its process."""

    id: UUID
    number: str
    lead: UUID
    region: str
    step: str
    opened_at: datetime

    def __post_init__(self) -> None:
        aware(self.opened_at, "opening of the case")
