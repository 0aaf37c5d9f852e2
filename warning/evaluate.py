"""A rule over series: what its models say at each step, and the level that follows. History and live are
this.

A step is an hour in which any sensor of the site was heard; its last one is the live answer. Each model
looks at each of its sensors by itself, and its last answer counts for `valid_h` hours. Several sites can lie
behind one another on one timeline, PIECE_H apart: no model remembers so far, so they do not know of each
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.alert import Level
from warning.level import State, fold
from warning.rules import Rule, Use
from warning.windows import Answer, Flags, Floats, Ints

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
class Readings:
    """Hourly values of one slot: hour numbers (increasing), values, and the background of each model, by
    key.
    """

    time_h: Ints
    value: Floats
    background: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One model's answer for one slot, with the row of it that holds at each step."""

    slot: Slot
    answer: Answer
    time_h: Ints
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
    asked: tuple[tuple[Asked, ...], ...]


def history(
    rule: Rule, series: Mapping[Slot, tuple[Ints, Floats]]
) -> tuple[Assessed, list[tuple[State, Level]]]:
    """Return what the rule says of a whole record, {slot: (hour numbers, values)}, and the level after
    each step.
    """
    inputs = {slot: Readings(time_h=t, value=v, background=backgrounds(rule, slot, t, v))
              for slot, (t, v) in series.items()}  # fmt: skip
    steps = np.unique(np.concatenate([t for t, _ in series.values()]))
    assessed = evaluate(rule, inputs, steps)
    said = zip(steps.tolist(), map(Level, assessed.level.tolist()), assessed.unanswered.tolist(), strict=True)
    return assessed, list(fold(said, rule.hysteresis))


def backgrounds(rule: Rule, slot: Slot, time_h: Ints, value: Floats) -> dict[str, Floats]:
    """Return, for each model that learns from the days before, what it had learnt at each row."""
    learnt = {}
    days, row = np.unique(time_h // 24, return_inverse=True)
    for use in rule.uses:
        if use.model.background and slot.observed_property in use.inputs:
            columns = [
                use.model.background(time_h, value, before_h=day * 24, **use.parameters) for day in days
            ]
            learnt[use.key] = np.array(columns).T[:, row]
    return learnt


def evaluate(rule: Rule, inputs: Mapping[Slot, Readings], steps: Ints) -> Assessed:
    """Return what the rule says at these steps (hour numbers, increasing)."""
    asked = tuple(_ask(use, inputs, steps) for use in rule.uses)
    shape = (len(rule.uses), len(steps))
    ratio, model_level = np.full(shape, np.nan), np.zeros(shape, np.int8)
    chosen, silent = np.full(shape, -1), np.zeros(len(steps), np.bool_)
    signs: dict[tuple[str, int], Levels] = {}
    levels_of: list[list[Levels]] = []
    for number, use in enumerate(rule.uses):
        ratios, levels, heard = _states(use, asked[number], steps)
        silent |= heard & np.isnan(ratios).all(axis=0)
        if len(ratios):
            rank = np.where(np.isnan(ratios), -1.0, levels * 1e9 + np.clip(ratios, 0, 1e8))
            best = rank.argmax(axis=0)
            ratio[number] = np.take_along_axis(ratios, best[None], 0)[0]
            chosen[number] = np.where(np.isnan(ratio[number]), -1, best)
        levels_of.append(list(levels))
    keys = [use.key for use in rule.uses]
    for number, use in enumerate(rule.uses):
        closed = ratio[keys.index(use.only_while)] < 1 if use.only_while else np.zeros(len(steps), np.bool_)
        for of, level in zip(asked[number], levels_of[number], strict=True):
            counted = np.where(closed, np.int8(0), level)
            sign = (of.slot.observed_property.partition("_")[0], of.slot.sensor)
            signs[sign] = np.maximum(signs.get(sign, counted), counted)
            model_level[number] = np.maximum(model_level[number], counted)
    unconfirmed = model_level.max(axis=0, initial=0)
    return Assessed(
        rule=rule,
        steps=steps,
        level=_confirmed(rule, unconfirmed, signs),
        unconfirmed=unconfirmed,
        unanswered=silent,
        ratio=ratio,
        model_level=model_level,
        over=_over(rule, asked, ratio, levels_of),
        chosen=chosen,
        asked=asked,
    )


def values(assessed: Assessed, model: int, step: int) -> tuple[Asked, dict[str, float]] | None:
    """Return the chosen sensor's answer of a model at a step with all its values; None when there is none."""
    if (chosen := int(assessed.chosen[model, step])) < 0:
        return None
    asked = assessed.asked[model][chosen]
    row = asked.row[step]
    return asked, {name: float(column[row]) for name, column in asked.answer.items()}


def _ask(use: Use, inputs: Mapping[Slot, Readings], steps: Ints) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            slot=slot,
            answer=use.model.exceedance(r.time_h, r.value, **_learnt(use, r), **use.parameters),
            time_h=r.time_h,
            row=np.searchsorted(r.time_h, steps, side="right") - 1,
        )
        for slot, r in inputs.items()
        if slot.observed_property in use.inputs and len(r.time_h)
    )


def _learnt(use: Use, readings: Readings) -> dict[str, Floats]:
    return {"background": readings.background[use.key]} if use.model.background else {}


def _states(use: Use, asked: tuple[Asked, ...], steps: Ints) -> tuple[Floats, Levels, Flags]:
    """Return ratio and level of each slot at each step, and whether any slot has ever said anything."""
    ratios, levels = np.full((len(asked), len(steps)), np.nan), np.zeros((len(asked), len(steps)), np.int8)
    heard = np.zeros(len(steps), np.bool_)
    for slot, of in enumerate(asked):
        age = np.where(of.row >= 0, steps - of.time_h[of.row], PIECE_H)
        heard |= age < PIECE_H // 2
        ratios[slot] = np.where(age <= use.valid_h, of.answer["ratio"][of.row], np.nan)
        for line in use.lines:
            reached = ~np.isnan(ratios[slot])
            for name, limit in line.at_least.items():
                reached &= of.answer[name][of.row] >= limit
            for name, limit in line.at_most.items():
                reached &= of.answer[name][of.row] <= limit
            levels[slot][reached] = line.level
    return ratios, levels, heard


def _confirmed(rule: Rule, level: Levels, signs: Mapping[tuple[str, int], Levels]) -> Levels:
    """Return the level, one lower where it needs more signs than there are; from the gravest down."""
    for confirm in sorted(rule.confirm, key=lambda confirm: -confirm.level):
        count = sum((sign >= confirm.at_least for sign in signs.values()), np.zeros(len(level), np.int8))
        level = np.where((level == confirm.level) & (count < confirm.signs), level - 1, level).astype(np.int8)
    return level


def _over(
    rule: Rule, asked: tuple[tuple[Asked, ...], ...], ratio: Floats, levels_of: list[list[Levels]]
) -> Flags:
    over = np.zeros(ratio.shape, np.bool_)
    for number, use in enumerate(rule.uses):
        if use.lines and asked[number]:
            over[number] = np.max(levels_of[number], axis=0) > 0
        elif not use.lines:
            over[number] = ratio[number] >= 1
    return over
