"""The table of monitoring types against the published one: fields in their order, units, nothing left out."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.wire import encode
from ingest.codecs import dp
from ingest.codecs._dp_types import ALIASES, SPELLINGS, STATES, TYPES

#: units as the published table writes them in words: what it does not know, or knows to differ, is None
WRITTEN = {"": None, "-": None, "various": None, "Pa?": None, "mV?": None}


def units(written: str) -> list[str | None]:
    """Return the units of a row: `a;b`, `a x3` and `a,a` are several, what stands in brackets is a comment.

    >>> units("Hz x3; mm")
    ['Hz', 'Hz', 'Hz', 'mm']
    """
    found: list[str | None] = []
    for part in re.split(r"[;,]", re.sub(r"\(.*?\)", "", written.partition("; g seen")[0])):
        unit, _, times = part.strip().partition(" x")
        found += [WRITTEN.get(unit, unit)] * int(times or 1)
    return found


def published(data: Path) -> Iterator[tuple[str, list[str], list[str | None]]]:
    with (data / "stations/types.csv").open(encoding="utf-8") as table:
        rows = {
            (row["level"], code): row for row in csv.DictReader(table) for code in row["code"].split(" / ")
        }
    for (level, code), row in rows.items():
        unit = rows[level, "CS"]["unit"] if row["unit"] == "as CS" else row["unit"]
        fields = row["fields_in_order"].split(",")
        known = units(unit)
        yield f"{level}_{code}", fields, known * len(fields) if len(known) == 1 else known


def test_every_published_type_with_its_fields_in_order_and_their_units(data: Path) -> None:
    rows = list(published(data))
    assert len(rows) == 31
    for kind, fields, known in rows:
        if kind == "S1_ZT":
            continue  # its fields stand in no row
        named = [] if fields[0] in ("-", "vendor") or "file stream" in fields[0] else fields
        assert list(TYPES[kind]) == named, kind
        assert list(TYPES[kind].values()) == known[: len(named)], kind
    assert set(TYPES) == {kind for kind, *_ in rows} | SPELLINGS


def test_what_only_tells_states_is_known(data: Path) -> None:
    told = {kind for kind, fields, _ in published(data) if fields == ["vendor"]}
    assert told < STATES <= set(TYPES)


def test_a_spelling_is_the_type_that_it_means() -> None:
    assert all(TYPES[kind] == TYPES[kind.replace("L3", "L4")] for kind in SPELLINGS)


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_is_read_by_name_and_by_place(kind: str) -> None:
    """Our own numbers: each field has its place as its value, and comes back under its name with its unit."""
    numbers = {name: place + 0.5 for place, name in enumerate(TYPES[kind]) if name != "gpsInitial"}
    aliases = {usual: other for other, usual in ALIASES.get(kind, {}).items()}
    forms: list[object] = [numbers, {aliases.get(name, name): str(n) for name, n in numbers.items()}]
    if kind not in STATES and numbers:
        forms.append(",".join(map(str, numbers.values())))
    for form in forms:
        body = encode({"70000001": {f"{kind}_2": form}})
        decoded = dp.decode("$dp", body, datetime(2026, 8, 12, tzinfo=UTC))
        assert decoded.problems == ()
        assert {r.datastream: (r.result, r.unit) for r in decoded.readings} == {
            f"{kind}_2/{name}": (number, TYPES[kind][name]) for name, number in numbers.items()
        }
