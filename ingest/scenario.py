"""The made-up exercise as data: hazard sites of southern Ningxia, their stations, phones and teams.

Places are real counties; sites, stations, phones and teams are invented, carry the mode `exercise` and say
so in their names. What happens at a site (`Slope`, `FAULTS`) is the truth that a model is asked to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random

from domain.clock import aware

MODE = "exercise"
DEVICE = "liupan-ex"

#: (name on the national wire, name in own JSON, observed property, unit, lowest and highest valid result)
SENSORS = (
    ("L3_YL_1/value", "rain", "rainfall", "mm", 0, 50),
    ("L3_YL_1/totalValue", "rain_total", "", "mm", 0, None),
    ("L1_GP_1/gpsTotalX", "north", "displacement_x", "mm", -5000, 5000),
    ("L1_GP_1/gpsTotalY", "east", "displacement_y", "mm", -5000, 5000),
    ("L1_GP_1/gpsTotalZ", "up", "displacement_z", "mm", -5000, 5000),
    ("L1_LF_1/value", "crack", "crack", "mm", 0, 2000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How a site truly moves; times are shares of the storm's length, rates are in mm/h.

    With `failure` it accelerates from `onset` as Voight (1988) describes with alpha = 2 (Fukuzono 1985: the
    inverse velocity falls on a straight line) and fails; each of `steps` adds a height in mm, as a slope does
    that creeps on with each rain.
    """

    creep_mm_h: float
    azimuth_deg: float = 0.0
    onset: float = 0.0
    failure: float | None = None
    steps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hazard site of the exercise and its station; `wire` is `dp` (national frames) or `json` (own)."""

    region: str
    zh: str
    en: str
    type: str
    lon: float
    lat: float
    threatened: int
    slope: Slope
    wire: str
    time_zone: str = "UTC"

    @property
    def code(self) -> str:
        """The site's code."""
        return f"EX{self.region}01"

    @property
    def device(self) -> str:
        """The name its station uses on the wire."""
        return f"{DEVICE}-station-{self.region}"


PLACES = (
    Place(region="640422", zh="西吉", en="Xiji", type="landslide", lon=105.790, lat=36.020,
          threatened=86, slope=Slope(creep_mm_h=2.0, azimuth_deg=135, onset=0.02, failure=0.7), wire="dp"),
    Place(region="640423", zh="隆德", en="Longde", type="landslide", lon=106.160, lat=35.570,
          threatened=41, wire="json",
          slope=Slope(creep_mm_h=1.6, azimuth_deg=225, steps=((0.45, 10.0), (0.7, 8.0)))),
    Place(region="640402", zh="原州", en="Yuanzhou", type="landslide", lon=106.310, lat=36.070,
          threatened=120, slope=Slope(creep_mm_h=0.0, azimuth_deg=60), wire="dp", time_zone="Asia/Shanghai"),
    Place(region="640424", zh="泾源", en="Jingyuan", type="debris_flow", lon=106.380, lat=35.430,
          threatened=63, slope=Slope(creep_mm_h=0.0), wire="dp"),
    Place(region="640425", zh="彭阳", en="Pengyang", type="landslide", lon=106.580, lat=35.880,
          threatened=28, slope=Slope(creep_mm_h=0.0, azimuth_deg=310), wire="json"),
)  # fmt: skip

#: rescue teams: (device and code, Chinese and English place, region, where they stand)
TEAMS = (
    ("team-1", "西吉", "Xiji", "640422", 105.731, 35.965),
    ("team-2", "隆德", "Longde", "640423", 106.124, 35.618),
    ("team-3", "原州", "Yuanzhou", "640402", 106.242, 36.016),
)
#: phones of people who are told: (device, region prefix that they hear)
LISTENERS = (("duty-6404", "6404"), ("village-640422", "640422"), ("village-640424", "640424"))
#: the inspector on patrol, and a village observer whose phone runs OwnTracks (user/device)
INSPECTOR = (f"{DEVICE}-inspector-1", "640422")
OBSERVER = (f"{DEVICE}/observer-1", "640423")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong that is planted on purpose: what, where (region), when (share of the storm)."""

    kind: str
    region: str
    at: float
    until: float = 0.0


#: `lost` begins with the failure: the ground under the sensor is gone
FAULTS = (
    Fault(kind="spike", region="640425", at=0.30),
    Fault(kind="gap", region="640402", at=0.40, until=0.52),
    Fault(kind="range", region="640425", at=0.20),
    Fault(kind="duplicate", region="640424", at=0.15),
    Fault(kind="revision", region="640423", at=0.25),
    Fault(kind="future", region="640424", at=0.35),
    Fault(kind="garbled", region="640402", at=0.10),
    Fault(kind="stranger", region="640402", at=0.12),
    Fault(kind="lost", region="640422", at=0.7, until=1.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One storm: the same seed, start, length (h) and number of sites give the same bytes."""

    seed: int
    start: datetime
    hours: float = 72.0
    sites: int = len(PLACES)

    def __post_init__(self) -> None:
        aware(self.start, "start of the storm")
        if not 1 <= self.sites <= len(PLACES):
            raise ValueError(f"the exercise has 1 to {len(PLACES)} sites, not {self.sites}")
        if not 3 <= self.hours <= 240:
            raise ValueError(f"the storm lasts 3 to 240 h, not {self.hours:g}")

    @property
    def places(self) -> tuple[Place, ...]:
        """The sites that take part."""
        return PLACES[: self.sites]

    def random(self, *names: object) -> Random:
        """Return the generator for one matter, so that each stays the same when others change."""
        return Random("/".join(str(part) for part in (self.seed, *names)))  # noqa: S311 - not a secret
