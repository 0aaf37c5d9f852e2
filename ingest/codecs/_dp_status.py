"""The place in a device's status: two texts or one, and zeros where the receiver has no fix."""

from __future__ import annotations

from collections.abc import Mapping

from ingest import fields


def status(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields of a status, with `location` ("lat,lon") taken apart and without a place of zeros."""
    place = _place(value.get("location"))
    if place:
        value = {**place, **{name: item for name, item in value.items() if name != "location"}}
    if all(_is_zero(value.get(name)) for name in ("lon", "lat")):
        return {name: item for name, item in value.items() if name not in ("lon", "lat")}
    return value


def _place(location: object) -> Mapping[str, object]:
    """Return the two texts of a location; nothing when it is something else, and so remains a text."""
    if not isinstance(location, str):
        return {}
    lat, comma, lon = (part.strip() for part in location.partition(","))
    if not (comma and fields.NUMBER.fullmatch(lat) and fields.NUMBER.fullmatch(lon)):
        return {}
    return {"lat": lat, "lon": lon}


def _is_zero(value: object) -> bool:
    return isinstance(value, str | float | int) and bool(str(value)) and not str(value).strip("0.")
