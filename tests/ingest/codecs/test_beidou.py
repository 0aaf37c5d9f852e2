"""Beidou short messages: the published vectors, one of our own, and what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.codecs import beidou, dp, read

NOW = datetime(2026, 8, 12, tzinfo=UTC)

# {"70000001":{"L3_YL_1":"0.5,81"}} in hexadecimal digits, each by the table of annex F
OWN = "8iWW]8]!]!]!]!]!]!]{WW]e8iWW;(]])?)B;(" + ')?]{WW]eWW]!W\\])W(]"]{WW8G8G'


def test_our_own_message() -> None:
    decoded = read("http/beidou/card-1", OWN.encode() + b"\r\n", NOW)
    assert [(r.thing, r.datastream, r.result) for r in decoded.readings] == [
        ("70000001", "L3_YL_1/value", 0.5),
        ("70000001", "L3_YL_1/totalValue", 81.0),
    ]
    assert decoded.problems == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "neither a frame nor JSON: it begins with nothing"),
        (OWN[:-1].encode(), "no Beidou text: 65 letters are no whole bytes, the message is cut off"),
        (OWN[:-2].encode(), "not JSON"),
        (b"8iGG\xff\0", r"no Beidou text: '\xff\x00' are no letters of annex F"),
        (b'{"70000001":{}}', "no Beidou text: "),
        (b"!" * 10_000_000, "10000000 bytes, and a message has 500000 at most"),
    ],
)
def test_what_is_no_message_says_why(payload: bytes, reason: str) -> None:
    decoded = read("http/beidou/card-1", payload, NOW)
    assert (decoded.device, decoded.readings) == ("card-1", ())
    assert decoded.problems[0].startswith(reason)


def test_published_vectors_and_table(data: Path) -> None:
    known = json.loads((data / "stations/beidou_annex_f.json").read_text(encoding="utf-8"))
    table = dict(zip(beidou.DIGITS.decode(), beidou.LETTERS.decode(), strict=True))
    assert table == known["hex_digit_map"]
    assert len(known["vectors"]) == 2
    for vector in known["vectors"]:
        expected = dp.decode("$dp", vector["plain"].encode(), NOW)
        assert len(expected.readings) == 3
        assert beidou.decode("http/beidou/card-1", vector["cipher"].encode(), NOW) == expected
