"""The level of a site over time: raised at once, lowered only after a calm; a pure step on explicit state.

Times are hour numbers of phenomenon time. A step's own level is what the models say then. The site stands at
the highest level that was reached within the last `calm_h` hours. Hours in which a model cannot answer are
no calm, for at most `hold_h` hours after the level was last reached: a sensor that died must not lower a
warning, nor keep it for ever. So the level rests on the steps of the last calm_h + hold_h hours and on
nothing older.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from domain.alert import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Hysteresis:
    """Hours of calm before a level is lowered, and hours that a missing answer can hold it up."""

    calm_h: int = 0
    hold_h: int = 0

    @property
    def memory_h(self) -> int:
        """How far back a step can matter."""
        return self.calm_h + self.hold_h


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the level remembers: when each level or a higher one was last reached, blue to red, and when a
    model last could not answer; None is never.
    """

    reached: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
    unanswered: int | None = None


BLANK = State()


def step(state: State, at_h: int, said: Level, unanswered: bool, rule: Hysteresis) -> tuple[State, Level]:
    """Return the state and the level after a step in which the models said `said`; steps come in order."""
    if unanswered:
        state = replace(state, unanswered=at_h)
    if said:
        kept = (at_h if said >= level else state.reached[level - 1] for level in Level if level)
        state = replace(state, reached=tuple(kept))  # type: ignore[arg-type]  # four of them
    return state, max(said, _held(state, at_h, rule))


def fold(
    steps: Iterable[tuple[int, Level, bool]], rule: Hysteresis, state: State = BLANK
) -> Iterator[tuple[State, Level]]:
    """Yield state and level after each step (hour number, what the models say, whether one cannot answer)."""
    for at_h, said, unanswered in steps:
        state, level = step(state, at_h, said, unanswered, rule)
        yield state, level


def _held(state: State, at_h: int, rule: Hysteresis) -> Level:
    for level in (Level.RED, Level.ORANGE, Level.YELLOW, Level.BLUE):
        reached = state.reached[level - 1]
        if reached is None:
            continue
        calm_since = reached
        if state.unanswered is not None:
            calm_since = max(reached, min(state.unanswered, reached + rule.hold_h))
        if at_h - calm_since < rule.calm_h:
            return level
    return Level.NONE
