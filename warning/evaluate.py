"""A rule over series: what its models say at each step, and the level that follows. History and live are
this.

A step is an hour in which any sensor of the site was heard; its last one is the live answer. Each model looks
at each of its sensors by itself, and its last answer counts for `valid_h` hours. Several sites can lie behind
one another on one timeline, PIECE_H apart: no model remembers so far, so they do not know of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.alert import Level
from warning.level import State, fold
from warning.rules import Rule, Use
from warning.windows import Flags, Floats, Ints

#: hours between the series of two sites on one timeline
PIECE_H = 10_000_000

Levels = NDArray[np.int8]


class Slot(NamedTuple):
    """One sensor of a site: what it observes, and which of the site's sensors it is.

    Slots of one sensor (the three axes of a GNSS station) have the same number: they are one sign of danger.
    """

    observed_property: str
    sensor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A model's answer for one slot: hour numbers (increasing), and for each its values in the model's
    order.
    """

    time_h: Ints
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An answer, and which of its rows holds at each step (-1: none yet)."""

    slot: Slot
    answered: Answered
    row: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What a rule says at each step. Arrays of (models, steps) are in the order of the rule's uses.

    `level` is the site's, `unconfirmed` the one before signs were counted; `ratio` is the highest of each
    model's sensors, NaN where it cannot tell; `asked[model][chosen]` is where it comes from (-1: nobody);
    `over` tells that its lowest line is reached (ratio 1 for models without levels).
    """

    rule: Rule
    steps: Ints
    level: Levels
    unconfirmed: Levels
    unanswered: Flags
    ratio: Floats
    model_level: Levels
    over: Flags
    chosen: Ints
    asked: Sequence[Sequence[Asked]]


def history(
    rule: Rule, series: Mapping[Slot, tuple[Ints, Floats]]
) -> tuple[Assessed, list[tuple[State, Level]]]:
    """Return what the rule says of a whole record, {slot: (hour numbers, values)}, and the level after
    each step.
    """
    answers = [
        {
            slot: Answered(time_h=t, values=ask(use, t, v, backgrounds(use, t, v)))
            for slot, (t, v) in series.items()
            if slot.observed_property in use.inputs
        }
        for use in rule.uses
    ]
    assessed = combine(rule, answers, np.unique(np.concatenate([t for t, _ in series.values()])))
    hours, said = assessed.steps.tolist(), map(Level, assessed.level.tolist())
    return assessed, list(fold(zip(hours, said, assessed.unanswered.tolist(), strict=True), rule.hysteresis))


def backgrounds(use: Use, time_h: Ints, value: Floats) -> Floats | None:
    """Return what the model had learnt at each row from the days before; None for models that do not."""
    if use.model.background is None:
        return None
    days, row = np.unique(time_h // 24, return_inverse=True)
    records = [(time_h, value)] * len(days)
    return use.model.background(records, before_h=(days * 24).tolist(), **use.parameters)[:, row]


def ask(use: Use, time_h: Ints, value: Floats, background: Floats | None) -> Floats:
    """Return the model's values (one row for each, in the model's order) for a series of hourly values."""
    learnt = {} if background is None else {"background": background}
    answer = use.model.exceedance(time_h, value, **learnt, **use.parameters)
    return np.array([answer[name] for name in use.model.values])


def combine(rule: Rule, answers: Sequence[Mapping[Slot, Answered]], steps: Ints) -> Assessed:
    """Return what the rule says at these steps (hour numbers, increasing), from its models' answers."""
    asked = [
        [
            Asked(slot=slot, answered=a, row=np.searchsorted(a.time_h, steps, side="right") - 1)
            for slot, a in answered.items()
            if len(a.time_h)
        ]
        for answered in answers
    ]
    shape = (len(rule.uses), len(steps))
    ratio, over, chosen = np.full(shape, np.nan), np.zeros(shape, np.bool_), np.full(shape, -1)
    silent, levels_of = np.zeros(len(steps), np.bool_), []
    for number, use in enumerate(rule.uses):
        ratios, levels, heard = _slots(use, asked[number], steps)
        levels_of.append(levels)
        if len(ratios):
            known = ~np.isnan(ratios)
            silent |= heard & ~known.any(axis=0)
            best = np.where(known, levels * 1e9 + np.clip(ratios, 0, 1e8), -1.0).argmax(axis=0)
            ratio[number] = np.take_along_axis(ratios, best[None], 0)[0]
            chosen[number] = np.where(known.any(axis=0), best, -1)
            over[number] = levels.any(axis=0) if use.lines else ratio[number] >= 1
    model_level, signs = _counted(rule, asked, ratio, levels_of)
    unconfirmed = model_level.max(axis=0)
    return Assessed(
        rule=rule,
        steps=steps,
        level=_confirmed(rule, unconfirmed, list(signs)),
        unconfirmed=unconfirmed,
        unanswered=silent,
        ratio=ratio,
        model_level=model_level,
        over=over,
        chosen=chosen,
        asked=asked,
    )


def values(assessed: Assessed, model: int, step: int) -> tuple[Asked, dict[str, float]] | None:
    """Return the chosen sensor's answer of a model at a step with all its values; None when there is none."""
    if (chosen := int(assessed.chosen[model, step])) < 0:
        return None
    asked = assessed.asked[model][chosen]
    column = asked.answered.values[:, asked.row[step]].tolist()
    return asked, dict(zip(assessed.rule.uses[model].model.values, column, strict=True))


def _slots(use: Use, asked: Sequence[Asked], steps: Ints) -> tuple[Floats, Levels, Flags]:
    """Return ratio and level of each slot at each step, and whether any slot has ever said anything."""
    shape = (len(asked), len(steps))
    ratios, levels, heard = np.full(shape, np.nan), np.zeros(shape, np.int8), np.zeros(len(steps), np.bool_)
    names = use.model.values
    for slot, of in enumerate(asked):
        age = np.where(of.row >= 0, steps - of.answered.time_h[of.row], PIECE_H)
        heard |= age < PIECE_H // 2
        said = of.answered.values[:, of.row]
        ratios[slot] = np.where(age <= use.valid_h, said[names.index("ratio")], np.nan)
        known = ~np.isnan(ratios[slot])
        for line in use.lines:
            reached = known
            for name, limit in line.at_least.items():
                reached = reached & (said[names.index(name)] >= limit)
            for name, limit in line.at_most.items():
                reached = reached & (said[names.index(name)] <= limit)
            levels[slot][reached] = line.level
    return ratios, levels, heard


def _counted(
    rule: Rule, asked: Sequence[Sequence[Asked]], ratio: Floats, levels_of: Sequence[Levels]
) -> tuple[Levels, Iterable[Levels]]:
    """Return each model's level as far as it counts, and that of each sign: one sensor of one kind."""
    model_level, signs = np.zeros(ratio.shape, np.int8), dict[tuple[str, int], Levels]()
    keys = [use.key for use in rule.uses]
    for number, use in enumerate(rule.uses):
        levels = levels_of[number]
        if use.only_while and len(levels):
            levels = np.where(ratio[keys.index(use.only_while)] < 1, np.int8(0), levels)
        for of, level in zip(asked[number], levels, strict=True):
            sign = (of.slot.observed_property.partition("_")[0], of.slot.sensor)
            signs[sign] = np.maximum(signs[sign], level) if sign in signs else level
            model_level[number] = np.maximum(model_level[number], level)
    return model_level, signs.values()


def _confirmed(rule: Rule, level: Levels, signs: Sequence[Levels]) -> Levels:
    """Return the level, one lower where it needs more signs than there are; from the gravest down."""
    for confirm in sorted(rule.confirm, key=lambda confirm: -confirm.level):
        if (level == confirm.level).any():
            count = np.sum([sign >= confirm.at_least for sign in signs], axis=0)
            short = (level == confirm.level) & (count < confirm.signs)
            level = np.where(short, level - 1, level).astype(np.int8)
    return level
