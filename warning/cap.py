"""Alerts as CAP 1.2 XML (OASIS, Common Alerting Protocol 1.2, 2010), in Chinese and in English.

Identifiers and geocodes follow China's national alert system: `ZZZZZZDDDUUUXX_YYYYMMDDhhmmss_N` with
the district (GB/T 2260), sector and unit of the issuer and Beijing time; GB/T 2260 codes in 12 digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from lxml import etree

from domain.alert import Level, MessageType
from domain.clock import aware
from domain.settings import Settings
from domain.thing import Mode
from warning.areas import Ring

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
GEOCODE = "CPEAS Geographic Code"
BEIJING = timezone(timedelta(hours=8))

STATUS = {Mode.ACTUAL: "Actual", Mode.EXERCISE: "Exercise", Mode.TEST: "Test"}

#: level -> severity, urgency, certainty, responseType. Only blue = Minor is verified in Chinese practice, the
#: other severities go up from there; none is the end of a danger.
GRAVITY = {
    Level.RED: ("Extreme", "Immediate", "Likely", "Evacuate"),
    Level.ORANGE: ("Severe", "Expected", "Likely", "Evacuate"),
    Level.YELLOW: ("Moderate", "Expected", "Possible", "Prepare"),
    Level.BLUE: ("Minor", "Future", "Possible", "Monitor"),
    Level.NONE: ("Minor", "Past", "Observed", "AllClear"),
}

#: characters that XML 1.0 cannot hold, in any spelling
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Who issues: the 14 digits of the national identifier, the CAP sender, its names for people."""

    code: str
    sender: str
    name_zh: str
    name_en: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9]{14}", self.code):
            raise ValueError(f"LIUPAN_ALERT_OFFICE must be 14 digits, not {self.code!r}")
        if not re.fullmatch(r"[^\s,<&]+", self.sender):
            raise ValueError(f"LIUPAN_ALERT_SENDER must be without space, comma, < and &: {self.sender!r}")

    @classmethod
    def of(cls, settings: Settings) -> Office:
        """Return the office that the settings name; ValueError names the one that cannot be used."""
        return cls(
            code=settings.alert_office,
            sender=settings.alert_sender,
            name_zh=settings.alert_sender_name,
            name_en=settings.alert_sender_name_en,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What the message says in one language."""

    language: str
    event: str
    sender_name: str
    headline: str
    description: str
    instruction: str
    colour: str
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One CAP message; `references` is what `reference` returned for the message before it, or ''."""

    identifier: str
    sender: str
    sent: datetime
    expires: datetime
    mode: Mode
    type: MessageType
    level: Level
    note: str
    references: str
    contact: str
    ring: Ring
    geocode: str
    infos: tuple[Info, ...]


def identifier(office: Office, sent: datetime, serial: int) -> str:
    """Return the national identifier of the alert with that serial number within its second."""
    return f"{office.code}_{aware(sent).astimezone(BEIJING):%Y%m%d%H%M%S}_{serial}"


def compose(message: Message) -> str:
    """Return the message as XML, in the order of elements that the schema asks for."""
    root = etree.fromstring(f'<alert xmlns="{NAMESPACE}"/>')
    _put(root, "identifier", message.identifier)
    _put(root, "sender", message.sender)
    _put(root, "sent", _time(message.sent))
    _put(root, "status", STATUS[message.mode])
    _put(root, "msgType", message.type)
    _put(root, "scope", "Public")
    _put(root, "note", message.note)
    _put(root, "references", message.references)
    for info in message.infos:
        _put_info(etree.SubElement(root, f"{{{NAMESPACE}}}info"), message, info)
    return etree.tostring(root, encoding="unicode")


def reference(xml: str) -> str:
    """Return how a later message refers to this one: `sender,identifier,sent`."""
    root = etree.fromstring(xml)
    return ",".join(
        root.findtext(f"{{{NAMESPACE}}}{name}") or "" for name in ("sender", "identifier", "sent")
    )


def _put_info(element: etree._Element, message: Message, info: Info) -> None:
    severity, urgency, certainty, response = GRAVITY[message.level]
    texts = {
        "language": info.language,
        "category": "Geo",
        "event": info.event,
        "responseType": response,
        "urgency": urgency,
        "severity": severity,
        "certainty": certainty,
        "effective": _time(message.sent),
        "expires": _time(message.expires),
        "senderName": info.sender_name,
        "headline": info.headline,
        "description": info.description,
        "instruction": info.instruction,
        "contact": message.contact,
    }
    for name, text in texts.items():
        _put(element, name, text)
    _put_pair(element, "parameter", "ColourCode", info.colour)
    area = etree.SubElement(element, f"{{{NAMESPACE}}}area")
    _put(area, "areaDesc", info.area)
    _put(area, "polygon", " ".join(f"{lat:.6f},{lon:.6f}" for lon, lat in message.ring))
    _put_pair(area, "geocode", GEOCODE, message.geocode)


def _put_pair(parent: etree._Element, name: str, key: str, value: str) -> None:
    pair = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    _put(pair, "valueName", key)
    _put(pair, "value", value)


def _put(parent: etree._Element, name: str, text: str) -> None:
    """Add an element with this text; none when there is nothing to say."""
    if text:
        etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = _NOT_XML.sub(" ", text)


def _time(at: datetime) -> str:
    """Return Beijing time with its offset and without a fraction: CAP allows neither Z nor milliseconds."""
    return aware(at).astimezone(BEIJING).isoformat(timespec="seconds")
