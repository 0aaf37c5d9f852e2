"""Rules as data: a YAML file in this folder, or in the user's own, says what a site uses and what it means.

`rule.schema.json` describes the files. One's own rule replaces the shipped one of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from domain.alert import Level
from warning.level import Hysteresis
from warning.models import Model
from warning.rules.check import problems, reach_h, settings_of

FOLDER = Path(__file__).parent

#: what a site says that wants the default rule of its hazard type
DEFAULT = "default"


class RuleError(ValueError):
    """A rule file cannot be used; the message names the file, the line and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a model's values must be for a level: at least and at most these."""

    level: Level
    at_least: Mapping[str, float]
    at_most: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One model as a rule uses it; lines from the lowest level to the highest."""

    key: str
    model: Model
    inputs: tuple[str, ...]
    parameters: Mapping[str, Any]
    valid_h: int
    only_while: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """A level that needs so many signs that have reached `at_least`."""

    level: Level
    signs: int
    at_least: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `late_h`: observations this much older than the newest still change assessments."""

    name: str
    version: int
    source: str
    hazard_types: tuple[str, ...]
    default_for: tuple[str, ...]
    memory_h: int
    late_h: int
    hysteresis: Hysteresis
    report_minutes: int
    uses: tuple[Use, ...]
    confirm: tuple[Confirm, ...]

    @property
    def counts_rows(self) -> bool:
        """Whether a model counts rows, so that the series of several sites must not be put on one
        timeline.
        """
        return any(use.parameters.get("windows") == "rows" for use in self.uses)

    @property
    def inputs(self) -> frozenset[str]:
        """All observed properties that it looks at."""
        return frozenset(name for use in self.uses for name in use.inputs)

    def revises(self, observed_property: str) -> int:
        """Return how many rows back a new row of this property can change answers."""
        fed = (use for use in self.uses if observed_property in use.inputs)
        return max((use.model.revises(**use.parameters) for use in fed), default=0)


def load(folder: str = "") -> dict[str, Rule]:
    """Return every rule by name, those of `folder` before the shipped ones; RuleError for a file that is
    wrong.
    """
    files = sorted(FOLDER.glob("*.yaml"))
    if folder:
        own = Path(folder)
        if not own.is_dir():
            raise RuleError(f"{folder}: no such folder; LIUPAN_RULES must name one with rule files (*.yaml)")
        files += sorted(own.glob("*.yaml"))
    return {rule.name: rule for rule in map(read, files)}


def find(rules: Mapping[str, Rule], name: str, hazard_type: str) -> Rule | None:
    """Return the rule of that name, or for "default" that of the hazard type; one's own default comes
    first.
    """
    if name != DEFAULT:
        return rules.get(name)
    fitting = [rule for rule in rules.values() if hazard_type in rule.default_for]
    return fitting[-1] if fitting else None


def read(file: Path) -> Rule:
    """Return the rule in the file; RuleError says what is wrong with it and where."""
    try:
        text = file.read_text(encoding="utf-8")
        root, content = yaml.compose(text), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuleError(f"{file}: cannot be read: {' '.join(str(error).split())}") from None
    for path, reason in _problems(file, content):
        raise RuleError(f"{file}:{_line(root, path)}: {'.'.join(map(str, path)) or 'file'}: {reason}")
    return _rule(content)


def _problems(file: Path, content: Any) -> Iterator[tuple[Sequence[str | int], str]]:
    for error in sorted(_schema().iter_errors(content), key=lambda error: list(error.absolute_path)):
        yield list(error.absolute_path), error.message
    if content["name"] != file.stem:
        yield ["name"], f"the file is called {file.stem}.yaml, so the name must be {file.stem}"
    yield from problems(content)


@cache
def _schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / "rule.schema.json").read_text(encoding="utf-8")))


def _line(node: yaml.Node | None, path: Sequence[str | int]) -> int:
    """Return the line (from 1) of the place in the file, or of the last part of the path that is there."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if str(part) not in pairs:
                break
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return line


def _rule(content: dict[str, Any]) -> Rule:
    hysteresis = Hysteresis(calm_h=content.get("calm_h", 0), hold_h=content.get("hold_h", 0))
    uses = tuple(_use(key, used) for key, used in content["models"].items())
    needed = max(reach_h(used) for used in content["models"].values())
    return Rule(
        name=content["name"],
        version=content["version"],
        source=content["source"],
        hazard_types=tuple(content["hazard_types"]),
        default_for=tuple(content.get("default_for", ())),
        memory_h=content["memory_h"],
        late_h=content["memory_h"] - needed - hysteresis.memory_h,
        hysteresis=hysteresis,
        report_minutes=content.get("report_minutes", 10),
        uses=uses,
        confirm=tuple(
            Confirm(level=Level.of(word), signs=asked["signs"], at_least=Level.of(asked["at_least"]))
            for word, asked in content.get("confirm", {}).items()
        ),
    )


def _use(key: str, used: dict[str, Any]) -> Use:
    model, parameters = settings_of(used)
    lines = [
        Line(level=Level.of(word), at_least=line["at_least"], at_most=line.get("at_most", {}))
        for word, line in used.get("levels", {}).items()
    ]
    return Use(
        key=key,
        model=model,
        inputs=tuple(used["inputs"]),
        parameters=parameters,
        valid_h=used.get("valid_h", 3),
        only_while=used.get("only_while"),
        lines=tuple(sorted(lines, key=lambda line: line.level)),
    )
