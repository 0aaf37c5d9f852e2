"""Hazard sites as alerts name and draw them: the threatened area, its region's names, its geocode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from domain.thing import Mode

#: a closed ring of (longitude, latitude) in degrees
Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A hazard site with what is needed to tell people about it; lon and lat are WGS-84 degrees."""

    id: int
    code: str
    region: str
    type: str
    mode: Mode
    name_zh: str
    name_en: str
    #: the regions that it lies in, the smallest first
    regions_zh: tuple[str, ...]
    regions_en: tuple[str, ...]
    lon: float
    lat: float
    #: the threatened area; empty when none can be drawn
    ring: Ring
    threatened: int
    contact: str

    @property
    def area_zh(self) -> str:
        """Where it is, from the province down to the site."""
        return "".join(reversed(self.regions_zh)) + self.name_zh

    @property
    def area_en(self) -> str:
        """Where it is, from the site up to the province."""
        return ", ".join((self.name_en, *self.regions_en))

    @property
    def geocode(self) -> str:
        """The code of its region in the 12 digits of the national alerts, padded with zeros."""
        return self.region.ljust(12, "0")


def load_site(conn: Connection[Any], site: int) -> Site:
    """Return the hazard site of that number; LookupError when it is not registered."""
    row = conn.execute(
        "SELECT code, region, type, mode, name_zh, name_en, lon, lat, polygon, threatened, contact"
        " FROM hazard_site WHERE id = %s",
        (site,),
    ).fetchone()
    if row is None:
        raise LookupError(f"no hazard site has the number {site}")
    code, region, type_, mode, name_zh, name_en, lon, lat, polygon, threatened, contact = row
    regions = conn.execute(
        "WITH RECURSIVE up AS (SELECT code, parent, level, name_zh, name_en FROM region WHERE code = %s"
        " UNION ALL SELECT r.code, r.parent, r.level, r.name_zh, r.name_en"
        "           FROM region r JOIN up ON r.code = up.parent)"
        " SELECT name_zh, name_en FROM up ORDER BY level DESC",
        (region,),
    ).fetchall()
    return Site(
        id=site,
        code=code,
        region=region,
        type=type_,
        mode=Mode(mode),
        name_zh=name_zh,
        name_en=name_en,
        regions_zh=tuple(zh for zh, _ in regions),
        regions_en=tuple(en for _, en in regions),
        lon=lon,
        lat=lat,
        ring=closed(polygon),
        threatened=threatened,
        contact=contact,
    )


def closed(polygon: list[list[float]]) -> Ring:
    """Return the ring with its first point at its end too; empty when it has no three corners.

    An alert without a polygon is still an alert: it keeps the geocode of its region.
    """
    ring = [(float(point[0]), float(point[1])) for point in polygon]
    if len(set(ring)) < 3:
        return ()
    return tuple(ring if ring[0] == ring[-1] else [*ring, ring[0]])
