"""Replies as stations have been seen to write them on `$dr`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest.codecs import dr, read

NOW = datetime(2026, 8, 12, tzinfo=UTC)
TEXT = b"$cmd=getworkmode&mode=2&apikey=k1&msgid=m1"


@pytest.mark.parametrize("payload", [TEXT, b"\x03" + len(TEXT).to_bytes(2, "big") + TEXT, TEXT + b"\r\n"])
def test_a_reply_plain_or_framed(payload: bytes) -> None:
    decoded = dr.decode("$dr", payload, NOW)
    [reply] = decoded.replies
    assert (reply.name, reply.msgid, reply.values) == ("getworkmode", "m1", {"mode": "2"})
    assert (decoded.device, decoded.readings, decoded.problems) == ("", (), ())


def test_framed_data_without_a_command_is_data_of_the_device_that_it_names() -> None:
    body = b'{"70000001":{"L1_LF_1":4.25}}'
    decoded = dr.decode("$dr", b"\x03" + len(body).to_bytes(2, "big") + body, NOW)
    assert decoded.device == "70000001"
    assert [(r.datastream, r.result) for r in decoded.readings] == [("L1_LF_1/value", 4.25)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"$cmd=reboot&result=succ&apikey=k1", "a reply to reboot without msgid"),
        (b"\x01\x02\x03", "no reply: it begins with 01 02 03"),
        (b'{"L1_LF_1":1}', "no device around the sensors"),
    ],
)
def test_what_cannot_be_read_goes_to_quarantine_with_its_reason(payload: bytes, reason: str) -> None:
    [problem] = read("$dr", payload, NOW).problems
    assert reason in problem
    assert "k1" not in problem
