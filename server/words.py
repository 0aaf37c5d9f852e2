"""The words of the terminal view, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from domain.lead import LEAD_KINDS
from enforcement import process

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
    "assessments": ("最近研判", "last assessments"),
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
#: what devices report of themselves, where the protocol's own word says little
REPORTS = {
    "alarm": ("求救/报警", "ALARM"), "transition": ("进出围栏", "zone"), "lwt": ("失联", "connection lost"),
    "poi": ("标记点", "marked place"), "log": ("网络日志", "network log"), "join": ("入网", "joined network"),
    "status": ("设备状态", "state"), "waypoint": ("围栏点", "waypoint"), "card": ("名片", "card"),
}  # fmt: skip
MESSAGES = {"Alert": "发布", "Update": "更新", "Cancel": "解除"}


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


def step(code: str, lang: str) -> str:
    """Return the name of a step of the enforcement process."""
    found = process.load("ordinary").steps.get(code)
    return code if found is None else found.en if lang == "en" else found.zh


def lead_kind(code: str, lang: str) -> str:
    """Return the name of a kind of lead."""
    return LEAD_KINDS.get(code, (code, code))[lang == "en"]
