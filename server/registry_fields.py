"""What the columns of the registry share: other names, words for their values, and what may stand in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import shapely
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic.fields import FieldInfo
from shapely import MultiPolygon, Polygon
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from domain.geo import Position
from domain.thing import Mode


class Also:
    """What else a column is called in tables, the unit of its numbers, and the words for its values.

    A code is no text for people: its digits and letters may be written wide. A secret is written and never
    shown.
    """

    def __init__(
        self,
        *names: str,
        unit: str = "",
        words: Mapping[str, str] | None = None,
        code: bool = False,
        secret: bool = False,
    ) -> None:
        """Take the other names, most usual first."""
        self.names, self.unit, self.words, self.code, self.secret = names, unit, words or {}, code, secret


TYPES = {"滑坡": "landslide", "泥石流": "debris_flow", "崩塌": "rockfall", "地面塌陷": "subsidence",
         "塌陷": "subsidence", "地面沉降": "subsidence"}  # fmt: skip
MODES = {"真实": "actual", "实际": "actual", "正式": "actual", "演练": "exercise", "测试": "test"}
KINDS = {"监测点": "station", "监测站": "station", "监测设备": "station", "设备": "station", "手机": "phone"}
UNITS = {"毫米": "mm", "厘米": "cm", "米": "m", "度": "deg", "°": "deg", "千帕": "kPa", "千牛": "kN",
         "摄氏度": "degC", "℃": "degC", "伏": "V", "米/秒": "m/s"}  # fmt: skip
PROPERTIES = {"雨量": "rainfall", "降雨": "rainfall", "降雨量": "rainfall", "位移": "displacement",
              "地表位移": "displacement", "裂缝": "crack"}  # fmt: skip
LEVELS = {
    "province": "1",
    "city": "2",
    "district": "3",
    "street": "4",
    "省": "1",
    "市": "2",
    "县": "3",
    "乡": "4",
}


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


def _drawn(value: object) -> object:
    """Return the ring of an area that is written as WKT or was read as a geometry."""
    if isinstance(value, str):
        try:
            value = shapely.from_wkt(value)
        except shapely.errors.ShapelyError:
            raise ValueError("is no WKT as in POLYGON ((106.20 35.90, 106.21 35.90, ...))") from None
    if not isinstance(value, BaseGeometry):
        return value
    if isinstance(value, MultiPolygon) and len(value.geoms) == 1:
        value = value.geoms[0]
    if not isinstance(value, Polygon) or value.interiors:
        raise ValueError(f"a {value.geom_type} is no area: draw one polygon without holes")
    return [(lon, lat) for lon, lat, *_ in value.exterior.coords]


def _ring(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    for number, (lon, lat) in enumerate(points):
        try:
            Position(lon=lon, lat=lat)
        except ValueError as error:
            raise ValueError(f"point {number}: {error}; points are [lon, lat]") from None
    if not points:
        return points
    if len(points) < 4:
        raise ValueError("a ring has at least 4 points, the last one like the first")
    if points[0] != points[-1]:
        raise ValueError("ring is not closed: the last point must be the first one again")
    if not (ring := Polygon(points)).is_valid:
        raise ValueError(f"no proper area: {explain_validity(ring)}; draw it without crossing itself")
    return points


def _area(value: object) -> object:
    """Return a boundary as a GeoJSON geometry; it may be one, its text, or something drawn."""
    try:
        value = json.loads(value) if isinstance(value, str) else value
        drawn = shape(value) if isinstance(value, dict) else value
    except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError):
        raise ValueError("is no geometry of GeoJSON") from None
    if drawn is None:
        return None
    if not isinstance(drawn, Polygon | MultiPolygon) or not drawn.is_valid:
        reason = explain_validity(drawn) if isinstance(drawn, Polygon | MultiPolygon) else "no polygon"
        raise ValueError(f"is no proper area: {reason}")
    return mapping(drawn)


def also(info: FieldInfo) -> Also:
    """Return what tables say of the field."""
    return next((each for each in info.metadata if isinstance(each, Also)), Also())


Code = Annotated[str, AfterValidator(_code)]
Words = Annotated[str, AfterValidator(_words)]
RegionCode = Annotated[str, Also("行政区划代码", "区划代码", "行政区代码", "行政区划", "adcode", code=True)]
Longitude = Annotated[float, Field(ge=-180, le=180), Also("经度", "lng", "longitude", "x", unit="deg")]
Latitude = Annotated[float, Field(ge=-90, le=90), Also("纬度", "latitude", "y", unit="deg")]
Moment = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]
Zone = Annotated[str, AfterValidator(_zone), Also("时区")]
Ring = Annotated[
    list[tuple[float, float]],
    BeforeValidator(_drawn),
    AfterValidator(_ring),
    Also("范围", "威胁范围", "wkt"),
]
Boundary = Annotated[dict[str, Any] | None, BeforeValidator(_area), Also("边界")]
ModeOf = Annotated[Mode, Also("性质", "模式", words=MODES)]
