"""The processes of enforcement cases as data, one JSON file each; the first step is where a case begins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from domain.incident import IllegalMove


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step (环节) of a process, its names, and the steps that may follow; an end has none."""

    code: str
    zh: str
    en: str
    next: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A graph of steps by code, with loops and side exits; `first` is where a case begins."""

    first: str
    steps: Mapping[str, Step]

    def check_move(self, present: str, wanted: str) -> None:
        """Raise IllegalMove unless the step `wanted` may follow `present`."""
        if wanted not in self.steps[present].next:
            legal = ", ".join(self.steps[present].next) or "nothing: it has ended"
            raise IllegalMove(f"a case that is {present} cannot become {wanted}; possible: {legal}")


def load(name: str) -> Process:
    """Return the process in that file; ValueError says what is wrong with its graph."""
    return parse(json.loads(files(__name__).joinpath(f"{name}.json").read_text()))


def parse(graph: Mapping[str, Any]) -> Process:
    """Return the process that the graph describes; ValueError says what is wrong with it."""
    listed = [Step(code=s["code"], zh=s["zh"], en=s["en"], next=tuple(s["next"])) for s in graph["steps"]]
    process = Process(first=listed[0].code, steps={step.code: step for step in listed})
    if len(process.steps) < len(listed):
        raise ValueError("two steps of the process have the same code")
    if problems := list(_problems(process)):
        raise ValueError("; ".join(problems))
    return process


def _problems(process: Process) -> Iterator[str]:
    for step in process.steps.values():
        yield from (
            f"{step.code} leads to {n}, which is no step" for n in step.next if n not in process.steps
        )
        if not step.zh or not step.en:
            yield f"{step.code} needs a name in Chinese and in English"
    forward = {code: set(step.next) for code, step in process.steps.items()}
    back = {code: {c for c, following in forward.items() if code in following} for code in forward}
    ends = {code for code, following in forward.items() if not following}
    for code in process.steps.keys() - _reached({process.first}, forward):
        yield f"no way leads to {code}"
    for code in process.steps.keys() - _reached(ends, back):
        yield f"no way leads from {code} to an end"


def _reached(start: set[str], ways: Mapping[str, set[str]]) -> set[str]:
    found, todo = set(start), list(start)
    while todo:
        new = ways.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found
