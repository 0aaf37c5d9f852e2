"""What an alert says to people, in Chinese and in English; an exercise or a test says so first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.alert import Level, MessageType
from domain.thing import Mode
from warning.areas import Site
from warning.cap import BEIJING, Info

#: hazard type -> (Chinese, English)
TYPES = {
    "landslide": ("滑坡", "landslide"),
    "debris_flow": ("泥石流", "debris flow"),
    "rockfall": ("崩塌", "rockfall"),
    "subsidence": ("地面塌陷", "ground subsidence"),
}

#: what stands before every sender, headline, description and instruction
LABELS = {
    Mode.ACTUAL: ("", ""),
    Mode.EXERCISE: ("【演练】", "[EXERCISE] "),
    Mode.TEST: ("【测试】", "[TEST] "),
}

#: the note of the whole message, which has one for both languages
NOTES = {
    Mode.ACTUAL: "",
    Mode.EXERCISE: "演练信息，无真实险情，请勿当作实际预警。This is an exercise: there is no real danger.",
    Mode.TEST: "系统测试信息，请忽略。This is a test of the system: please ignore it.",
}

#: level -> what to do, (Chinese, English); for none: what an all-clear asks for
INSTRUCTIONS = {
    Level.RED: (
        "受威胁人员立即全部撤离到避险场所，任何人不得进入危险区；责任人逐户核实人员去向。",
        "Everybody under threat leaves for the shelters now. Nobody enters the danger area. "
        "Wardens check every household.",
    ),
    Level.ORANGE: (
        "按防灾预案转移受威胁人员，加密巡查和监测，过往车辆绕行，抢险队伍就位。",
        "Move the people under threat as the emergency plan says, patrol and monitor more often, "
        "take other roads, have rescue teams in place.",
    ),
    Level.YELLOW: (
        "加强巡查和监测，做好转移准备，抢险队伍待命。",
        "Patrol and monitor closely, prepare to move people, rescue teams stand by.",
    ),
    Level.BLUE: (
        "安排专人24小时监测，留意降雨和变形迹象，发现异常立即上报。",
        "Keep watch for 24 hours, look out for rain and movement, report anything unusual at once.",
    ),
    Level.NONE: (
        "预警解除。返回前听从当地安排，先查看房屋周围有无新的裂缝和变形。",
        "The warning is over. Follow local directions before going back, and look for new cracks first.",
    ),
}

#: what has happened -> headline, (Chinese, English)
HEADLINES = {
    "raised": ("{name}地质灾害{colour}预警", "{colour} geohazard warning: {name}"),
    "up": ("{name}地质灾害预警升级为{colour}", "Geohazard warning raised to {colour}: {name}"),
    "down": ("{name}地质灾害预警降为{colour}", "Geohazard warning lowered to {colour}: {name}"),
    "over": ("{name}地质灾害预警解除", "Geohazard warning over: {name}"),
}

#: characters of a registered name that a headline shows, so that it stays below the 160 that CAP advises
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a site's level: the message that it causes, when (phenomenon time) and why."""

    site: Site
    mode: Mode
    type: MessageType
    before: Level
    after: Level
    at: datetime
    reason_zh: str
    reason_en: str

    @property
    def headline(self) -> tuple[str, str]:
        """The key of its templates in HEADLINES, resolved: (Chinese, English)."""
        if self.type == MessageType.ALERT:
            return HEADLINES["raised"]
        if self.type == MessageType.CANCEL:
            return HEADLINES["over"]
        return HEADLINES["up" if self.after > self.before else "down"]


def chinese(change: Change, sender_name: str) -> Info:
    """Return what the alert says in Chinese."""
    site, label, colour = change.site, LABELS[change.mode][0], (change.after or change.before).zh
    when, kind = change.at.astimezone(BEIJING), TYPES[site.type][0]
    name = _short("".join(site.regions_zh[:1]) + site.name_zh)
    threatened = f"受威胁群众{site.threatened}人。" if site.threatened else ""
    return Info(
        language="zh-CN",
        sender_name=label + sender_name,
        area=site.area_zh,
        event=f"地质灾害（{kind}）",
        headline=label + change.headline[0].format(name=name, colour=colour),
        description=f"{label}截至{when.year}年{when.month}月{when.day}日{when:%H:%M}，{site.area_zh}"
        f"（{kind}隐患点）：{change.reason_zh.rstrip('。')}。{threatened}",
        instruction=label + INSTRUCTIONS[change.after][0],
        colour=colour,
    )


def english(change: Change, sender_name: str) -> Info:
    """Return what the alert says in English."""
    site, label, colour = change.site, LABELS[change.mode][1], (change.after or change.before).word.title()
    when, kind = change.at.astimezone(BEIJING), TYPES[site.type][1]
    name = _short(", ".join((site.name_en, *site.regions_en[:1])))
    threatened = f" People under threat: {site.threatened}." if site.threatened else ""
    return Info(
        language="en-US",
        sender_name=label + sender_name,
        area=site.area_en,
        event=f"Geohazard ({kind})",
        headline=label + change.headline[1].format(name=name, colour=colour),
        description=f"{label}As of {when:%Y-%m-%d %H:%M} Beijing time, {site.area_en}"
        f" ({kind} site): {change.reason_en.rstrip('.')}.{threatened}",
        instruction=label + INSTRUCTIONS[change.after][1],
        colour=colour,
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
