"""What registry files say, before it is held against what is registered: entries, and what is wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from server import crs
from server.registry_file import LISTS, Row

#: list -> place in the file, as in "sites[3]" or "sites.csv line 4" -> row
Read = dict[str, dict[str, Row]]

#: what pydantic says of a field that is not there
MISSING = "Field required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong: where, in which field (of a table: column and value), and what to do."""

    place: str
    reason: str
    field: str = ""
    column: str = ""
    value: str = ""

    def __str__(self) -> str:
        if self.column:
            value = f" {self.value!r}" if self.value else ""
            return f"{self.place}, {self.column}{value}: {self.reason}"
        return f"{self.place}{'.' * bool(self.field)}{self.field}: {self.reason}"


class RegistryError(Exception):
    """The registry cannot be written; `args` are the problems, each with its place in the file."""

    def __str__(self) -> str:
        return "; ".join(self.problems)

    @property
    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        return [str(problem) for problem in self.args]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What files say: entries of each list with their place, the cells that they come from, and problems."""

    entries: dict[str, list[tuple[str, object]]] = field(default_factory=lambda: defaultdict(list))
    #: place -> field -> heading and text of its cell, where the entry comes from a table
    cells: dict[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, place: str, reason: str, column: str = "", value: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(place=place, reason=reason, column=column, value=value))

    def located(self, problem: Problem) -> Problem:
        """Return the problem with the heading and the text of its cell, where it comes from a table."""
        cells = self.cells.get(problem.place, {})
        heading, text = cells.get(problem.field.partition("[")[0], ("", ""))
        return replace(problem, column=heading, value=text) if heading else problem

    def codes(self, name: str) -> set[str]:
        """Return the codes that the files give to rows of the list, also those of rows with problems."""
        codes = (entry.get("code") for _, entry in self.entries[name] if isinstance(entry, dict))
        return {code for code in codes if isinstance(code, str)}


def read_mapping(draft: Draft, registry: Mapping[str, object], file: str = "") -> None:
    """Add what a registry in the form of JSON says; places are as in `sites[3]`, behind the file's name."""
    before = f"{file} " if file else ""
    for name, items in registry.items():
        if name not in LISTS:
            draft.refuse(before + name, f"no such list; there are {', '.join(LISTS)}")
        elif not isinstance(items, list):
            draft.refuse(before + name, f"expected a list, got {type(items).__name__}")
        else:
            draft.entries[name] += [(f"{before}{name}[{i}]", item) for i, item in enumerate(items)]


def read_json(draft: Draft, file: Path) -> Mapping[str, Any] | None:
    """Return the object in the file; None, and a problem in the draft, when there is none."""
    try:
        registry = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        draft.refuse(str(file), f"is no JSON: {error}")
        return None
    if not isinstance(registry, dict):
        draft.refuse(str(file), f"expected a JSON object with the lists {', '.join(LISTS)}")
        return None
    return registry


def validated(draft: Draft) -> tuple[Read, list[Problem]]:
    """Return the rows that have the right shape, by their place, and all that is wrong with the others."""
    problems, rows = list(draft.problems), {name: dict[str, Row]() for name in LISTS}
    for name, listing in LISTS.items():
        for place, entry in draft.entries[name]:
            try:
                rows[name][place] = listing.model.model_validate(entry)
            except ValidationError as error:
                told = (_told(place, e) for e in error.errors())
                cells = draft.cells.get(place, {})  # a cell that is there and was refused is no missing one
                problems += [p for p in told if not (p.reason == MISSING and p.field in cells)]
            problems += _swapped(place, entry)
    return rows, problems


def _told(place: str, error: Mapping[str, Any]) -> Problem:
    name = ""
    for step in error["loc"]:
        name += f"[{step}]" if isinstance(step, int) else f"{'.' * bool(name)}{step}"
    reason = error["ctx"]["error"] if error["type"] == "value_error" else error["msg"]
    return Problem(place=place, field=name, reason=str(reason))


def _swapped(place: str, entry: object) -> Iterator[Problem]:
    with suppress(TypeError, ValueError, KeyError):  # what is no number is told of anyway
        if isinstance(entry, dict) and crs.swapped(float(entry["lon"]), float(entry["lat"])):
            yield Problem(
                place=place,
                field="lon",
                reason=f"longitude {entry['lon']} and latitude {entry['lat']} lie outside of China, and would"
                " lie inside the other way round: swap the two",
            )
