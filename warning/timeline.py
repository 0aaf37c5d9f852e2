"""The series of several sites laid behind one another, so that each model is asked once for all of them.

Only series that have changed are asked about; the last answers of the others are at hand in their windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from domain.alert import Level
from warning.evaluate import PIECE_H, Answered, Assessed, Slot, ask, combine
from warning.recall import Window
from warning.rules import Rule, Use
from warning.series import Series, mean_mm
from warning.sites import Stream
from warning.windows import Floats, Ints

#: so many answers before the first one that was asked for stay at hand: steps of other sensors may need them
EARLIER_ROWS = 4

#: so many records are learnt from together: more would take much memory
LEARN_AT_ONCE = 200

LEVELS = tuple(Level)


class Step(NamedTuple):
    """One step of a site: its place in the assessment, its hour, and what the models say.

    `over`: one bit for each model whose line is crossed; `said`: bytes that differ when an answer does.
    """

    place: int
    hour: int
    level: Level
    unanswered: bool
    over: int
    said: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The steps of an assessment that belong to one site; its hours are shifted by `offset_h` there."""

    window: Window
    assessed: Assessed
    offset_h: int
    steps: Sequence[Step]


@dataclass(slots=True)
class _Lane:
    """Series to ask one model about, one behind the other, and where in them the answers to keep begin and
    end.
    """

    owner: list[tuple[Window, Stream]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    time_h: list[Ints] = field(default_factory=list)
    sums: list[Ints] = field(default_factory=list)
    counts: list[Ints] = field(default_factory=list)
    #: what the model has learnt, and for how many rows that holds
    learnt: list[Floats] = field(default_factory=list)
    learnt_rows: list[int] = field(default_factory=list)


def assess_from(rule: Rule, todo: Sequence[tuple[Window, int]]) -> list[Piece]:
    """Return what the rule says of each window at its steps from that hour on.

    Sites whose rule counts rows are asked one by one.
    """
    if rule.counts_rows and len(todo) > 1:
        return [piece for one in todo for piece in assess_from(rule, [one])]
    for number, use in enumerate(rule.uses):
        _ask(use, number, todo)
    hours, bounds = list[int](), [0]
    for window, from_h in todo:
        window.changed.clear()
        hours += sorted({hour for series in window.series.values() for hour in series.hours_from(from_h)})
        bounds.append(len(hours))
    offsets = np.repeat(np.arange(len(todo)) * PIECE_H, np.diff(bounds))
    answers = [_answers(number, todo) for number in range(len(rule.uses))]
    assessed = combine(rule, answers, np.array(hours, np.int64) + offsets)
    steps = _steps(assessed, hours)
    return [
        Piece(window=window, assessed=assessed, offset_h=n * PIECE_H, steps=steps[bounds[n] : bounds[n + 1]])
        for n, (window, _) in enumerate(todo)
    ]


def _steps(assessed: Assessed, hours: Sequence[int]) -> list[Step]:
    bits = (1 << np.arange(len(assessed.over))) @ assessed.over
    ratios = np.ascontiguousarray(assessed.ratio.T)
    return [
        Step(place, hour, LEVELS[level], unanswered, over, ratio.tobytes() + bytes((level,)))
        for place, (hour, level, unanswered, over, ratio) in enumerate(
            zip(
                hours,
                assessed.level.tolist(),
                assessed.unanswered.tolist(),
                bits.tolist(),
                ratios,
                strict=True,
            )
        )
    ]


def _ask(use: Use, number: int, todo: Sequence[tuple[Window, int]]) -> None:
    """Ask the model about all series that have changed or are not known back to that hour; note its
    answers.
    """
    back = use.model.rows_back(**use.parameters)
    lanes = {True: _Lane(), False: _Lane()}
    owners = [
        ((window, stream), from_h)
        for window, from_h in todo
        for stream in window.site.feeds[number]
        if window.series[stream.id].size
        and (
            stream.id in window.changed or window.answered_from.get((number, stream.id), from_h + 1) > from_h
        )
    ]
    if use.model.background:
        _learn(
            use,
            use.model.background,
            [(window.series[stream.id], from_h) for (window, stream), from_h in owners],
        )
    for (window, stream), from_h in owners:
        _lay(use, lanes[window.series[stream.id].summed], (window, stream), from_h, back)
    for summed, lane in lanes.items():
        if lane.owner:
            _note(use, number, lane, summed)


def _lay(use: Use, lane: _Lane, owner: tuple[Window, Stream], from_h: int, back: int | None) -> None:
    """Put as much of the series behind the others as the answers from `from_h` on, and some before, rest
    on.
    """
    series = owner[0].series[owner[1].id]
    first = _first_row(series, from_h)
    begin = 0 if back is None else max(first - back, 0)
    lane.time_h.append(series.hours[begin : series.size])
    lane.sums.append(series.sums[begin : series.size])
    lane.counts.append(series.counts[begin : series.size])
    lane.first.append(first - begin)
    lane.owner.append(owner)
    if use.model.background:
        _lay_learnt(use, lane, series, begin, first)


def _first_row(series: Series, from_h: int) -> int:
    return max(series.row_at(from_h) - EARLIER_ROWS, 0)


def _learn(use: Use, background: Callable[..., Floats], asked: Sequence[tuple[Series, int]]) -> None:
    """Let the model learn what it does not know yet of the days that the series are asked about."""
    records, unknown = list[tuple[Ints, Floats]](), list[tuple[Series, int]]()
    for series, from_h in asked:
        days = set((series.hours[_first_row(series, from_h) : series.size] // 24).tolist())
        new = sorted(day for day in days if (use.key, day) not in series.learnt)
        if new:
            records += [(series.time_h, series.values())] * len(new)
            unknown += [(series, day) for day in new]
            for known in [known for known in series.learnt if known[1] < new[0] - 2]:
                del series.learnt[known]
    for begin in range(0, len(unknown), LEARN_AT_ONCE):
        some = slice(begin, begin + LEARN_AT_ONCE)
        before_h = [day * 24 for _, day in unknown[some]]
        columns = background(records[some], before_h=before_h, **use.parameters).T
        for (series, day), column in zip(unknown[some], columns, strict=True):
            series.learnt[use.key, day] = column


def _lay_learnt(use: Use, lane: _Lane, series: Series, begin: int, first: int) -> None:
    """Add what the model has learnt at each row; NaN before `first`, which is not asked about."""
    columns, rows, row = list[Floats](), [first - begin], first
    while row < series.size:
        day = int(series.hours[row]) // 24
        end = series.row_at(day * 24 + 23) + 1
        columns.append(series.learnt[use.key, day])
        rows.append(end - row)
        row = end
    lane.learnt += [_nothing(len(columns[0])), *columns]
    lane.learnt_rows += rows


@cache
def _nothing(length: int) -> Floats:
    return np.full(length, np.nan)


def _note(use: Use, number: int, lane: _Lane, summed: bool) -> None:
    """Ask, and put into each window what was answered for its series."""
    sums, lengths = np.concatenate(lane.sums), [len(time_h) for time_h in lane.time_h]
    value = sums / 1e3 if summed else mean_mm(sums, np.concatenate(lane.counts))
    background = np.repeat(np.array(lane.learnt).T, lane.learnt_rows, axis=1) if lane.learnt else None
    offsets = np.repeat(np.arange(len(lengths)) * PIECE_H, lengths)
    said = ask(use, np.concatenate(lane.time_h) + offsets, value, background)
    begin = 0
    for (window, stream), first, time_h in zip(lane.owner, lane.first, lane.time_h, strict=True):
        end = begin + len(time_h)
        key, kept_h = (number, stream.id), time_h[first:].copy()
        window.answers[key] = Answered(time_h=kept_h, values=said[:, begin + first : end].copy())
        window.answered_from[key] = (
            int(kept_h[0]) if first or len(time_h) < window.series[stream.id].size else 0
        )
        begin = end


def _answers(number: int, todo: Sequence[tuple[Window, int]]) -> dict[Slot, Answered]:
    """Return what is at hand of one model, site after site, by slot."""
    pieces: dict[Slot, list[tuple[int, Answered]]] = {}
    for place, (window, _) in enumerate(todo):
        for stream in window.site.feeds[number]:
            if (answered := window.answers.get((number, stream.id))) is not None:
                pieces.setdefault(stream.slot, []).append((place * PIECE_H, answered))
    return {slot: _joined(laid) for slot, laid in pieces.items()}


def _joined(laid: Sequence[tuple[int, Answered]]) -> Answered:
    if len(laid) == 1 and laid[0][0] == 0:
        return laid[0][1]
    lengths = [len(answered.time_h) for _, answered in laid]
    offsets = np.repeat([offset for offset, _ in laid], lengths)
    return Answered(
        time_h=np.concatenate([answered.time_h for _, answered in laid]) + offsets,
        values=np.concatenate([answered.values for _, answered in laid], axis=1),
    )
