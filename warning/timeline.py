"""The series of several sites laid behind one another, so that each model is asked once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warning.evaluate import PIECE_H, Assessed, Readings, Slot, evaluate
from warning.recall import Window
from warning.rules import Rule, Use
from warning.series import Series
from warning.windows import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The part of an assessment that belongs to one site: steps `begin` to `end`, hours shifted by
    `offset_h`.
    """

    window: Window
    assessed: Assessed
    begin: int
    end: int
    offset_h: int


@dataclass(slots=True, kw_only=True)
class _Lane:
    """The pieces of one slot's series, site after site."""

    time_h: list[Ints]
    value: list[Floats]
    background: dict[str, list[Floats]]


def assess_from(rule: Rule, todo: Sequence[tuple[Window, int]]) -> list[Piece]:
    """Return what the rule says of each window at its steps from that hour on.

    Sites whose rule counts rows are asked one by one.
    """
    if rule.counts_rows and len(todo) > 1:
        return [piece for one in todo for piece in assess_from(rule, [one])]
    lanes: dict[Slot, _Lane] = {}
    steps: list[int] = []
    bounds = [0]
    for number, (window, from_h) in enumerate(todo):
        offset = number * PIECE_H
        hours = set[int]()
        for stream in window.site.streams:
            series = window.series[stream.id]
            if series.size:
                hours.update(series.hours[series.row_from(from_h) : series.size].tolist())
                _lay(rule, lanes, stream.slot, series, from_h=from_h, offset=offset)
        steps += (hour + offset for hour in sorted(hours))
        bounds.append(len(steps))
    inputs = {slot: _joined(lane) for slot, lane in lanes.items()}
    assessed = evaluate(rule, inputs, np.array(steps, np.int64))
    return [
        Piece(window=window, assessed=assessed, begin=bounds[n], end=bounds[n + 1], offset_h=n * PIECE_H)
        for n, (window, _) in enumerate(todo)
    ]


def _lay(
    rule: Rule, lanes: dict[Slot, _Lane], slot: Slot, series: Series, *, from_h: int, offset: int
) -> None:
    """Put as much of the series behind the others as answers from `from_h` on rest on."""
    time_h = series.time_h
    first = max(series.row_from(from_h + 1) - 1, 0)  # the row whose answer holds at that hour
    uses = [use for use in rule.uses if slot.observed_property in use.inputs]
    begin = min(use.model.oldest(time_h, first, **use.parameters) for use in uses)
    lane = lanes.setdefault(slot, _Lane(time_h=[], value=[], background={}))
    lane.time_h.append(time_h[begin:] + offset)
    lane.value.append(series.values(begin))
    for use in uses:
        if use.model.background:
            lane.background.setdefault(use.key, []).append(_background(use, series, begin, first))


def _background(use: Use, series: Series, begin: int, first: int) -> Floats:
    """Return what the model has learnt at each row from `begin` on; what nobody asks before `first` is
    NaN.
    """
    days = series.time_h[first:] // 24
    columns = [_learnt(use, series, day) for day in np.unique(days).tolist()]
    whole = np.full((len(columns[0]), series.size - begin), np.nan)
    for column, day in zip(columns, np.unique(days), strict=True):
        whole[:, first - begin :][:, days == day] = column[:, None]
    return whole


def _learnt(use: Use, series: Series, day: int) -> Floats:
    if (use.key, day) not in series.learnt and use.model.background:
        for known in [known for known in series.learnt if known[1] < day - 2]:
            del series.learnt[known]
        learnt = use.model.background(series.time_h, series.values(), before_h=day * 24, **use.parameters)
        series.learnt[use.key, day] = learnt
    return series.learnt[use.key, day]


def _joined(lane: _Lane) -> Readings:
    if len(lane.time_h) == 1:
        return Readings(
            time_h=lane.time_h[0],
            value=lane.value[0],
            background={key: pieces[0] for key, pieces in lane.background.items()},
        )
    return Readings(
        time_h=np.concatenate(lane.time_h),
        value=np.concatenate(lane.value),
        background={key: np.concatenate(pieces, axis=1) for key, pieces in lane.background.items()},
    )
