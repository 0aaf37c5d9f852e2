"""The text of an SL 651-2014 report: station, time of observation, and the elements observed then.

Source: SL 651-2014, 6.6.2.8 (what the times mean), 6.6.3.3 (numbers), 6.6.4.4 (series), tables 26 and C.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from domain.thing import Reading
from ingest.codecs._sl651_elements import CLASSES, ELEMENTS, SERIES, STATES
from ingest.decoded import StationFile

BEIJING = timezone(timedelta(hours=8))
#: the standard was published in January of this year: what is older comes from a clock that was never set
PUBLISHED = 2014
FIVE_MINUTES, HOUR = timedelta(minutes=5), timedelta(hours=1)
#: identifiers that say what follows, not what was observed; all but STEP stand twice
TIME, STATION, MANUAL, PICTURE, VELOCITIES, STEP, STATE, MORE = 0xF0, 0xF1, 0xF2, 0xF3, 0xFD, 0x04, 0x45, 0xFF
#: first bytes of a JPEG
JPEG = b"\xff\xd8"
#: after so many problems a text is no report, and the rest of it is not looked at
PROBLEMS = 100
#: lengths (bytes) of addresses and times behind their identifiers
ADDRESS, MOMENT = 5, 5


@dataclass(slots=True, kw_only=True)
class Text:
    """What has been read of a text so far, and where the next element stands (`at`)."""

    data: bytes
    station: str
    time: datetime | None
    #: reports of series have one element with many results, one step apart
    is_series: bool
    #: before the mnemonics: data of a test are kept apart
    prefix: str
    at: int = 0
    step: timedelta | None = None
    readings: list[Reading] = field(default_factory=list)
    files: list[StationFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take(self, size: int, what: str) -> bytes:
        """Return the next bytes; ValueError when the text ends before."""
        part = self.data[self.at : self.at + size]
        if len(part) < size:
            left = len(part)
            self.at = len(self.data)
            raise ValueError(f"{what}: {size} bytes are announced, {left} follow")
        self.at += size
        return part

    def say(
        self, name: str, result: float | str, unit: str | None = None, later: timedelta | None = None
    ) -> None:
        """Add a reading at the time that was told last; ValueError when none was."""
        if self.time is None:
            raise ValueError(f"{name}: without a time of observation that can be used")
        at = self.time + (later or timedelta(0))
        self.readings.append(
            Reading(
                thing=self.station,
                datastream=self.prefix + name,
                phenomenon_time=at,
                result=result,
                unit=unit,
            )
        )

    def picture(self, data: bytes) -> None:
        """Add a file, by the standard a JPEG; ValueError: it is empty."""
        media_type = "image/jpeg" if data.startswith(JPEG) else "application/octet-stream"
        self.files.append(
            StationFile(
                thing=self.station, name=self.prefix + "PIC", media_type=media_type, at=self.time, data=data
            )
        )


def read(text: Text) -> None:
    """Read everything in the text; what cannot be read is told in its `problems`, up to so many."""
    while text.at < len(text.data) and len(text.problems) < PROBLEMS:
        try:
            _next(text)
        except ValueError as error:
            text.problems.append(str(error))


def clock(bcd: bytes, what: str) -> datetime:
    """Return the time written in BCD as YYMMDDHHmm or YYMMDDHHmmss, Beijing time; ValueError: it is none."""
    digits = bcd.hex()
    try:
        at = datetime.strptime("20" + digits.ljust(12, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise ValueError(f"{what}: {digits} is no time as in 260811220500 (year to second)") from None
    if at.year < PUBLISHED:
        raise ValueError(f"{what}: {at.isoformat()}: the station's clock was never set")
    return at


def number(data: bytes, decimals: int, what: str) -> float | None:
    """Return a number in BCD, negative behind FF; None where all is FF: no value."""
    if not data.strip(b"\xff"):
        return None
    negative = data[0] == 0xFF
    digits = data[negative:].hex()
    if not digits.isdecimal():
        raise ValueError(f"{what}: {data.hex().upper()} is no BCD number")
    return (-1.0 if negative else 1.0) * (int(digits) / float(10**decimals))


def _next(text: Text) -> None:
    """Read the next element."""
    guide = text.take(1, "identifier")[0]
    twice = text.data[text.at : text.at + 1] == bytes([guide])
    if guide == TIME and twice:
        text.at, text.time = text.at + 1, None
        text.time = clock(text.take(MOMENT, "F0F0 time of observation"), "F0F0 time of observation")
    elif guide == STATION and twice:
        text.at += 1
        text.station = text.take(ADDRESS, "F1F1 address").hex().upper()
        is_class = text.data[text.at : text.at + 1] and text.data[text.at] in CLASSES
        text.at += bool(is_class and text.data[text.at + 1 : text.at + 3] == bytes([TIME, TIME]))
    elif guide == MANUAL and twice:
        text.at += 1
        text.say("RGZS", _rest(text).decode("gb2312", errors="backslashreplace"))
    elif guide == PICTURE and twice:
        text.at += 1
        text.picture(_rest(text))
    elif guide == VELOCITIES:
        raise ValueError(f"DATA: {len(_rest(text))} bytes of velocities (FD) are not read yet")
    else:
        _element(text, guide)


def _element(text: Text, guide: int) -> None:
    """Read an element with its definition: bytes of each value (5 bits), decimals (3 bits)."""
    name, unit = ELEMENTS.get(guide, (f"E{guide:02X}", None))
    if guide == MORE:
        name += f"{text.take(1, 'identifier behind FF')[0]:02X}"
    defined = text.take(1, name)[0]
    size, decimals = defined >> 3, defined & 7
    if size == 0:
        raise ValueError(f"{name}: {defined:02X} defines a value of no bytes")
    if guide == STEP:
        text.step = _step(text.take(size, "DRxnn"))
        text.say("DRxnn", text.step / timedelta(minutes=1), "min")
    elif guide == STATE:
        _states(text, text.take(size, "ZT"))
    elif guide in SERIES:
        for group, data in enumerate(_groups(text, size, name)):
            _series(text, guide, data, group * HOUR)
    else:
        for count, data in enumerate(_groups(text, size, name)):
            value = number(data, decimals, name)
            if value is not None:
                text.say(name, value, unit, count * _positive(text.step, name) if count else None)


def _groups(text: Text, size: int, name: str) -> Iterator[bytes]:
    """Yield the values of an element: one, or in a series all that follow."""
    yield text.take(size, name)
    while text.is_series and text.step is not None and text.at < len(text.data):
        yield text.take(size, name)


def _series(text: Text, guide: int, data: bytes, later: timedelta) -> None:
    name, width, divisor, unit = SERIES[guide]
    if len(data) % width:
        raise ValueError(f"{name}: {len(data)} bytes are no values of {width} bytes")
    values = [int.from_bytes(data[n : n + width], "big") for n in range(0, len(data), width)]
    for count, value in enumerate(values):
        if value != 256**width - 1:
            text.say(name, value / divisor, unit, later + count * FIVE_MINUTES)


def _step(dhm: bytes) -> timedelta:
    digits = dhm.hex()
    if len(digits) != 6 or not digits.isdecimal():
        raise ValueError(f"DRxnn: {digits} is no step in days, hours and minutes")
    return timedelta(days=int(digits[:2]), hours=int(digits[2:4]), minutes=int(digits[4:]))


def _positive(step: timedelta | None, name: str) -> timedelta:
    if not step:
        raise ValueError(f"{name}: several values with a step (DRxnn) of nothing")
    return step


def _states(text: Text, data: bytes) -> None:
    """Tell the state of the station: as one number, so that nothing is lost, and each known bit."""
    bits = int.from_bytes(data, "big")
    text.say("ZT", float(bits))
    for place, name in enumerate(STATES):
        text.say(f"ZT/{name}", float(bits >> place & 1))


def _rest(text: Text) -> bytes:
    return text.take(len(text.data) - text.at, "the rest")
