"""Warning levels and alerts: the four colours and what CAP 1.2 calls them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Level(IntEnum):
    """Warning level of a site, ordered; red is the gravest (地质灾害气象风险预警 四级)."""

    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """The lower-case name, as it stands in rules, tables and topics."""
        return self.name.lower()

    @property
    def zh(self) -> str:
        """The Chinese colour name."""
        return ("无", "蓝色", "黄色", "橙色", "红色")[self]

    @classmethod
    def of(cls, word: str) -> Level:
        """Return the level of that name; ValueError for any other word."""
        try:
            return cls[word.upper()]
        except KeyError:
            words = ", ".join(level.word for level in cls)
            raise ValueError(f"level {word!r} is none of {words}") from None


class MessageType(StrEnum):
    """What an alert does to the alerts before it (CAP 1.2 msgType)."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
