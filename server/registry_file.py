"""What may stand in the registry: one model per list, one line per column.

A column is added by a line here and one in the schema: its name, what else tables call it (`Also`, with the
unit and the words for its values), its type with what it must satisfy, and whether it has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.thing import Mode
from server.registry_fields import (
    KINDS,
    LEVELS,
    PROPERTIES,
    TYPES,
    UNITS,
    Also,
    Boundary,
    Code,
    Latitude,
    Longitude,
    ModeOf,
    Moment,
    RegionCode,
    Ring,
    Words,
    Zone,
    also,
)


class Row(BaseModel):
    """What all rows have in common."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Region(Row):
    """An administrative area; what is left out follows from its code, and its place from its boundary."""

    code: Annotated[
        str, Field(pattern="^[0-9]{6}([0-9]{6})?$"), Also("行政区划代码", "区划代码", "adcode", code=True)
    ]
    parent: Annotated[str | None, Also("上级区划代码", "上级代码", code=True)] = None
    level: Annotated[int, Field(ge=1, le=4), Also("级别", words=LEVELS)] = 0
    name_zh: Annotated[Words, Also("名称", "区划名称", "name")]
    name_en: Annotated[str, Also("英文名称", "英文名")] = ""
    lon: Longitude
    lat: Latitude
    boundary: Boundary = None


class Site(Row):
    """A hazard site; the polygon is the closed ring of the threatened area, WGS-84 [lon, lat]."""

    code: Annotated[Code, Also("统一编号", "隐患点编号", "灾害点编号", "编号", "编码", code=True)]
    region: RegionCode = ""
    name_zh: Annotated[Words, Also("名称", "隐患点名称", "灾害点名称", "name")]
    name_en: Annotated[str, Also("英文名称", "英文名")] = ""
    type: Annotated[
        Literal["landslide", "debris_flow", "rockfall", "subsidence"],
        Also("灾害类型", "灾种", "类型", words=TYPES),
    ]
    mode: ModeOf = Mode.ACTUAL
    rule: Annotated[Words, Also("规则", "预警规则")] = "default"
    lon: Longitude
    lat: Latitude
    polygon: Ring = []
    threatened: Annotated[
        int, Field(ge=0, le=2_000_000_000), Also("威胁人数", "受威胁人数", "威胁人口", unit="people")
    ] = 0
    contact: Annotated[str, Also("联系人", "责任人", "联系人及电话", "联系方式")] = ""


class Datastream(Row):
    """One observed property of a thing; results outside valid_min..valid_max (in `unit`) are marked."""

    name: Annotated[Code, Also("监测项", "监测项名称", "传感器")]
    observed_property: Annotated[str, Also("观测属性", "监测内容", words=PROPERTIES)] = ""
    unit: Annotated[str, Also("单位", "计量单位", words=UNITS)] = ""
    valid_min: Annotated[float | None, Also("量程下限", "最小值", unit="unit")] = None
    valid_max: Annotated[float | None, Also("量程上限", "最大值", unit="unit")] = None
    #: how far from the results before it one is suspected: in deviations, and at least (0: never)
    spike_sigma: Annotated[float | None, Field(ge=0, le=1000), Also("跳变倍数")] = None
    spike_floor: Annotated[float | None, Field(ge=0), Also("跳变下限", unit="unit")] = None
    stuck_after_h: Annotated[float | None, Field(ge=0, le=1e6), Also("呆滞时长", unit="h")] = None
    max_rate_per_h: Annotated[float | None, Field(ge=0), Also("最大变化率", unit="unit/h")] = None
    #: between two results; None: as they came so far
    expected_every_s: Annotated[float | None, Field(ge=0.001, le=1e9), Also("上报间隔", unit="s")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Datastream:
        if self.valid_min is not None and self.valid_max is not None and self.valid_min >= self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} is not below valid_max {self.valid_max}")
        return self


class Stream(Datastream):
    """A datastream in a list of its own, with the code of its thing."""

    thing: Annotated[Code, Also("设备编号", "监测点编号", "测点编号", code=True)]


class Thing(Row):
    """A station or a phone; `time_zone` is that of the times it writes without a trustworthy offset."""

    code: Annotated[Code, Also("设备编号", "监测点编号", "测点编号", "编号", "编码", code=True)]
    kind: Annotated[Literal["station", "phone"], Also("设备类型", "类型", words=KINDS)]
    name: Annotated[Words, Also("名称", "设备名称", "监测点名称")]
    site: Annotated[str | None, Also("隐患点编号", "统一编号", "灾害点编号", "所属隐患点", code=True)] = None
    region: RegionCode = ""
    mode: ModeOf = Mode.ACTUAL
    time_zone: Zone = "UTC"
    #: results observed before it are not of the device as it stands now
    reset_at: Annotated[Moment | None, Also("复位时间")] = None
    #: checked by a national station in commands
    apikey: Annotated[str, Field(pattern="^[!-%'-~]{0,100}$", repr=False), Also("设备密钥", secret=True)] = ""
    datastreams: list[Datastream] = []

    @model_validator(mode="after")
    def _once_each(self) -> Thing:
        names = [datastream.name for datastream in self.datastreams]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"datastreams stand here twice: {', '.join(twice)}")
        return self


class Unit(Row):
    """A rescue team; `lon`, `lat`: where it stands when no fix of its phone is known."""

    code: Annotated[Code, Also("队伍编号", "编号", "编码", code=True)]
    name_zh: Annotated[Words, Also("名称", "队伍名称", "name")]
    name_en: Annotated[str, Also("英文名称", "英文名")] = ""
    region: RegionCode = ""
    device: Annotated[Code, Also("手机编号", "设备编号", "终端编号", code=True)]
    lon: Longitude
    lat: Latitude


class Recipient(Row):
    """Who is told of alerts: by the channel, at the address, for every region that begins with the prefix."""

    name: Annotated[Words, Also("姓名", "名称", "接收人")]
    channel: Annotated[Code, Also("渠道", "方式", "发送方式")]
    address: Annotated[Code, Also("地址", "号码", "手机号", "电话", code=True)]
    region: Annotated[
        str, Field(pattern="^[0-9]*$", max_length=12), Also("行政区划代码", "区划代码", "adcode", code=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list of the registry: its rows, their table and key, and which fields are codes of other rows."""

    model: type[Row]
    table: str
    key: tuple[str, ...]
    #: field that holds a code -> table in which its number is found
    codes: Mapping[str, str] = field(default_factory=dict)
    #: columns that are no fields, and what every row written from a file has there
    marks: Mapping[str, object] = field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """The fields that are columns of the table, in their order."""
        return [name for name in self.model.model_fields if name != "datastreams"]

    @property
    def shown(self) -> list[str]:
        """The fields that may be shown."""
        return [name for name in self.fields if not also(self.model.model_fields[name]).secret]


#: the lists of the registry, in the order in which they are written
LISTS: dict[str, Listing] = {
    "regions": Listing(model=Region, table="region", key=("code",), marks={"imported": True}),
    "sites": Listing(model=Site, table="hazard_site", key=("code",)),
    "things": Listing(model=Thing, table="thing", key=("code",), codes={"site": "hazard_site"}),
    "datastreams": Listing(model=Stream, table="datastream", key=("thing", "name"), codes={"thing": "thing"}),
    "units": Listing(model=Unit, table="unit", key=("code",)),
    "recipients": Listing(model=Recipient, table="recipient", key=("channel", "address", "region")),
}
