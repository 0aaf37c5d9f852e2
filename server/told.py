"""What happened, in one line for people: each event of the live feed, in Chinese and English."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from server.watch import Row
from server.words import LEVELS, MESSAGES, REPORTS, STATES, lead_kind, step

Say = Callable[[Row, Row], tuple[str, str]]


def _levelled(event: Row, body: Row) -> tuple[str, str]:
    before, after = body["from"], body["to"]
    return (f"等级变化 {event['subject']}:{LEVELS[before][0]} → {LEVELS[after][0]}",
            f"level of {event['subject']}: {before} -> {after}")  # fmt: skip


def _alerted(event: Row, body: Row) -> tuple[str, str]:
    return (f"预警{MESSAGES[body['message_type']]} [{LEVELS[body['level']][0]}] {body['headline_zh']}",
            f"alert {body['message_type']} [{body['level']}] {body['headline_en']}")  # fmt: skip


def _dispatched(event: Row, body: Row) -> tuple[str, str]:
    km = body["distance_m"] / 1000
    return (f"调派 {body['unit']}:{STATES[body['state']]},距现场 {km:.1f} 公里",
            f"dispatch of {body['unit']}: {body['state']}, {km:.1f} km away")  # fmt: skip


def _moved(event: Row, body: Row) -> tuple[str, str]:
    return f"队伍 {body['unit']}:{STATES[body['state']]}", f"team {body['unit']}: {body['state']}"


def _rejected(event: Row, body: Row) -> tuple[str, str]:
    return f"隔离 {event['subject']}:{body['reason']}", f"rejected on {event['subject']}: {body['reason']}"


def _patrolled(event: Row, body: Row) -> tuple[str, str]:
    ended = bool(body["ended_at"])
    return (f"巡查{'结束' if ended else '开始'} {body['device']}",
            f"patrol of {body['device']} {'ended' if ended else 'began'}")  # fmt: skip


def _silent(event: Row, body: Row) -> tuple[str, str]:
    streams, jumped, since = ", ".join(body["datastreams"]), ", ".join(body["jumped"]), body["since"][:16]
    zh = f";{jumped} 最后一条为突变,请核实" if jumped else ""
    en = f"; the last of {jumped} was a jump: verify" if jumped else ""
    return (f"失联 {body['thing']}:{streams},最近数据 {since} UTC{zh}",
            f"silent: {body['thing']}: {streams}, last heard {since} UTC{en}")  # fmt: skip


def _heard(event: Row, body: Row) -> tuple[str, str]:
    streams = ", ".join(body["datastreams"])
    return f"恢复 {body['thing']}:{streams}", f"heard again: {body['thing']}: {streams}"


def _device_reported(event: Row, body: Row) -> tuple[str, str]:
    zh, en = REPORTS.get(body["kind"], (body["kind"], body["kind"]))
    who = f"{event['subject']} {body['about']}".rstrip()
    return f"{zh} {who}", f"{en} of {who}"


#: kinds that are told, and how; the others come too often
LINES: Mapping[str, Say] = {
    "levelled": _levelled,
    "alerted": _alerted,
    "dispatched": _dispatched,
    "moved": _moved,
    "rejected": _rejected,
    "silent": _silent,
    "heard": _heard,
    "opened": lambda e, b: (f"应急事件开启 {b['site']}", f"incident opened at {b['site']}"),
    "closed": lambda e, b: (f"应急事件结束 {b['site']}", f"incident closed at {b['site']}"),
    "delivered": lambda e, b: (f"送达 {b['address']}", f"delivered to {b['address']}"),
    "patrolled": _patrolled,
    "device_reported": _device_reported,
    "reported": lambda e, b: (f"线索:{lead_kind(b['kind'], 'zh')},来自 {b['device']}",
                              f"lead: {lead_kind(b['kind'], 'en')}, from {b['device']}"),
    "cased": lambda e, b: (f"案件 {b['number']}:{step(b['step'], 'zh')}",
                           f"case {b['number']}: {step(b['step'], 'en')}"),
}  # fmt: skip


def told(kind: str, event: Row, lang: str) -> str:
    """Return the line for an event of the live feed; empty for kinds that are not told.

    What belongs to an exercise or a test begins with that.
    """
    if kind not in LINES:
        return ""
    body = event["body"]
    mark = {"exercise": ("[演练] ", "[exercise] "), "test": ("[测试] ", "[test] ")}.get(
        body.get("mode", ""), ("", "")
    )
    return mark[lang == "en"] + LINES[kind](event, body)[lang == "en"]
