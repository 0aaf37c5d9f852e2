"""The entities of SensorThings over our tables, as data: where each stands, what it shows, where it leads.

Synthesised, as nothing else is registered: a Sensor per Datastream; an ObservedProperty per word that rules
use (`none` for datastreams without one); the Location (point) and FeatureOfInterest (polygon) of a Thing are
its hazard site. There are no HistoricalLocations. `resultTime` is the time of receipt: when the result became
available. SQL names: t thing, d datastream, o observation, s hazard_site, w word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from server.sensorthings.entity import Entity, Kind, Link

WORD: LiteralString = "coalesce(nullif(d.observed_property, ''), 'none')"
STREAMS: LiteralString = "datastream d JOIN thing t ON t.id = d.thing"
SITE: Mapping[str, LiteralString] = {
    "name": "s.name_zh",
    "description": "s.name_en",
    "encodingType": "'application/geo+json'",
}
SITE_PROPERTIES: LiteralString = (
    "jsonb_build_object('code', s.code, 'region', s.region, 'mode', s.mode, 'type', s.type)"
)
SITE_ASKED: Mapping[str, tuple[Kind, LiteralString]] = {
    "name": ("text", "s.name_zh"),
    "description": ("text", "s.name_en"),
    "properties/code": ("text", "s.code"),
    "properties/region": ("text", "s.region"),
    "properties/mode": ("text", "s.mode"),
    "properties/type": ("text", "s.type"),
}
STREAM_ASKED: Mapping[str, tuple[Kind, LiteralString]] = {
    "Thing/id": ("number", "t.id"),
    "Thing/name": ("text", "t.name"),
    "Thing/properties/code": ("text", "t.code"),
    "ObservedProperty/id": ("text", WORD),
    "ObservedProperty/name": ("text", WORD),
}

THINGS = Entity(
    name="Things",
    source="thing t",
    key={"t.id": "int"},
    shown={
        "name": "t.name",
        "description": "t.kind",
        "properties": "jsonb_build_object('code', t.code, 'kind', t.kind, 'region', t.region, 'mode', t.mode,"
        " 'state', t.state)",
    },
    asked={
        "name": ("text", "t.name"),
        "description": ("text", "t.kind"),
        "properties/code": ("text", "t.code"),
        "properties/kind": ("text", "t.kind"),
        "properties/region": ("text", "t.region"),
        "properties/mode": ("text", "t.mode"),
    },
    links={
        "Datastreams": Link(to="Datastreams", many=True, key="t.id", on="d.thing"),
        "Locations": Link(to="Locations", many=True, key="t.site", on="s.id"),
    },
)

LOCATIONS = Entity(
    name="Locations",
    source="hazard_site s",
    seen="starts_with(s.region, %(region)s)",
    key={"s.id": "int"},
    shown={
        **SITE,
        "location": "jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(s.lon, s.lat))",
        "properties": SITE_PROPERTIES,
    },
    asked=SITE_ASKED,
    links={"Things": Link(to="Things", many=True, key="s.id", on="t.site")},
)

DATASTREAMS = Entity(
    name="Datastreams",
    source=STREAMS,
    key={"d.id": "int"},
    shown={
        "name": "d.name",
        "description": "concat_ws(' ', t.name, d.name)",
        "observationType": "'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement'",
        "unitOfMeasurement": "jsonb_build_object('name', nullif(d.unit, ''), 'symbol', nullif(d.unit, ''),"
        " 'definition', NULL)",
        "properties": "jsonb_build_object('valid_min', d.valid_min, 'valid_max', d.valid_max)",
    },
    asked={
        "name": ("text", "d.name"),
        "description": ("text", "concat_ws(' ', t.name, d.name)"),
        "unitOfMeasurement/symbol": ("text", "d.unit"),
        "unitOfMeasurement/name": ("text", "d.unit"),
        **STREAM_ASKED,
    },
    links={
        "Thing": Link(to="Things", many=False, key="d.thing", on="t.id"),
        "Sensor": Link(to="Sensors", many=False, key="d.id", on="d.id"),
        "ObservedProperty": Link(to="ObservedProperties", many=False, key=WORD, on="w.word", type="text"),
        "Observations": Link(to="Observations", many=True, key="d.id", on="d.id"),
    },
)

SENSORS = Entity(
    name="Sensors",
    source=STREAMS,
    key={"d.id": "int"},
    shown={
        "name": "concat_ws('/', t.code, d.name)",
        "description": "concat_ws(' ', t.name, d.name)",
        "encodingType": "'text/html'",
        "metadata": "concat_ws('/', t.code, d.name)",
    },
    asked={"name": ("text", "concat_ws('/', t.code, d.name)")},
    links={"Datastreams": Link(to="Datastreams", many=True, key="d.id", on="d.id")},
)

OBSERVED_PROPERTIES = Entity(
    name="ObservedProperties",
    source="(SELECT DISTINCT "
    + WORD
    + " AS word FROM "
    + STREAMS
    + " WHERE starts_with(t.region, %(region)s)) w",
    seen="true",
    key={"w.word": "text"},
    shown={
        "name": "w.word",
        "definition": "'urn:liupan:observed-property:' || w.word",
        "description": "w.word",
    },
    asked={"name": ("text", "w.word")},
    links={"Datastreams": Link(to="Datastreams", many=True, key="w.word", on=WORD, type="text")},
)

OBSERVATIONS = Entity(
    name="Observations",
    source=STREAMS,
    each=("o", "SELECT * FROM observation o WHERE o.datastream = d.id"),
    key={"d.id": "int", "o.phenomenon_time": "timestamptz"},
    shown={
        "phenomenonTime": "o.phenomenon_time",
        "resultTime": "o.received_at",
        "result": "o.result",
        "resultQuality": "flag_words(o.flags)",
    },
    asked={
        "phenomenonTime": ("time", "o.phenomenon_time"),
        "resultTime": ("time", "o.received_at"),
        "result": ("number", "o.result"),
        "Datastream/id": ("number", "d.id"),
        "Datastream/name": ("text", "d.name"),
        **{f"Datastream/{name}": asked for name, asked in STREAM_ASKED.items()},
    },
    links={
        "Datastream": Link(to="Datastreams", many=False, key="d.id", on="d.id"),
        "FeatureOfInterest": Link(to="FeaturesOfInterest", many=False, key="t.site", on="s.id"),
    },
)

FEATURES_OF_INTEREST = Entity(
    name="FeaturesOfInterest",
    source="hazard_site s",
    seen="starts_with(s.region, %(region)s)",
    key={"s.id": "int"},
    shown={
        **SITE,
        "feature": "jsonb_build_object('type', 'Polygon', 'coordinates', jsonb_build_array(s.polygon))",
        "properties": SITE_PROPERTIES,
    },
    asked=SITE_ASKED,
    links={"Observations": Link(to="Observations", many=True, key="s.id", on="t.site")},
)

ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        THINGS,
        LOCATIONS,
        DATASTREAMS,
        SENSORS,
        OBSERVED_PROPERTIES,
        OBSERVATIONS,
        FEATURES_OF_INTEREST,
    )
}
