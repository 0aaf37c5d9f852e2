"""Phones, over their own topic; a phone that is offline gets it from its persistent session."""

from __future__ import annotations

from domain.wire import down_topic, encode
from warning.channels import Delivery
from warning.outlet import Outlet


def send(delivery: Delivery, outlet: Outlet) -> None:
    """Publish the alert to the phone `delivery.address`; ValueError when that is no device name."""
    notice = delivery.notice
    message = {
        "delivery": delivery.id,
        "alert": notice.identifier,
        "mode": notice.mode,
        "message_type": notice.message_type,
        "level": notice.level.word,
        "headline_zh": notice.headline_zh,
        "headline_en": notice.headline_en,
        "instruction_zh": notice.instruction_zh,
        "instruction_en": notice.instruction_en,
        "sent": notice.sent,
        "expires": notice.expires,
        "site": notice.site,
        "threatened": notice.threatened,
    }
    outlet.publish(down_topic(delivery.address, "alert"), encode(message))
