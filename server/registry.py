"""Registering regions, sites, things with their datastreams, units and recipients: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from domain.flow import News, emit_all
from server.boundaries import Locate, locator
from server.registry_check import Installation, Items, conflicts, missing
from server.registry_file import LISTS, Stream, Thing
from server.registry_read import Draft, Read, RegistryError, read_mapping, validated
from server.registry_store import Fields, Item, key_of, stored, write
from warning.response.incident import staff

__all__ = ["RegistryError", "apply", "counts", "register"]


def register(
    conn: Connection[Any], registry: Mapping[str, object], installation: Installation | None = None
) -> dict[str, int]:
    """Write the registry by code, in one transaction; return how many rows of each kind are new or changed.

    What the file does not name stays, rows and fields. RegistryError tells every problem found, and nothing
    is written. With an `installation` this includes what it does not have: rules, channels, regions.
    """
    draft = Draft()
    read_mapping(draft, registry)
    return counts(apply(conn, draft, installation))


def counts(items: Sequence[Item]) -> dict[str, int]:
    """Return how many rows of each list are new or changed."""
    told = dict.fromkeys(LISTS, 0)
    for item in items:
        told[item.list] += bool(item.changes)
    return told


def apply(conn: Connection[Any], draft: Draft, installation: Installation | None = None) -> list[Item]:
    """Write what the files say, in one transaction, as `register` does; return every row with what it was.

    A new thing whose payloads wait in quarantine is told of, so that they are stored after all.
    """
    rows, problems = validated(draft)
    with conn.transaction():
        items = _items(conn, rows)
        problems += conflicts(conn, draft, items)
        problems += missing(items, installation) if installation else []
        if problems:
            raise RegistryError(*map(draft.located, problems))
        changed = [item for some in items.values() for item in some.values() if item.changes]
        for name in LISTS:
            if new := [item.new for item in changed if item.list == name]:
                write(conn, name, new)
        _release(conn, changed)
        if any(item.list == "units" for item in changed):
            staff(conn, datetime.now(UTC))  # an open incident may have waited for this team
    return [item for some in items.values() for item in some.values()]


def _items(conn: Connection[Any], rows: Read) -> Items:
    """Return each row whole: what the file says of it, else what is registered, else what follows."""
    items: Items = {name: {} for name in LISTS}
    rows["datastreams"] |= dict(_nested(rows))
    locate = locator(conn)
    for name, listing in LISTS.items():
        said, columns = {}, set(listing.fields)
        for place, row in rows[name].items():
            fields = row.model_dump(mode="json", include=columns)
            said[place] = fields, row.model_fields_set
        known = stored(conn, name, (key_of(name, fields) for fields, _ in said.values()))
        sites = _site_regions(conn, items, said) if name == "things" else {}
        for place, (fields, named) in said.items():
            key = key_of(name, fields)
            old = known.get(key)
            if old is None:
                new = _complete(name, fields, sites, locate)
            else:
                new = old | {field: fields[field] for field in fields if field in named}
            items[name][place] = Item(name, place, key, old, new)
    return items


def _nested(rows: Read) -> Iterator[tuple[str, Stream]]:
    for place, thing in rows["things"].items():
        for number, stream in enumerate(thing.datastreams if isinstance(thing, Thing) else ()):
            fields = stream.model_fields_set | {"thing"}
            row = Stream.model_construct(fields, thing=thing.code, **dict(stream))  # type: ignore[attr-defined]
            yield f"{place}.datastreams[{number}]", row


def _site_regions(
    conn: Connection[Any], items: Items, things: Mapping[str, tuple[Fields, Any]]
) -> dict[str, str]:
    """Return the regions of the things' sites by the sites' codes."""
    codes = [fields["site"] for fields, _ in things.values() if fields["site"]]
    rows = conn.execute("SELECT code, region FROM hazard_site WHERE code = ANY(%s)", (codes,)).fetchall()
    return dict(rows) | {item.new["code"]: item.new["region"] for item in items["sites"].values()}


def _complete(name: str, row: Fields, sites: Mapping[str, str], locate: Locate) -> Fields:
    """Return a new row with what follows from the rest of it, where nothing else is said."""
    if "name_en" in row:
        row["name_en"] = row["name_en"] or row["name_zh"]
    if row.get("region") == "" and name == "things":
        row["region"] = sites.get(row["site"], "")
    elif row.get("region") == "" and "lon" in row:
        row["region"] = locate(row["lon"], row["lat"]) or ""
    if name == "regions":
        code = row["code"]
        row["level"] = row["level"] or (4 if len(code) > 6 else 1 + (code[2:4] != "00") + (code[4:6] != "00"))
        above = (code[:6], code[:4] + "00", code[:2] + "0000")
        row["parent"] = row["parent"] or next((other for other in above if other != code), None)
    return row


def _release(conn: Connection[Any], changed: Sequence[Item]) -> None:
    """Tell ingest of new things whose payloads wait in quarantine."""
    new = {item.key[0]: item.new["region"] for item in changed if item.list == "things" and item.old is None}
    waiting = conn.execute(
        "SELECT DISTINCT jsonb_object_keys(unregistered) FROM rejected"
        " WHERE unregistered IS NOT NULL AND replayed_at IS NULL"
    ).fetchall()
    if news := [News(code, region=new[code]) for (code,) in waiting if code in new]:
        emit_all(conn, "claimed", news)
