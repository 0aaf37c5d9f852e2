"""Frames of SL651 stations for tests: published ones, and our own built by the standard's tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.codecs._sl651_frame import ETB, ETX, Frame, build

#: published report by time (32) and its confirmation (yu-xiaoyao/sl651-2014-server; the check is right)
REPORT = bytes.fromhex(
    "7E7E05001122334403E832002B020034170718110016F1F1001122334448F0F0170718110020190000402619000040"
    "3923000104903812109903A421"
)
CONFIRMED = bytes.fromhex("7E7E00112233440503E83280080200341707181100161BE5D4")
#: published report for testing (30) and its confirmation (toymoban.com/news/detail-686475.html)
TEST = bytes.fromhex(
    "7E7E010012345678123430002B020003591011154947F1F1001234567848F0F0591011154920190000052619000005"
    "392300000127381211150320FA"
)
TEST_CONFIRMED = bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4")

STATION = "0011223344"


def published(data: Path) -> list[dict[str, Any]]:
    """Return the published frames with what is known of each."""
    lines = (data / "stations" / "sl651_frames.jsonl").read_text().splitlines()
    return [json.loads(line) | {"frame": bytes.fromhex(json.loads(line)["hex"])} for line in lines]


def up(
    elements: str, function: int = 0x32, time: str = "2608112205", end: int = ETX, serial: int = 7
) -> bytes:
    """Return a frame with these elements (HEX), observed and sent at a time (YYMMDDHHmm)."""
    head = f"{serial:04x}{time}00f1f1{STATION}48f0f0{time}"
    return build(frame(bytes.fromhex(head + elements), function, end=end))


def frame(text: bytes, function: int = 0x32, packet: tuple[int, int] | None = None, end: int = ETX) -> Frame:
    return Frame(up=True, centre=5, station=STATION, password=b"\x03\xe8", function=function,
                 packet=packet, text=text, end=end)  # fmt: skip


def in_packets(text: bytes, size: int, function: int = 0x36) -> list[bytes]:
    """Return the frames of a long text, `size` bytes in each packet."""
    pieces = [text[n : n + size] for n in range(0, len(text), size)]
    return [
        build(frame(piece, function, (len(pieces), number), ETX if number == len(pieces) else ETB))
        for number, piece in enumerate(pieces, 1)
    ]


def picture(size: int = 3000) -> bytes:
    """Return the text of a picture report (36) of that size (bytes), as in table 40 of the standard."""
    head = bytes.fromhex(f"0009260811220500f1f1{STATION}48f0f02608112205f3f3")
    return head + b"\xff\xd8" + bytes(n * 7 % 251 for n in range(size - 4)) + b"\xff\xd9"
