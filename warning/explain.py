"""Why a site stands where it stands: sentences that a duty officer can read aloud, and the same as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite

from domain.alert import Level
from warning.evaluate import Asked, Assessed, Slot, values
from warning.rules import Line, Use

BEIJING = timezone(timedelta(hours=8), "CST")

#: observed property (its first word) -> (Chinese, English)
OBSERVED = {
    "rainfall": ("雨量", "rain"),
    "displacement": ("位移", "displacement"),
    "crack": ("裂缝", "crack"),
}
#: so many silent sensors are named, the others counted
NAMED = 3
#: value of a model that a line is drawn on -> (Chinese, English, digits)
MEASURES = {"ratio": ("比值", "ratio", 2), "angle_deg": ("切线角度数", "tangent angle in degrees", 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step of one site: its hour, the level it stands at, the names of its sensors."""

    assessed: Assessed
    step: int
    #: hour number of the site's piece of the timeline
    offset_h: int
    level: Level
    #: sensors that the site has, by slot: "station/datastream"
    sensors: Mapping[Slot, str]

    def at(self, hour: int) -> datetime:
        """Return the end of that hour of the timeline."""
        return datetime.fromtimestamp((hour - self.offset_h + 1) * 3600, UTC)


def reasons(moment: Moment) -> tuple[str, str]:
    """Return the reason in Chinese and in English: level, each model's values and margin, what is missing."""
    said, missing = [_level(moment)], list[tuple[str, str]]()
    absent: dict[tuple[str, str], list[Use]] = {}
    for number, use in enumerate(moment.assessed.rule.uses):
        if answered := _answered(moment, number, use):
            said.append(answered)
        elif any(slot.observed_property in use.inputs for slot in moment.sensors):
            missing.append(_missing(moment, number, use))
        else:
            absent.setdefault(_kinds(use), []).append(use)
    zh, en = "；".join(zh for zh, _ in said), "; ".join(en for _, en in said)
    if missing:
        zh += "。缺数据，不能据此排除危险：" + "；".join(zh for zh, _ in missing)
        en += ". Data missing, which does not rule danger out: " + "; ".join(en for _, en in missing)
    for kinds, uses in absent.items():
        zh += f"。本点没有{kinds[0]}监测：{'、'.join(use.model.title[0] for use in uses)}不作判断"
        en += f". No {kinds[1]} sensor here, so no word from {', '.join(use.model.title[1] for use in uses)}"
    return zh + "。", en + "."


def as_data(moment: Moment) -> dict[str, dict[str, object]]:
    """Return {model: {model, ratio, level, values, sensor, at, line, margin}}; ratio null where it cannot
    tell.

    `margin` is the distance of the value from `line`, the highest line reached or else the lowest one.
    """
    told: dict[str, dict[str, object]] = {}
    for number, use in enumerate(moment.assessed.rule.uses):
        level = Level(int(moment.assessed.model_level[number, moment.step])).word
        found = values(moment.assessed, number, moment.step)
        if found is None:
            why = _missing(moment, number, use)[1]
            told[use.key] = {"model": use.model.name, "ratio": None, "level": level, "missing": why}
            continue
        asked, answer = found
        told[use.key] = {
            "model": use.model.name,
            "ratio": answer["ratio"],
            "level": level,
            "values": {n: round(v, 6) if isfinite(v) else None for n, v in answer.items() if n != "ratio"},
            "sensor": moment.sensors.get(asked.slot, ""),
            "at": moment.at(int(asked.answered.time_h[asked.row[moment.step]])).isoformat(),
        } | _margin(use, answer)
    return told


def _level(moment: Moment) -> tuple[str, str]:
    level, step = moment.level, moment.step
    says, before = (Level(int(x[step])) for x in (moment.assessed.level, moment.assessed.unconfirmed))
    zh, en = f"研判等级{level.zh}", f"level {level.word}"
    if before > says:
        zh += f"（{before.zh}须有第二个独立迹象，尚无）"
        en += f" ({before.word} needs a second, independent sign, and there is none yet)"
    if level > says:
        calm_h = moment.assessed.rule.hysteresis.calm_h
        zh += f"（模型现为{says.zh}，平静未满{calm_h}小时，暂不降级）"
        en += f" (models now say {says.word}; not lowered before {calm_h} h of calm)"
    return zh, en


def _answered(moment: Moment, number: int, use: Use) -> tuple[str, str] | None:
    found = values(moment.assessed, number, moment.step)
    if found is None:
        return None
    asked, answer = found
    words = {**use.parameters, **answer}
    sensor = moment.sensors.get(asked.slot, "")
    at = moment.at(int(asked.answered.time_h[asked.row[moment.step]])).astimezone(BEIJING)
    zh, en = (sentence.format(**words) for sentence in use.model.sentence)
    for addition in (*_verdict(use, answer), *_gated(moment, number, use)):
        zh, en = f"{zh}，{addition[0]}", f"{en}, {addition[1]}"
    return (
        f"{use.model.title[0]}：{zh}（{sensor}，{at.month}月{at.day}日{at:%H}时止）",
        f"{use.model.title[1]}: {en} ({sensor}, until {at:%Y-%m-%d %H:%M} Beijing time)",
    )


def _verdict(use: Use, answer: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    line = _line_of(use, answer)
    for name, limit in (line.at_least if line else {"ratio": 1.0}).items():
        zh, en, digits = MEASURES.get(name, (name, name, 2))
        value, colour = answer[name], line.level if line else None
        by = f"{abs(value / limit - 1):.0%}" if name == "ratio" else f"{abs(value - limit):.{digits}f}"
        side = ("达到" if value >= limit else "低于"), ("reaches" if value >= limit else "is below")
        yield (
            f"{zh}{value:.{digits}f}，{side[0]}{colour.zh if colour else '临界'}线{limit:g}（相差{by}）",
            f"{en} {value:.{digits}f} {side[1]} the {f'{colour.word} ' if colour else ''}line of {limit:g}"
            f" (by {by})",
        )


def _gated(moment: Moment, number: int, use: Use) -> Iterator[tuple[str, str]]:
    """Say when the model's line is reached but does not count."""
    assessed, step = moment.assessed, moment.step
    if use.only_while and assessed.over[number, step] and not assessed.model_level[number, step]:
        gate = next(other.model.title for other in assessed.rule.uses if other.key == use.only_while)
        yield f"因{gate[0]}未达线而不计级", f"which does not count while {gate[1]} is below its line"


def _margin(use: Use, answer: Mapping[str, float]) -> dict[str, object]:
    if (line := _line_of(use, answer)) is None:
        return {}
    limits = dict(line.at_least)
    return {
        "line": {"level": line.level.word, **limits},
        "margin": {name: round(answer[name] - limit, 6) for name, limit in limits.items()},
    }


def _line_of(use: Use, answer: Mapping[str, float]) -> Line | None:
    """Return the highest line reached, or else the lowest one; None for a model without levels."""
    reached = [line for line in use.lines if all(answer[n] >= x for n, x in line.at_least.items())
               and all(answer[n] <= x for n, x in line.at_most.items())]  # fmt: skip
    return reached[-1] if reached else next(iter(use.lines), None)


def _kinds(use: Use) -> tuple[str, str]:
    kinds = dict.fromkeys(OBSERVED.get(name.partition("_")[0], (name, name)) for name in use.inputs)
    return "、".join(zh for zh, _ in kinds), " or ".join(en for _, en in kinds)


def _missing(moment: Moment, number: int, use: Use) -> tuple[str, str]:
    """Say why a model cannot tell: no such sensor, nothing heard for too long, or too short a record."""
    fitting = {slot: name for slot, name in moment.sensors.items() if slot.observed_property in use.inputs}
    heard = [
        _silence(moment, asked, use, fitting.get(asked.slot, "")) for asked in moment.assessed.asked[number]
    ]
    lines = [line for line in heard if line] or [(f"{n}无数据", f"{n}: no data") for n in fitting.values()]
    lines = lines or [(f"没有{_kinds(use)[0]}监测", f"no {_kinds(use)[1]} sensor")]
    zh, en = "、".join(zh for zh, _ in lines[:NAMED]), ", ".join(en for _, en in lines[:NAMED])
    if len(lines) > NAMED:
        zh, en = f"{zh}等{len(lines)}项", f"{en} and {len(lines) - NAMED} more"
    return f"{use.model.title[0]}（{zh}）", f"{use.model.title[1]} ({en})"


def _silence(moment: Moment, asked: Asked, use: Use, sensor: str) -> tuple[str, str] | None:
    row = int(asked.row[moment.step])
    if row < 0 or not sensor or asked.answered.time_h[row] < moment.offset_h:
        return None
    hour = int(asked.answered.time_h[row])
    if moment.assessed.steps[moment.step] - hour <= use.valid_h:
        return f"{sensor}记录太短或缺测太多", f"{sensor}: record too short or with too many gaps"
    at = moment.at(hour).astimezone(BEIJING)
    return f"{sensor}最近数据{at.month}月{at.day}日{at:%H}时", f"{sensor}: last heard {at:%Y-%m-%d %H:%M}"
