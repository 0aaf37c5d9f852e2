"""Rule files: the shipped ones are good, wrong ones are refused with file, line and reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.alert import Level
from warning import models, rules
from warning.rules import RuleError

GOOD = """\
name: own
version: 3
source: a survey
hazard_types: [landslide]
memory_h: 720
calm_h: 12
models:
  rain:
    model: chleborad_2006
    inputs: [rainfall]
    parameters: {recent_h: 48}
    levels:
      yellow: {at_least: {ratio: 1.0}}
      blue: {at_least: {ratio: 0.8}}
  storm:
    model: godt_2006_intensity_duration
    inputs: [rainfall]
    only_while: rain
    levels:
      red: {at_least: {ratio: 2.0}, at_most: {duration_h: 24}}
confirm:
  red: {signs: 2, at_least: yellow}
"""


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str], str]:
    """Write this as the file own.yaml, and return why it is refused."""

    def refuse(text: str) -> str:
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(RuleError) as refusal:
            rules.load(str(tmp_path))
        assert isinstance(refusal.value, ValueError)
        message = str(refusal.value)
        assert message.startswith(str(tmp_path / "own.yaml"))
        return message.removeprefix(str(tmp_path / "own.yaml"))

    return refuse


def test_the_shipped_rules_cover_every_type_of_site() -> None:
    known = rules.load()
    assert set(known) == {"thresh_rows", "rain_displacement", "debris_flow_rain"}
    for kind in ("landslide", "debris_flow", "rockfall", "subsidence"):
        rule = rules.find(known, "default", kind)
        assert rule and kind in rule.hazard_types and rule.late_h > 0
    assert rules.find(known, "thresh_rows", "landslide") is known["thresh_rows"]
    assert rules.find(known, "no such", "landslide") is None


def test_thresh_raises_outlook_watch_and_warning_as_it_does() -> None:
    rule = rules.load()["thresh_rows"]
    ra, id_, *informing = rule.uses
    assert [(line.level, dict(line.at_least)) for line in ra.lines] == [(Level.BLUE, {"ratio": 1.0})]
    assert [(line.level, dict(line.at_least)) for line in id_.lines] == [
        (Level.YELLOW, {"ratio": 0.9}),
        (Level.ORANGE, {"ratio": 1.0}),
    ]
    assert id_.only_while == "ra" and not any(use.lines for use in informing)
    assert rule.counts_rows and rule.hysteresis.calm_h == 0
    assert all(use.parameters["windows"] == "rows" for use in rule.uses)


def test_the_angles_of_the_default_rule_are_the_published_ones() -> None:
    angle = rules.load()["rain_displacement"].uses[-1]
    degrees = {line.level: line.at_least["angle_deg"] for line in angle.lines}
    assert degrees[Level.ORANGE] == 80 and degrees[Level.RED] == 85
    assert 45 < degrees[Level.BLUE] < degrees[Level.YELLOW] < 80


def test_a_rule_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD)
    rule = rules.load(str(tmp_path))["own"]
    rain, storm = rule.uses
    assert [line.level for line in rain.lines] == [Level.BLUE, Level.YELLOW]
    assert rain.parameters["recent_h"] == 48 and rain.parameters["antecedent_h"] == 360
    assert storm.only_while == "rain" and dict(storm.lines[0].at_most) == {"duration_h": 24}
    assert (rule.version, rule.hysteresis.calm_h, rule.confirm[0].signs) == (3, 12, 2)
    assert rule.revises("rainfall") == 2 and rule.revises("crack") == 0
    # what is needed: 48 + 360 h (and some rows to tell the interval), and the storm's 240 h and pauses
    assert rule.late_h == 720 - max(48 + 360 + 26, 240 + 4 * 24 + 26) - 12


def test_ones_own_rule_replaces_a_shipped_one(tmp_path: Path) -> None:
    own = GOOD.replace("name: own", "name: thresh_rows\ndefault_for: [landslide]")
    (tmp_path / "thresh_rows.yaml").write_text(own)
    known = rules.load(str(tmp_path))
    assert known["thresh_rows"].version == 3
    assert len(known) == 3
    found = rules.find(known, "default", "landslide")
    assert found and found.version == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("version: 3", "version: three", 2, "'three' is not of type 'integer'"),
        ("version: 3\n", "", 1, "'version' is a required property"),
        ("calm_h: 12", "calm_h: -1", 6, "-1 is less than the minimum of 0"),
        ("calm_h: 12", "calm: 12", 1, "'calm' was unexpected"),
        ("name: own", "name: other", 1, "the name must be own"),
        ("name: own", "name: default", 1, "should not be valid"),
        ("model: chleborad_2006", "model: chleborad", 9, "no model 'chleborad'; there are chleborad_2006,"),
        ("inputs: [rainfall]", "inputs: [crack]", 10, "cannot be fed with 'crack', but with rainfall"),
        ("recent_h: 48", "recent: 48", 11, "has no such parameter; it has recent_h,"),
        ("recent_h: 48", "recent_h: 48.5", 11, "must be a whole number above 0, not 48.5"),
        ("recent_h: 48", "recent_h: true", 11, "must be a whole number above 0, not True"),
        ("recent_h: 48", "windows: days", 11, "must be hours or rows, not 'days'"),
        ("recent_h: 48", "slope: steep", 11, "must be a number, not 'steep'"),
        ("ratio: 0.8", "ratios: 0.8", 14, "says no ratios, but ratio, recent_mm"),
        ("ratio: 0.8", "ratio: 1.8", 12, "a higher level must not need less (1.0 < 1.8)"),
        ("yellow: {at_least", "amber: {at_least", 12, "'amber' was unexpected"),
        ("only_while: rain", "only_while: snow", 18, "must name another model"),
        ("only_while: rain", "only_while: storm", 18, "must name another model"),
        ("memory_h: 720", "memory_h: 400", 5, "rain looks back 446 h"),
        ("signs: 2", "signs: 1", 22, "1 is less than the minimum of 2"),
        ("version: 3", "version: [3", 0, "cannot be read: while parsing a flow"),
    ],
)
def test_a_wrong_rule_is_refused(
    refused: Callable[[str], str], old: str, new: str, line: int, reason: str
) -> None:
    assert old in GOOD
    message = refused(GOOD.replace(old, new, 1))
    assert reason in message
    if line:
        assert message.startswith(f":{line}: ")


def test_a_file_that_is_no_rule_at_all_is_refused(refused: Callable[[str], str]) -> None:
    assert "is not of type 'object'" in refused("- 1\n")
    assert "is not of type 'object'" in refused("")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no such folder; LIUPAN_RULES must name one"):
        rules.load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["thresh_rows", "rain_displacement", "debris_flow_rain"])
def test_every_parameter_of_a_shipped_rule_differs_from_the_default(name: str) -> None:
    content: dict[str, Any] = yaml.safe_load((rules.FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    for used in content["models"].values():
        defaults = models.load()[used["model"]].parameters
        assert all(value != defaults[parameter] for parameter, value in used.get("parameters", {}).items())
