"""The process graph: the ordinary case, and graphs that cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.incident import IllegalMove
from enforcement.process import load, parse

#: the ordinary case as deployed (facts/field.md 4.1), in Chinese; 不予立案 of 4.2
FLOW = {
    "受理": {"立案", "不予立案"},
    "立案": {"调查"},
    "调查": {"决定处理意见"},
    "决定处理意见": {"撤案", "移送", "不予行政处罚", "告知"},
    "移送": {"告知"},
    "不予行政处罚": {"结案"},
    "告知": {"陈述申辩", "听证", "处罚决定"},
    "陈述申辩": {"处罚决定", "决定处理意见"},
    "听证": {"处罚决定", "决定处理意见"},
    "处罚决定": {"执行"},
    "执行": {"结案"},
    "撤案": set(),
    "不予立案": set(),
    "结案": set(),
}


def test_the_ordinary_case_is_the_one_that_offices_use() -> None:
    process = load("ordinary")
    names = {code: step.zh for code, step in process.steps.items()}
    found = {step.zh: {names[code] for code in step.next} for step in process.steps.values()}
    assert found == FLOW
    assert names[process.first] == "受理"


def test_only_legal_moves_pass() -> None:
    process = load("ordinary")
    process.check_move("hearing", "opinion")  # the loop back
    process.check_move("opinion", "withdrawn")  # a side exit
    with pytest.raises(IllegalMove, match="possible: filed, not_filed"):
        process.check_move("accepted", "penalty")
    with pytest.raises(IllegalMove, match="it has ended"):
        process.check_move("closed", "accepted")


def step(code: str, *following: str, en: str = "x") -> dict[str, Any]:
    return {"code": code, "zh": "某", "en": en, "next": list(following)}


BAD: dict[str, tuple[Callable[[], list[dict[str, Any]]], str]] = {
    "twice": (lambda: [step("a", "b"), step("b"), step("b")], "same code"),
    "nowhere": (lambda: [step("a", "b", "c"), step("b")], "a leads to c, which is no step"),
    "unreached": (lambda: [step("a"), step("b", "a")], "no way leads to b"),
    "endless": (lambda: [step("a", "b", "c"), step("b", "b"), step("c")], "no way leads from b to an end"),
    "nameless": (lambda: [step("a", en="")], "a needs a name"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_graph_that_is_no_process_is_refused(name: str) -> None:
    steps, problem = BAD[name]
    with pytest.raises(ValueError, match=problem):
        parse({"steps": steps()})
