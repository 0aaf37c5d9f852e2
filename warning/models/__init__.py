"""The warning models: a module in this folder is one, named author_year after its published source.

What a module must have (there is nothing to register; `load` checks it at start):
- NAME (Chinese, English); SENTENCE (Chinese, English), filled in with its parameters and values;
- OBSERVED_PROPERTIES it can be fed with; PARAMETERS with their defaults; VALUES, the names in its answer;
- `exceedance(time_h, value, **parameters)`: hour numbers and hourly values in, a dict of arrays of the
  same length out: "ratio" (1.0 = on the line, NaN = cannot tell) and the other VALUES;
- `rows_back(**parameters)`: how many rows before a row its answer rests on; None for all.
It may have `revises(**parameters)`, how many rows back a later row can change an answer, and
`background(records, before_h=..., **parameters)`, what it learns once a day from the days before: for each
record (hours, values) and its `before_h` a column of values.
Two pieces of a series that lie further apart than a model's memory do not know of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from warning.windows import Answer, Floats

REQUIRED = ("NAME", "SENTENCE", "OBSERVED_PROPERTIES", "PARAMETERS", "VALUES", "exceedance", "rows_back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One module of this folder; texts are (Chinese, English)."""

    name: str
    title: tuple[str, str]
    sentence: tuple[str, str]
    observed_properties: tuple[str, ...]
    parameters: Mapping[str, object]
    values: tuple[str, ...]
    exceedance: Callable[..., Answer]
    rows_back: Callable[..., int | None]
    revises: Callable[..., int]
    background: Callable[..., Floats] | None


@cache
def load() -> Mapping[str, Model]:
    """Return every model by name; ValueError names a module that lacks something."""
    found = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return {model.name: model for model in map(_model, found)}


def _model(module: ModuleType) -> Model:
    name = module.__name__.rpartition(".")[2]
    if missing := [word for word in REQUIRED if not hasattr(module, word)]:
        raise ValueError(f"warning/models/{name}.py lacks {', '.join(missing)}")
    return Model(
        name=name,
        title=module.NAME,
        sentence=module.SENTENCE,
        observed_properties=module.OBSERVED_PROPERTIES,
        parameters=module.PARAMETERS,
        values=module.VALUES,
        exceedance=module.exceedance,
        rows_back=module.rows_back,
        revises=getattr(module, "revises", lambda **_: 0),
        background=getattr(module, "background", None),
    )
