"""The level as a pure step: up at once, down after a calm, and the same in pieces as at once."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Level
from warning.level import BLANK, Hysteresis, fold, step

NONE, BLUE, YELLOW, ORANGE, RED = Level
RULE = Hysteresis(calm_h=6, hold_h=10)

Steps = list[tuple[int, Level, bool]]


@st.composite
def some_steps(draw: st.DrawFn) -> Steps:
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5, 40]), max_size=60))
    says = st.sampled_from([NONE, NONE, NONE, BLUE, YELLOW, ORANGE, RED])
    return [(hour, draw(says), draw(st.integers(0, 3)) == 0) for hour in accumulate(gaps)]


rules = st.builds(Hysteresis, calm_h=st.integers(0, 30), hold_h=st.integers(0, 30))


def levels(steps: Steps, rule: Hysteresis = RULE) -> list[Level]:
    return [level for _, level in fold(steps, rule)]


def test_a_level_is_raised_at_once_and_lowered_after_the_calm_only() -> None:
    said = [NONE, ORANGE, *[NONE] * 5, NONE, NONE]
    stood = levels([(hour, level, False) for hour, level in enumerate(said)])
    assert stood == [NONE, *[ORANGE] * 6, NONE, NONE]


def test_it_goes_down_to_what_was_reached_meanwhile() -> None:
    said = [RED, ORANGE, BLUE, BLUE, BLUE, BLUE, BLUE, BLUE, NONE]
    stood = levels([(hour, level, False) for hour, level in enumerate(said)])
    assert stood == [RED] * 6 + [ORANGE] + [BLUE] * 2


def test_without_a_calm_the_level_is_what_the_models_say() -> None:
    said = [NONE, RED, NONE, BLUE, NONE]
    assert levels([(hour, level, True) for hour, level in enumerate(said)], Hysteresis()) == said


def test_a_missing_answer_holds_the_level_up_but_not_for_ever() -> None:
    stood = levels([(0, YELLOW, False), *((hour, NONE, True) for hour in range(1, 20))])
    assert stood.index(NONE) == RULE.hold_h + RULE.calm_h
    # missing answers raise nothing
    assert levels([(hour, NONE, True) for hour in range(5)]) == [NONE] * 5


def test_hours_without_a_step_lower_nothing_by_themselves_but_count_as_time() -> None:
    assert levels([(0, RED, False), (1000, NONE, False)]) == [RED, NONE]


@given(steps=some_steps(), rule=rules, data=st.data())
def test_in_pieces_it_is_the_same_as_at_once(steps: Steps, rule: Hysteresis, data: st.DataObject) -> None:
    whole = list(fold(steps, rule))
    cut = data.draw(st.integers(0, len(steps)))
    state = whole[cut - 1][0] if cut else BLANK
    assert list(fold(steps[cut:], rule, state)) == whole[cut:]


@given(steps=some_steps(), rule=rules, data=st.data())
def test_nothing_older_than_its_memory_matters(steps: Steps, rule: Hysteresis, data: st.DataObject) -> None:
    whole = levels(steps, rule)
    first = data.draw(st.integers(0, len(steps)))
    if first < len(steps):
        begin = next(n for n, (hour, *_) in enumerate(steps) if hour >= steps[first][0] - rule.memory_h)
        assert levels(steps[begin:], rule)[first - begin :] == whole[first:]


@given(steps=some_steps(), rule=rules)
def test_it_is_never_below_what_the_models_say_nor_above_what_they_said(
    steps: Steps, rule: Hysteresis
) -> None:
    highest = NONE
    for (_, says, _), stood in zip(steps, levels(steps, rule), strict=True):
        highest = max(highest, says)
        assert says <= stood <= highest


def test_a_step_leaves_the_state_before_it_as_it_was() -> None:
    state, _ = step(BLANK, 3, ORANGE, False, RULE)
    assert BLANK.reached == (None, None, None, None)
    assert state.reached == (3, 3, 3, None)
