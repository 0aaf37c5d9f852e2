"""Why a result may not be what it seems: marks that are stored beside it, and shown by every reader."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """Marks of a result, as the bits of the column `flags`; nothing is dropped for any of them."""

    #: outside of the datastream's valid range, or no number at all
    RANGE = 1
    #: observed more than five minutes after it was received, by the device's clock
    FUTURE = 2
    #: far from the results before it; taken back when the next one confirms it
    SPIKE = 4
    #: the same result for too long
    STUCK = 8
    #: changes faster than is possible for what is observed
    RATE = 16
    #: older than the device's last reset
    STALE = 32
    #: the first result of a counter that began anew
    RESET = 64
    #: the first result after a gap
    GAP = 128


#: models leave out results with one of these
DISTRUSTED = Flag.RANGE | Flag.FUTURE | Flag.SPIKE | Flag.STALE


def words(flags: int) -> list[str]:
    """Return the marks as words, in the order of their bits."""
    return [str(flag.name).lower() for flag in Flag(flags)]
