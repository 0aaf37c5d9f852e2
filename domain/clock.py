"""Times that know their offset; the one place where a time is read from text."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def aware(at: datetime, name: str = "time") -> datetime:
    """Return the time itself, or raise ValueError when it has no UTC offset."""
    if at.utcoffset() is None:
        raise ValueError(f"{name} {at.isoformat()} has no UTC offset")
    return at


def parse_time(text: str, naive: tzinfo | None = None) -> datetime:
    """Return the time written in ISO 8601, in UTC.

    A time without an offset is taken to be in the zone `naive`; without one ValueError is raised.
    """
    at = datetime.fromisoformat(text)
    if at.utcoffset() is None:
        if naive is None:
            raise ValueError(f"time {text!r} has no UTC offset: write +08:00 or Z behind it")
        at = at.replace(tzinfo=naive)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time {text!r} lies outside the years 1 to 9999 in UTC") from None


def from_epoch(seconds: float) -> datetime:
    """Return the time that many seconds after 1970-01-01T00:00:00Z; ValueError beyond year 9999."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} s since 1970 is no time: {error}") from error
