"""Along the steps of one site: fold its level, and decide what is worth telling.

Told is a step at which a line is crossed or the level changes. Within one hour that goes on, a crossed line
is told again after some minutes; a step of the past is told again when its answer has changed (late
observations, and storms that went on after a pause), in the row that it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from domain.alert import Level
from warning.explain import Moment, as_data, reasons
from warning.level import BLANK, State, step
from warning.recall import Kept, Window
from warning.timeline import Piece, Step

#: while nothing changes, a crossed line is said again to those who watch after this time
SAY_AGAIN_US = 6 * 3600 * 1_000_000

#: steps of which state and answer stay at hand
KEPT_STEPS = 16

#: so many steps before the first that is told are put at hand with it
EARLIER_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A row of `assessment`, and what else is said: `said` to those who watch, `before` the level until
    now.
    """

    window: Window
    at_us: int
    level: Level
    models: Mapping[str, Any]
    reason_zh: str
    reason_en: str
    said: bool
    before: Level | None
    after: Level


class Start(NamedTuple):
    """From which hour steps must be folded, and state and level there; steps from `known_h` on are exact."""

    fold_h: int
    known_h: int
    state: State
    level: Level


def start_of(window: Window, first_h: int) -> Start:
    """Return where folding must start so that all is known from `first_h` on.

    That is `first_h` itself where the step before it is at hand; else so far back that nothing older matters.
    """
    before = max((hour for hour in window.kept if hour < first_h), default=None)
    if before is not None:
        return Start(first_h, first_h, window.kept[before].state, window.kept[before].level)
    earlier = set[int]()
    for series in window.series.values():
        end = series.row_at(first_h - 1) + 1
        earlier.update(series.hours[max(end - EARLIER_STEPS, 0) : end].tolist())
    known_h = min(sorted(earlier)[-EARLIER_STEPS:], default=first_h)
    return Start(known_h - window.site.rule.hysteresis.memory_h, known_h, BLANK, Level.NONE)


def walk(piece: Piece, first_h: int, start: Start, rows: Mapping[int, int]) -> Iterator[Told]:
    """Fold the steps of the piece, note them in the window, and yield what must be told, in order.

    Steps before `first_h` only lead there. `rows` are the times (us) of rows that exist already, by hour.
    """
    state, level = start.state, start.level
    window, hysteresis, newest_h = piece.window, piece.window.site.rule.hysteresis, piece.window.newest_h
    as_before = True  # nothing on the way here has changed since it was walked last
    for said in piece.steps:
        before, was = level, window.kept.get(said.hour)
        if as_before and was and not was.over and was.row_us is None and was[:3] == said[2:5]:
            state, level = was.state, was.level
            window.as_of_us = max(window.as_of_us, window.heard_us if said.hour == newest_h else 0)
            continue
        state, level = step(state, said.hour, said.level, said.unanswered, hysteresis)
        if said.hour < start.known_h:
            continue
        as_before = was is not None and was.state == state
        row_us = was.row_us if was else rows.get(said.hour)
        now = Kept(*said[2:], state, level, row_us)
        if said.hour < first_h:
            window.kept[said.hour] = now
            continue
        at_us, known = _newest(window, said.hour), said.hour >= newest_h
        changed = level != before and (was is None or was.level != level)
        if changed or (known and level != window.level) or _is_news(window, was, now, at_us, running=known):
            if row_us is None or known:
                now = now._replace(row_us=at_us)
            yield _told(piece, said, now, known)
        if known:
            window.over, window.as_of_us = said.over, max(at_us, window.as_of_us)
            window.since_us = window.since_us or at_us
        window.kept[said.hour] = now
    for hour in sorted(window.kept)[:-KEPT_STEPS]:
        del window.kept[hour]


def _is_news(window: Window, was: Kept | None, now: Kept, at_us: int, *, running: bool) -> bool:
    """Tell whether the step must be told though the level stays."""
    again = at_us - window.row_us >= window.site.rule.report_minutes * 60_000_000
    if was is None:
        return bool(now.over) or now.row_us is not None
    if running and at_us != now.row_us:
        return bool(now.over) and (again or now.over != was.over)
    return now.said != was.said and (bool(now.over) or now.row_us is not None)


def _told(piece: Piece, step: Step, now: Kept, known: bool) -> Told:
    """Return what is told of the step, and note in the window that it was."""
    window, at_us = piece.window, now.row_us or 0
    moment = Moment(
        assessed=piece.assessed,
        step=step.place,
        offset_h=piece.offset_h,
        level=now.level,
        sensors=window.site.sensors,
    )
    zh, en = reasons(moment)
    said = known and (now.over != window.over or at_us - window.said_us >= SAY_AGAIN_US)
    before = window.level if known and now.level != window.level else None
    if known:
        window.row_us = at_us
        window.said_us = at_us if said else window.said_us
    if before is not None:
        window.level, window.since_us = now.level, at_us
    return Told(
        window=window,
        at_us=at_us,
        level=now.says,
        models=as_data(moment),
        reason_zh=zh,
        reason_en=en,
        said=said,
        before=before,
        after=now.level,
    )


def _newest(window: Window, hour: int) -> int:
    """Return the newest phenomenon time (us) in that hour."""
    times = [0]
    for series in window.series.values():
        row = series.row_at(hour)
        if row >= 0 and series.hours[row] == hour:
            times.append(int(series.newest_us[row]))
    return max(times)
