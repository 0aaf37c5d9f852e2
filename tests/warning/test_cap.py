"""CAP messages against the OASIS schema and the rules that it does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from domain.alert import Level, MessageType
from domain.settings import Settings
from domain.thing import Mode
from warning import cap
from warning.areas import Site, closed
from warning.cap_check import check
from warning.wording import HEADLINES, NOTES, TYPES, Change, chinese, english

CAP = {"c": cap.NAMESPACE}
OFFICE = cap.Office(code="64000000000000", sender="duty@example.invalid", name_zh="自治区", name_en="Region")
SENT = datetime(2026, 8, 12, 12, 0, 7, tzinfo=UTC)  # 20:00:07 in Beijing
NAMES = [
    "张家崾岘滑坡",
    "<b>A & B</b> \"quoted\" 'twice' ]]>",
    "长" * 5000,
    "{name} {0} %s",
    "\x01\x0b\ufffe control",
    "café \U0001f3d4 \n\t two lines",
]


@pytest.fixture(scope="session")
def schema(data: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(data / "cap" / "CAP-v1.2.xsd"))


def site(name: str = NAMES[0], **other: object) -> Site:
    ring = ((106.10, 36.02), (106.40, 36.02), (106.40, 35.85), (106.10, 35.85), (106.10, 36.02))
    plain = Site(
        id=1, code="yz-1", region="640402", type="landslide", mode=Mode.EXERCISE, name_zh=name, name_en=name,
        regions_zh=("原州区", "固原市"), regions_en=("Yuanzhou District", "Guyuan City"), lon=106.2, lat=36.0,
        ring=ring, threatened=45, contact="0954-0000000",
    )  # fmt: skip
    return replace(plain, **other)  # type: ignore[arg-type]


def message(change: Change, references: str = "") -> cap.Message:
    return cap.Message(
        identifier=cap.identifier(OFFICE, SENT, 0),
        sender=OFFICE.sender,
        sent=SENT,
        expires=SENT + timedelta(hours=24),
        mode=change.mode,
        type=change.type,
        level=change.after,
        note=NOTES[change.mode],
        references=references,
        contact=change.site.contact,
        ring=change.site.ring,
        geocode=change.site.geocode,
        infos=(chinese(change, OFFICE.name_zh), english(change, OFFICE.name_en)),
    )


def change(
    mode: Mode = Mode.EXERCISE,
    type: MessageType = MessageType.ALERT,
    after: Level = Level.ORANGE,
    at: Site | None = None,
) -> Change:
    return Change(
        site=at or site(), mode=mode, type=type, before=Level.YELLOW, after=after,
        at=datetime(2026, 8, 12, 11, 30, tzinfo=UTC), reason_zh="3小时雨量62毫米", reason_en="62 mm in 3 h",
    )  # fmt: skip


def texts(xml: str, path: str) -> list[str | None]:
    return [element.text for element in etree.fromstring(xml).iterfind(path, CAP)]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("type", MessageType)
@pytest.mark.parametrize("after", Level)
def test_every_kind_of_message_is_valid(
    schema: etree.XMLSchema, mode: Mode, type: MessageType, after: Level
) -> None:
    earlier = cap.reference(cap.compose(message(change(mode))))
    references = "" if type == MessageType.ALERT else earlier
    xml = cap.compose(message(change(mode, type, after), references))
    schema.assertValid(etree.fromstring(xml))
    assert check(xml) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_a_message(schema: etree.XMLSchema, name: str) -> None:
    xml = cap.compose(message(change(at=site(name, contact=name, regions_zh=(), regions_en=()))))
    schema.assertValid(etree.fromstring(xml))
    assert check(xml) == []
    area = texts(xml, "c:info/c:area/c:areaDesc")[0]
    assert area == re.sub("[\x01\x0b\ufffe]", " ", name)
    assert all(len(headline or "") <= 160 for headline in texts(xml, "c:info/c:headline"))


def test_a_message_says_what_and_where_in_both_languages() -> None:
    xml = cap.compose(message(change(Mode.ACTUAL)))
    assert texts(xml, "c:info/c:language") == ["zh-CN", "en-US"]
    assert texts(xml, "c:info/c:headline") == [
        "原州区张家崾岘滑坡地质灾害橙色预警",
        "Orange geohazard warning: 张家崾岘滑坡, Yuanzhou District",
    ]
    assert texts(xml, "c:info/c:description") == [
        "截至2026年8月12日19:30，固原市原州区张家崾岘滑坡（滑坡隐患点）：3小时雨量62毫米。受威胁群众45人。",
        "As of 2026-08-12 19:30 Beijing time, 张家崾岘滑坡, Yuanzhou District, Guyuan City (landslide site): "
        "62 mm in 3 h. People under threat: 45.",
    ]
    assert texts(xml, "c:info/c:parameter/c:value") == ["橙色", "Orange"]
    assert texts(xml, "c:note") == []
    assert texts(xml, "c:info/c:area/c:polygon")[0] == (
        "36.020000,106.100000 36.020000,106.400000 35.850000,106.400000 35.850000,106.100000"
        " 36.020000,106.100000"
    )
    assert texts(xml, "c:info/c:area/c:geocode/c:value") == ["640402000000"] * 2
    assert texts(xml, "c:info/c:area/c:geocode/c:valueName") == ["CPEAS Geographic Code"] * 2


def test_times_carry_the_offset_of_beijing_and_no_fraction() -> None:
    xml = cap.compose(replace(message(change()), sent=SENT + timedelta(microseconds=5)))
    assert texts(xml, "c:sent") == ["2026-08-12T20:00:07+08:00"]
    assert texts(xml, "c:info/c:expires") == ["2026-08-13T20:00:07+08:00"] * 2


@pytest.mark.parametrize(
    ("after", "gravity"),
    [
        (Level.RED, ["Extreme", "Immediate"]),
        (Level.ORANGE, ["Severe", "Expected"]),
        (Level.YELLOW, ["Moderate", "Expected"]),
        (Level.BLUE, ["Minor", "Future"]),
    ],
)
def test_the_four_colours_have_the_gravity_of_the_facts(after: Level, gravity: list[str]) -> None:
    xml = cap.compose(message(change(after=after)))
    assert [texts(xml, f"c:info/c:{name}")[0] for name in ("severity", "urgency")] == gravity


@pytest.mark.parametrize(
    ("mode", "status", "zh", "en"),
    [(Mode.EXERCISE, "Exercise", "演练", "EXERCISE"), (Mode.TEST, "Test", "测试", "TEST")],
)
def test_what_is_not_real_says_so_everywhere(mode: Mode, status: str, zh: str, en: str) -> None:
    xml = cap.compose(message(change(mode)))
    assert texts(xml, "c:status") == [status]
    for name in ("senderName", "headline", "description", "instruction"):
        chinese_text, english_text = texts(xml, f"c:info/c:{name}")
        assert (chinese_text or "").startswith(f"【{zh}】"), name
        assert (english_text or "").startswith(f"[{en}] "), name
    (note,) = texts(xml, "c:note")
    assert zh in (note or "") and en.lower() in (note or "").lower()


def test_the_headline_tells_the_way_the_level_went() -> None:
    update = change(type=MessageType.UPDATE)
    assert update.headline is HEADLINES["up"]
    assert replace(update, after=Level.BLUE).headline is HEADLINES["down"]
    assert replace(update, type=MessageType.CANCEL, after=Level.NONE).headline is HEADLINES["over"]


def test_an_identifier_has_the_national_form() -> None:
    assert cap.identifier(OFFICE, SENT, 3) == "64000000000000_20260812200007_3"


def test_every_hazard_type_of_the_registry_has_its_words() -> None:
    assert set(TYPES) == {"landslide", "debris_flow", "rockfall", "subsidence"}


def test_an_open_ring_is_closed_and_no_ring_leaves_the_geocode(schema: etree.XMLSchema) -> None:
    assert closed([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) == ((1, 2), (3, 4), (5, 6), (1, 2))
    for no_area in ([], [[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]):
        xml = cap.compose(message(change(at=site(ring=closed(no_area)))))
        schema.assertValid(etree.fromstring(xml))
        assert check(xml) == []
        assert texts(xml, "c:info/c:area/c:polygon") == []


@pytest.mark.parametrize(
    "setting", [{"alert_office": "6400"}, {"alert_sender": "duty officer"}, {"alert_sender": "a,b"}]
)
def test_an_office_that_would_break_messages_is_refused_at_start(setting: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="LIUPAN_ALERT_"):
        cap.Office.of(Settings(state=Path(), **setting))  # type: ignore[arg-type]


def test_the_check_accepts_what_others_publish(data: Path, schema: etree.XMLSchema) -> None:
    files = sorted((data / "cap").glob("*.xml"))
    assert len(files) >= 6
    for file in files:
        tree = etree.parse(file)
        assert schema.validate(tree), file.name
        assert check(etree.tostring(tree, encoding="unicode")) == [], file.name


def _swap(polygon: str) -> str:
    return " ".join(",".join(reversed(point.split(","))) for point in polygon.split())


#: what the schema lets through, one change each (facts/command.md section 2): path, change, finding
MUTATIONS: dict[str, tuple[str, Callable[[str], str | None], str]] = {
    "no references": ("c:references", lambda _: None, "needs references"),
    "malformed references": ("c:references", lambda text: text.replace(",", ";"), "sender,identifier,sent"),
    "references in UTC": ("c:references", lambda text: text[:-6] + "Z", "CAP time"),
    "expires before sent": ("c:info/c:expires", lambda _: "2026-08-12T20:00:06+08:00", "not after sent"),
    "lon,lat": ("c:info/c:area/c:polygon", _swap, "lon,lat"),
    "not closed": ("c:info/c:area/c:polygon", lambda text: text.rsplit(" ", 1)[0], "not closed"),
    "empty polygon": ("c:info/c:area/c:polygon", lambda _: "", "four points"),
    "space in the identifier": ("c:identifier", lambda text: text + " 1", "identifier"),
    "comma in the identifier": ("c:identifier", lambda text: text + ",1", "identifier"),
    "restricted": ("c:scope", lambda _: "Restricted", "restriction"),
    "private": ("c:scope", lambda _: "Private", "addresses"),
    "no area": ("c:info/c:area", lambda _: None, "no area"),
    "no info": ("c:info", lambda _: None, "needs an info"),
    "odd geocode": ("c:info/c:area/c:geocode/c:value", lambda _: "6404", "GB/T 2260"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_check_finds_what_the_schema_lets_through(schema: etree.XMLSchema, name: str) -> None:
    path, mutate, finding = MUTATIONS[name]
    reference = cap.reference(cap.compose(message(change())))
    root = etree.fromstring(cap.compose(message(change(type=MessageType.UPDATE), reference)))
    for element in root.findall(path, CAP):
        if (text := mutate(element.text or "")) is None:
            parent = element.getparent()
            assert parent is not None
            parent.remove(element)
        else:
            element.text = text
    schema.assertValid(root)
    assert any(finding in found for found in check(etree.tostring(root, encoding="unicode")))
