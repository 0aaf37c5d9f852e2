"""The terminal view of the demo: panels for a terminal, one line per event where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from domain.geo import Position, distance_m
from server.watch import Picture, Row

#: what is written on the screen: key -> (Chinese, English)
WORDS = {
    "title": (
        "六盘 Liupan · 演练:全部数据为模拟,非真实预警",
        "Liupan · EXERCISE: all data are simulated, no real warning",
    ),
    "sites": ("隐患点", "hazard sites"),
    "site": ("隐患点", "site"),
    "level": ("等级", "level"),
    "rain": ("累计雨量 毫米", "rain total, mm"),
    "moved": ("位移 毫米", "moved, mm"),
    "as_of": ("观测时间", "as of"),
    "alerts": ("预警信息", "alerts"),
    "teams": ("应急与队伍", "incidents and teams"),
    "to_go": ("距现场", "to go"),
    "cases": ("案件", "cases"),
    "enforcement": ("线索与案件", "leads and cases"),
    "processes": ("进程", "processes"),
    "happened": ("最近发生", "what happened"),
    "nothing": ("暂无", "nothing yet"),
    "stored": ("已存观测值", "observations stored"),
    "per_s": ("每秒", "per second"),
    "rejected": ("隔离", "rejected"),
    "revisions": ("修订", "revisions"),
    "flags": ("存疑", "doubtful"),
    "waiting": ("待处理事件", "events waiting"),
    "open": ("可以打开", "open"),
    "stop": ("按 Ctrl-C 结束", "Ctrl-C ends it"),
    "summary": ("演练小结", "what happened in the exercise"),
    "orders": ("下令", "orders"),
    "arrivals": ("到达", "arrivals"),
    "leads": ("线索", "leads"),
    "missing": ("应当发生而没有发生", "this should have happened and did not"),
    "trouble": ("连接问题", "connection"),
}
LEVELS = {
    "none": ("无", "white"),
    "blue": ("蓝色", "bold white on blue"),
    "yellow": ("黄色", "bold black on yellow"),
    "orange": ("橙色", "bold black on dark_orange"),
    "red": ("红色", "bold white on red"),
}
STATES = {
    "proposed": "建议", "ordered": "已下令", "accepted": "已接受", "declined": "已拒绝", "en_route": "途中",
    "on_scene": "已到达", "done": "已完成", "cancelled": "已取消",
}  # fmt: skip
MESSAGES = {"Alert": "发布", "Update": "更新", "Cancel": "解除"}


#: so many of the last events are shown
LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at: the address of the HTTP server, the state folder, the running processes."""

    lang: str
    url: str
    state: Path
    pids: Callable[[], Mapping[str, int]]
    picture: Picture = field(default_factory=Picture)
    #: what happened last, one line each
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))


def word(key: str, lang: str) -> str:
    """Return what is written for this key in the language, zh or en."""
    return WORDS[key][lang == "en"]


def level(name: str, lang: str) -> Text:
    """Return the level in its colour."""
    zh, style = LEVELS[name]
    return Text(f" {name if lang == 'en' else zh} ", style)


def local(row: Mapping[str, Any], key: str, lang: str) -> str:
    """Return the field `<key>_zh` or `<key>_en` of the row."""
    return str(row[f"{key}_{'en' if lang == 'en' else 'zh'}"])


def render(view: View) -> RenderableType:
    """Return the whole screen."""
    picture, lang = view.picture, view.lang
    top = Text(word("title", lang), "bold white on dark_red", justify="center")
    return Group(
        Panel(top, style="on dark_red"),
        _sites(picture, lang),
        _alerts(picture, lang),
        _teams(picture, lang),
        _cases(picture, lang),
        _happened(view),
        _foot(view),
    )


def _sites(picture: Picture, lang: str) -> RenderableType:
    table = _table("sites", ("site", "level", "rain", "moved", "as_of"), lang)
    for site in sorted(picture.sites, key=lambda s: -list(LEVELS).index(s["level"])):
        latest = [row for row in picture.latest if row["site"] == site["code"]]
        table.add_row(
            local(site, "name", lang),
            level(site["level"], lang),
            _total(latest),
            _moved(latest),
            _clock(site["as_of"]),
        )
    return table


def _total(latest: Sequence[Row]) -> str:
    totals = [row["result"] for row in latest if "total" in row["datastream"].lower() and row["unit"] == "mm"
              and not row["observed_property"]]  # fmt: skip
    return f"{max(totals):.1f}" if totals else "–"


def _moved(latest: Sequence[Row]) -> str:
    axes = [row["result"] for row in latest if row["observed_property"].startswith("displacement")]
    return f"{sum(axis * axis for axis in axes) ** 0.5:.0f}" if axes else "–"


def _alerts(picture: Picture, lang: str) -> RenderableType:
    table = _table("alerts", (), lang)
    for alert in picture.alerts[:5]:
        kind = alert["message_type"] if lang == "en" else MESSAGES[alert["message_type"]]
        table.add_row(
            _clock(alert["sent"]), level(alert["level"], lang), kind, local(alert, "headline", lang)
        )
    return table if picture.alerts else _empty("alerts", lang)


def _teams(picture: Picture, lang: str) -> RenderableType:
    table = _table("teams", (), lang)
    for incident in picture.incidents[:5]:
        for dispatch in incident["dispatches"] or [None]:
            team, state, way = "–", local(incident, "note", lang), ""
            if dispatch:
                team, way = local(dispatch, "unit_name", lang), to_go(picture, incident, dispatch, lang)
                state = dispatch["state"] if lang == "en" else STATES[dispatch["state"]]
            table.add_row(
                local(incident, "site_name", lang), level(incident["level"], lang), team, state, way
            )
    return table if picture.incidents else _empty("teams", lang)


def to_go(picture: Picture, incident: Row, dispatch: Row, lang: str) -> str:
    """Return how far the team is from the site, while it is on its way; empty when that is not known."""
    unit = next((unit for unit in picture.units if unit["code"] == dispatch["unit"]), None)
    if unit is None or dispatch["closed_at"] is not None:
        return ""
    here, there = (Position(lon=row["lon"], lat=row["lat"]) for row in (unit, incident))
    return f"{word('to_go', lang)} {distance_m(here, there) / 1000:.1f} km"


def _cases(picture: Picture, lang: str) -> RenderableType:
    table = _table("enforcement", (), lang)
    numbers = {case["id"]: case for case in picture.cases}
    for lead in picture.leads[:3]:
        case = numbers.get(lead["case"])
        table.add_row(_clock(lead["seen_at"]), lead["kind"], lead["note"].split(" / ")[lang == "en"][:60],
                      f"{case['number']} · {case['step']}" if case else "–")  # fmt: skip
    return table if picture.leads else _empty("enforcement", lang)


def _happened(view: View) -> RenderableType:
    lines = "\n".join(view.lines) or word("nothing", view.lang)
    return Panel(Text(lines, no_wrap=True), title=word("happened", view.lang), title_align="left")


def _foot(view: View) -> RenderableType:
    picture, lang, counts = view.picture, view.lang, view.picture.counts
    told = {
        "stored": counts.get("observations", 0),
        "per_s": f"{picture.rate:.0f}",
        "rejected": counts.get("rejected", 0),
        "revisions": counts.get("revisions", 0),
        "flags": sum(counts.get("flags", {}).values()),
        "waiting": picture.health.get("waiting", 0),
    }
    lines = [
        " · ".join(f"{word(key, lang)} {value}" for key, value in told.items()),
        f"{word('processes', lang)}: " + " · ".join(f"{name} {pid}" for name, pid in view.pids().items()),
        f"{word('open', lang)}: {view.url}/docs · {view.url}/live · LIUPAN_STATE={view.state} liupan doctor",
        word("stop", lang),
    ]
    if picture.trouble:
        lines.append(f"{word('trouble', lang)}: {picture.trouble}")
    return Panel("\n".join(lines))


def _table(title: str, columns: Sequence[str], lang: str) -> Table:
    table = Table(title=word(title, lang), title_justify="left", expand=True, show_header=bool(columns))
    for column in columns:
        table.add_column(word(column, lang))
    return table


def _empty(title: str, lang: str) -> RenderableType:
    return Text(f"{word(title, lang)}: {word('nothing', lang)}", "dim")


def _clock(at: str | None) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%m-%d %H:%M}" if at else "–"
