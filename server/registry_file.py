"""The shape of a registry file: one model per kind of row; an unknown key is a problem, not ignored."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from shapely import Polygon
from shapely.validation import explain_validity

from domain.geo import Position
from domain.thing import Mode


def _code(text: str) -> str:
    if not text or text != text.strip() or any(c in "+#" or not c.isprintable() for c in text):
        raise ValueError(f"{text!r} cannot be a code: empty, with blanks around it, or with + or #")
    return text


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"no time zone {name!r}; write one as in Asia/Shanghai or UTC") from None
    return name


def _ring(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    for number, (lon, lat) in enumerate(points):
        try:
            Position(lon=lon, lat=lat)
        except ValueError as error:
            raise ValueError(f"point {number}: {error}; points are [lon, lat]") from None
    if len(points) < 4:
        raise ValueError("a ring has at least 4 points, the last one like the first")
    if points[0] != points[-1]:
        raise ValueError("ring is not closed: the last point must be the first one again")
    if not (ring := Polygon(points)).is_valid:
        raise ValueError(f"no proper area: {explain_validity(ring)}")
    return points


Code = Annotated[str, AfterValidator(_code)]
Words = Annotated[str, AfterValidator(_words)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]


class Row(BaseModel):
    """What all rows have in common."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Site(Row):
    """A hazard site; the polygon is the closed ring of the threatened area, WGS-84 [lon, lat]."""

    code: Code
    region: str
    name_zh: Words
    name_en: Words
    type: Literal["landslide", "debris_flow", "rockfall", "subsidence"]
    mode: Mode = Mode.ACTUAL
    rule: Words
    lon: Longitude
    lat: Latitude
    polygon: Annotated[list[tuple[float, float]], AfterValidator(_ring)]
    threatened: Annotated[int, Field(ge=0, le=2_000_000_000)] = 0
    contact: str = ""


class Datastream(Row):
    """One observed property of a thing; results outside valid_min..valid_max (in `unit`) are marked."""

    name: Code
    observed_property: str = ""
    unit: str = ""
    valid_min: float | None = None
    valid_max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Datastream:
        if self.valid_min is not None and self.valid_max is not None and self.valid_min >= self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} is not below valid_max {self.valid_max}")
        return self


class Thing(Row):
    """A station or a phone; `time_zone` is that of the times it writes without a trustworthy offset."""

    code: Code
    kind: Literal["station", "phone"]
    name: Words
    site: str | None = None
    region: str
    mode: Mode = Mode.ACTUAL
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    #: secret that a national station checks in commands; None keeps the one that is registered
    apikey: Annotated[str | None, Field(pattern="^[!-%'-~]{0,100}$", repr=False)] = None
    datastreams: list[Datastream] = []

    @model_validator(mode="after")
    def _once_each(self) -> Thing:
        names = [datastream.name for datastream in self.datastreams]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"datastreams stand here twice: {', '.join(twice)}")
        return self


class Unit(Row):
    """A rescue team; `lon`, `lat`: where it stands when no fix of its phone is known."""

    code: Code
    name_zh: Words
    name_en: Words
    region: str
    device: Code
    lon: Longitude
    lat: Latitude


class Recipient(Row):
    """Who is told of alerts: by the channel, at the address, for every region that begins with the prefix."""

    name: Words
    channel: Code
    address: Code
    region: Annotated[str, Field(pattern="^[0-9]*$", max_length=12)]


#: the lists of a registry file, in the order in which they are written
LISTS: dict[str, type[Row]] = {"sites": Site, "things": Thing, "units": Unit, "recipients": Recipient}
