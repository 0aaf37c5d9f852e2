"""Rule files: the shipped ones are right, and a wrong one is refused with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.alert import Level
from warning import models, rules
from warning.rules import RuleError

GOOD = """\
name: own
version: 3
source: our own
hazard_types: [landslide]
default_for: [landslide]
memory_h: 600
calm_h: 6
models:
  ra:
    model: chleborad_2006
    inputs: [rainfall]
    levels:
      blue: {at_least: {ratio: 1.0}}
      orange: {at_least: {ratio: 1.5}}
"""


def write(folder: Path, text: str, name: str = "own.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def test_shipped_rules_are_right_and_every_hazard_type_has_a_default() -> None:
    shipped = rules.load()
    assert {"thresh_rows", "rain_displacement", "debris_flow_rain"} <= shipped.keys()
    for hazard_type in ("landslide", "debris_flow", "rockfall", "subsidence"):
        assert rules.find(shipped, "default", hazard_type)
    assert rules.find(shipped, "no_such_rule", "landslide") is None


def test_models_have_what_a_rule_needs() -> None:
    assert {"chleborad_2006", "godt_2006_intensity_duration", "xu_2009"} <= models.load().keys()
    for model in models.load().values():
        assert all(model.title) and all(model.sentence) and "ratio" in model.values


def test_ones_own_rule_comes_first(tmp_path: Path) -> None:
    found = rules.load(write(tmp_path, GOOD))
    rule = rules.find(found, "default", "landslide")
    assert rule and (rule.name, rule.version, rule.hysteresis.calm_h) == ("own", 3, 6)
    (use,) = rule.uses
    assert [(line.level, line.at_least) for line in use.lines] == [
        (Level.BLUE, {"ratio": 1.0}), (Level.ORANGE, {"ratio": 1.5})]  # fmt: skip
    assert use.parameters["recent_h"] == 72  # the model's default


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("version: 3", "version: three", 2, "integer"),
        ("version: 3", "versoin: 3", 1, "versoin"),
        ("model: chleborad_2006", "model: chleborad_1806", 10, "no model 'chleborad_1806'; there are"),
        ("inputs: [rainfall]", "inputs: [tilt]", 11, "cannot be fed with 'tilt', but with rainfall"),
        ("ratio: 1.5", "angle_deg: 80", 14, "says no angle_deg, but ratio"),
        ("ratio: 1.5", "ratio: 0.5", 12, "a higher level must not need less"),
        ("memory_h: 600", "memory_h: 100", 6, "ra looks back"),
        ("orange:", "purple:", 12, "purple"),
        ("name: own", "name: other", 1, "must be own"),
        ("  ra:\n", "  ra:\n    parameters: {recent_h: soon}\n", 10, "a whole number above 0"),
        ("  ra:\n", "  ra:\n    parameters: {recent_hours: 72}\n", 10, "no such parameter; it has recent_h"),
        ("  ra:\n", "  ra:\n    only_while: rain\n", 10, "must name another model"),
        ("hazard_types: [landslide]", "hazard_types: [avalanche]", 4, "avalanche"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path: Path, old: str, new: str, line: int, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(RuleError) as refused:
        rules.load(write(tmp_path, GOOD.replace(old, new, 1)))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}/own.yaml:{line}:"), message
    assert reason in message


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "\x00", "name: own"])
def test_what_is_no_rule_at_all_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RuleError, match=r"own\.yaml"):
        rules.load(write(tmp_path, text))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="LIUPAN_RULES"):
        rules.load(str(tmp_path / "nowhere"))
