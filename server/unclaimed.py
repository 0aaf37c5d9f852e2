"""Devices that speak and that nobody has registered: what they say, and `liupan unclaimed` to claim them."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict

from domain.settings import Settings
from domain.thing import Mode
from server.boundaries import Locate, elsewhere, locator
from server.errors import NotFound, Taken
from server.registry import RegistryError, register
from server.registry_check import Installation
from server.registry_file import Datastream

#: what a device measures is read from this many of its newest payloads
RECENT = 50
#: at most this many datastreams stand in a line of the list
SHOWN = 5


class Seen(BaseModel):
    """A datastream as a device names it, with the unit that it or its format tells, and the last result."""

    name: str
    unit: str
    result: float


class Unclaimed(BaseModel):
    """A device that is not registered: its newest payload in hexadecimal, and what its codec read in it.

    `kind` and `datastreams` are suggestions; `lon`, `lat` is the last place that it told, WGS-84 degrees, and
    `region` the county around it.
    """

    device: str
    topic: str
    payload: str
    reason: str
    first_at: datetime
    last_at: datetime
    times: int
    kind: str = "station"
    datastreams: list[Seen] = []
    lon: float | None = None
    lat: float | None = None
    region: str | None = None


class Claim(BaseModel):
    """What somebody says of a device that he claims; a site gives the region where none is written."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: str | None = None
    site: str | None = None
    region: str = ""
    mode: Mode = Mode.ACTUAL
    time_zone: str = "UTC"
    #: None: those that were read in its payloads, with their units
    datastreams: list[Datastream] | None = None


class Claimed(BaseModel):
    """The device as it is registered now; `notes` is what somebody should look at."""

    device: str
    region: str
    notes: list[str]


def unclaimed(conn: Connection[Any], device: str | None = None, limit: int = 500) -> list[Unclaimed]:
    """Return the devices whose payloads wait for their registration, those first that were heard last.

    What they seem to measure is taken from their newest RECENT payloads.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "WITH said AS (SELECT j.*, named.code,"
            "  row_number() OVER (PARTITION BY named.code ORDER BY j.last_at DESC, j.id DESC) AS age"
            "  FROM rejected j, jsonb_object_keys(j.unregistered) AS named (code)"
            "  WHERE j.unregistered IS NOT NULL AND j.replayed_at IS NULL"
            "  AND (%(device)s::text IS NULL OR named.code = %(device)s)"
            "  AND NOT EXISTS (SELECT FROM thing t WHERE t.code = named.code))"
            " SELECT code AS device, min(first_at) AS first_at, max(last_at) AS last_at, sum(times) AS times,"
            "  max(topic) FILTER (WHERE age = 1) AS topic, max(reason) FILTER (WHERE age = 1) AS reason,"
            "  max(encode(payload, 'hex')) FILTER (WHERE age = 1) AS payload,"
            "  jsonb_agg(unregistered -> code ORDER BY age DESC) FILTER (WHERE age <= %(recent)s) AS contents"
            " FROM said GROUP BY code ORDER BY last_at DESC, device LIMIT %(limit)s",
            {"device": device, "recent": RECENT, "limit": limit},
        ).fetchall()
    locate = locator(conn)
    return [_shown(row, locate) for row in found]


def claim(conn: Connection[Any], device: str, said: Claim, installation: Installation) -> Claimed:
    """Register the device, which has ingest store what waits for it; return it with what to look at.

    NotFound: no such device waits. Taken: it is registered by now. RegistryError: what is said is wrong.
    """
    with conn.transaction():
        # two people at once: the second one must see what the first one wrote
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('claim'), hashtext(%s))", (device,))
        row = conn.execute("SELECT region FROM thing WHERE code = %s", (device,)).fetchone()
        if row is not None:
            raise Taken(f"{device} is registered already, in {row[0]}")
        heard = next(iter(unclaimed(conn, device)), None)
        if heard is None:
            raise NotFound(f"no payload of a device {device!r} waits to be claimed")
        entry = said.model_dump(mode="json", exclude_none=True)
        streams = [stream.model_dump(include={"name", "unit"}) for stream in heard.datastreams]
        entry = {"code": device, "kind": heard.kind, "datastreams": streams, **entry}
        register(conn, {"things": [entry]}, installation)
        row = conn.execute("SELECT region FROM thing WHERE code = %s", (device,)).fetchone()
    region = row[0] if row else ""
    return Claimed(device=device, region=region, notes=_notes(heard, region, locator(conn)))


def _notes(heard: Unclaimed, region: str, locate: Locate) -> list[str]:
    """Say when the device tells a place in another county than that under which it is claimed."""
    if heard.lon is None or heard.lat is None or not elsewhere(locate, region, heard.lon, heard.lat):
        return []
    return [
        f"its place {heard.lat:.5f}, {heard.lon:.5f} lies in {heard.region}, it is claimed under {region}:"
        " is it the right device, and does it stand where it should?"
    ]


def _shown(row: dict[str, Any], locate: Locate) -> Unclaimed:
    """Return the device as people see it; of what it said several times the newest counts."""
    contents: list[dict[str, Any]] = row.pop("contents")
    newest: dict[str, Any] = {}
    for said in contents:
        newest |= said
    streams = {stream["name"]: stream for said in contents for stream in said.get("datastreams", ())}
    place = (newest["lon"], newest["lat"]) if "lon" in newest else None
    region = locate(*place) if place else None
    return Unclaimed(**row | newest | {"datastreams": list(streams.values()), "region": region})


def main(argv: list[str]) -> int:
    """List unclaimed devices, or claim one; exit code 1 when it cannot be claimed."""
    args = _arguments(argv)
    settings = Settings.from_env()
    with psycopg.connect(settings.database(), autocommit=True) as conn:
        conn.execute("SET TIME ZONE 'UTC'")
        if args.command == "list":
            for found in unclaimed(conn):
                print(found.model_dump_json() if args.json else _line(found))
            return 0
        said = {name: getattr(args, name) for name in Claim.model_fields if getattr(args, name, None)}
        try:
            claimed = claim(conn, args.device, Claim(**said), Installation.of(settings))
        except (RegistryError, NotFound, Taken) as error:
            print(error, file=sys.stderr)
            return 1
    if args.json:
        print(claimed.model_dump_json())
    else:
        print("\n".join([f"{claimed.device} is registered in {claimed.region}", *claimed.notes]))
    return 0


def _line(found: Unclaimed) -> str:
    told = ", ".join(f"{each.name} {each.result:g} {each.unit}".strip() for each in found.datastreams[:SHOWN])
    more = f" and {len(found.datastreams) - SHOWN} more" if len(found.datastreams) > SHOWN else ""
    place = f"  {found.lat:.5f}, {found.lon:.5f} ({found.region})" if found.region else ""
    return (
        f"{found.device}  {found.last_at:%Y-%m-%d %H:%M:%S%z}  {found.times}x  {found.topic}  {found.kind}"
        f"{place}  {told or found.reason}{more}"
    )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="liupan unclaimed", description="Devices that nobody has registered."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="show them with what they say")
    claiming = commands.add_parser("claim", help="register one, and store what it has said so far")
    claiming.add_argument("device", help="its name on the wire, as in the list")
    claiming.add_argument("--name", required=True, help="what people call it")
    claiming.add_argument("--kind", choices=("station", "phone"), help="without it what it seems to be")
    claiming.add_argument("--site", help="code of the hazard site that it watches; gives the region too")
    claiming.add_argument("--region", help="GB/T 2260 code of the county, where there is no site")
    claiming.add_argument("--mode", choices=[mode.value for mode in Mode], help="without it: actual")
    claiming.add_argument("--time-zone", help="of the times that it writes behind a Z; without it UTC")
    for command in (listing, claiming):
        command.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser.parse_args(argv)
