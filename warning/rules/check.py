"""What a schema cannot say about a rule file: that it fits the models which it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from warning import models
from warning.models import Model
from warning.windows import WINDOWS

Problem = tuple[Sequence[str | int], str]


def problems(content: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield (path in the file, reason) for everything in a rule of the right shape that cannot work."""
    for key, used in content["models"].items():
        path = ["models", key]
        if used["model"] not in models.load():
            yield [*path, "model"], f"no model {used['model']!r}; there are {', '.join(models.load())}"
            continue
        model = models.load()[used["model"]]
        yield from _inputs(path, model, used)
        yield from _parameters(path, model, used.get("parameters", {}))
        yield from _lines(path, model, used.get("levels", {}))
        gate = content["models"].get(used.get("only_while"), {"only_while": "itself"})
        if "only_while" in used and "only_while" in gate:
            yield [*path, "only_while"], "must name another model of this rule that has no only_while itself"
    yield from _memory(content)


def settings_of(used: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    """Return the model that is used and all its parameters: the defaults, and what the rule sets."""
    model = models.load()[used["model"]]
    own = {name: tuple(v) if isinstance(v, list) else v for name, v in used.get("parameters", {}).items()}
    return model, {**model.parameters, **own}


def reach_h(used: Mapping[str, Any]) -> int:
    """Return how many hours back an answer looks; 0 for models that look back to the first row."""
    model, parameters = settings_of(used)
    rows = model.rows_back(**parameters)
    record = parameters["record_h"] + 48 if model.background else 0
    return 0 if rows is None else rows + record


def _inputs(path: list[str], model: Model, used: Mapping[str, Any]) -> Iterator[Problem]:
    for name in used["inputs"]:
        if name not in model.observed_properties:
            fits = ", ".join(model.observed_properties)
            yield [*path, "inputs"], f"{model.name} cannot be fed with {name!r}, but with {fits}"


def _parameters(path: list[str], model: Model, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in parameters.items():
        place = [*path, "parameters", name]
        if name not in model.parameters:
            yield place, f"{model.name} has no such parameter; it has {', '.join(model.parameters)}"
        elif wanted := _unfit(name, value, model.parameters[name]):
            yield place, f"must be {wanted}, not {value!r}"


def _unfit(name: str, value: object, default: object) -> str:
    """Return what the value must be when it is not like the default; '' when it fits."""
    if name == "windows":
        return "" if value in WINDOWS else " or ".join(WINDOWS)
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, tuple):
        numbers = isinstance(value, list) and value and all(_is_number(item, default[0]) for item in value)
        return "" if numbers else f"a list of numbers like {list(default)}"
    if isinstance(default, int):
        return "" if _is_number(value, default) and value > 0 else "a whole number above 0"  # type: ignore[operator]
    return "" if _is_number(value, default) else "a number"


def _is_number(value: object, like: object) -> bool:
    return isinstance(value, int if isinstance(like, int) else (int, float)) and not isinstance(value, bool)


def _lines(path: list[str], model: Model, levels: Mapping[str, Any]) -> Iterator[Problem]:
    for word, line in levels.items():
        for bound, limits in line.items():
            for name in limits:
                if name not in model.values:
                    said = ", ".join(model.values)
                    yield [*path, "levels", word, bound, name], f"{model.name} says no {name}, but {said}"
    ordered = [levels[word]["at_least"] for word in ("blue", "yellow", "orange", "red") if word in levels]
    for lower, higher in pairwise(ordered):
        for name in lower.keys() & higher.keys():
            if higher[name] < lower[name]:
                yield (
                    [*path, "levels"],
                    f"{name}: a higher level must not need less ({higher[name]} < {lower[name]})",
                )


def _memory(content: Mapping[str, Any]) -> Iterator[Problem]:
    held = content.get("calm_h", 0) + content.get("hold_h", 0)
    for key, used in content["models"].items():
        if used["model"] not in models.load():
            continue
        try:
            needed = reach_h(used) + held
        except (TypeError, ValueError, ArithmeticError):
            continue  # its parameters are wrong, which is said above
        if needed > content["memory_h"]:
            yield (
                ["memory_h"],
                f"{key} looks back {needed} h with calm_h and hold_h; it must be that at least",
            )
