"""Lines as GeoJSON (RFC 7946): WGS-84, longitude before latitude, altitude in m where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from domain.geo import Position


class Geometry(BaseModel):
    """One line, or several where it is interrupted."""

    type: Literal["MultiLineString"] = "MultiLineString"
    coordinates: list[list[list[float]]]


class Feature(BaseModel):
    """A line and what is known of it; no geometry when there is no line."""

    type: Literal["Feature"] = "Feature"
    geometry: Geometry | None
    properties: dict[str, Any]


class FeatureCollection(BaseModel):
    """Several of them."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]


def line(pieces: Sequence[Sequence[Position]]) -> Geometry | None:
    """Return the pieces as a geometry; one of a single point is no line and is left out."""
    lines = [[_point(position) for position in piece] for piece in pieces if len(piece) > 1]
    return Geometry(coordinates=lines) if lines else None


def _point(position: Position) -> list[float]:
    altitude = [] if position.altitude_m is None else [position.altitude_m]
    return [position.lon, position.lat, *altitude]
