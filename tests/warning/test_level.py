"""The level over time: up at once, down after a calm, the same in pieces as at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Level
from warning.level import BLANK, Hysteresis, fold

NONE, BLUE, ORANGE = Level.NONE, Level.BLUE, Level.ORANGE


def levels(steps: list[tuple[int, Level, bool]], rule: Hysteresis) -> list[Level]:
    return [level for _, level in fold(steps, rule)]


def said(*words: Level) -> list[tuple[int, Level, bool]]:
    return [(hour, word, False) for hour, word in enumerate(words)]


def test_raised_at_once_and_lowered_after_the_calm() -> None:
    rule = Hysteresis(calm_h=2)
    assert levels(said(NONE, ORANGE, NONE, NONE, NONE), rule) == [NONE, ORANGE, ORANGE, NONE, NONE]


def test_it_goes_down_to_what_was_reached_in_between() -> None:
    rule = Hysteresis(calm_h=2)
    assert levels(said(ORANGE, BLUE, BLUE, NONE, NONE), rule) == [ORANGE, ORANGE, BLUE, BLUE, NONE]


def test_without_calm_it_follows_the_models() -> None:
    assert levels(said(ORANGE, NONE, BLUE), Hysteresis()) == [ORANGE, NONE, BLUE]


def test_a_silent_model_is_no_calm_but_not_for_ever() -> None:
    rule = Hysteresis(calm_h=2, hold_h=5)
    steps = [(0, ORANGE, False), *((hour, NONE, True) for hour in range(1, 12))]
    assert levels(steps, rule) == [ORANGE] * 7 + [NONE] * 5


steps_of = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(list(Level)), st.booleans()), max_size=40)


@given(steps_of, st.integers(0, 40), st.integers(0, 8), st.integers(0, 8))
def test_pieces_are_the_whole(
    gaps: list[tuple[int, Level, bool]], cut: int, calm_h: int, hold_h: int
) -> None:
    rule, at, steps = Hysteresis(calm_h=calm_h, hold_h=hold_h), 0, []
    for gap, level, silent in gaps:
        at += gap
        steps.append((at, level, silent))
    whole = list(fold(steps, rule))
    first = list(fold(steps[:cut], rule))
    state = first[-1][0] if first else BLANK
    assert first + list(fold(steps[cut:], rule, state)) == whole


@given(steps_of, st.integers(0, 8), st.integers(0, 8))
def test_never_below_what_the_models_say(
    gaps: list[tuple[int, Level, bool]], calm_h: int, hold_h: int
) -> None:
    steps = [(hour, level, silent) for hour, (_, level, silent) in enumerate(gaps)]
    found = levels(steps, Hysteresis(calm_h=calm_h, hold_h=hold_h))
    assert all(level >= word for level, (_, word, _) in zip(found, steps, strict=True))
