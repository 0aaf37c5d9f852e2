"""Firmware blocks against the sample and the layout that public firmware reads."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path

import pytest

from domain.firmware import block_size, blocks

# RFC 1321, A.5: MD5 ("abc")
ABC = b"900150983cd24fb0d6963f7d28e17f72"


def test_two_blocks_by_hand() -> None:
    assert list(blocks(b"abc", 2)) == [
        bytes.fromhex("0000 0002 0002") + b"ab",
        bytes.fromhex("0001 0001 0002") + b"c" + b"\x20" + ABC,
    ]


def test_the_other_length_of_the_md5() -> None:
    assert list(blocks(b"abc", 512, md5_length_bytes=2)) == [
        bytes.fromhex("0000 0003 0001") + b"abc" + b"\x00\x20" + ABC
    ]


def test_blocks_have_the_layout_of_the_published_one(data: Path) -> None:
    lines = map(json.loads, (data / "stations/dp_file_frames.jsonl").read_text().splitlines())
    [sample] = [line for line in lines if line["name"] == "firmware_block_last_u8_md5len"]
    expect, block = sample["expect"], bytes.fromhex(sample["file_hex"])
    size = len(bytes.fromhex(expect["data"]))
    firmware = bytes(size) + bytes.fromhex(expect["data"])
    *_, last = blocks(firmware, size)
    assert last[: 6 + size] == block[: 6 + size]
    # the sample's MD5 is a made-up text of 8 characters
    assert block[6 + size :] == len(expect["md5"]).to_bytes(1, "big") + expect["md5"].encode()
    assert last[6 + size :] == b"\x20" + md5(firmware).hexdigest().encode()  # noqa: S324


@pytest.mark.parametrize("size", [1, 512, 1536, 65535])
def test_the_blocks_are_the_firmware(size: int) -> None:
    firmware = bytes(range(256)) * 20 + b"end"
    told = list(blocks(firmware, size))
    data = [block[6 : 6 + int.from_bytes(block[2:4], "big")] for block in told]
    assert b"".join(data) == firmware
    assert [int.from_bytes(block[:2], "big") for block in told] == list(range(len(told)))
    assert {int.from_bytes(block[4:6], "big") for block in told} == {len(told)}
    assert [len(block) - len(part) for block, part in zip(told, data, strict=True)] == [6] * (
        len(told) - 1
    ) + [39]


@pytest.mark.parametrize(("firmware", "size"), [(b"", 512), (bytes(65536), 1)])
def test_firmware_that_no_blocks_can_hold(firmware: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="do not fit 1 to 65535 blocks"):
        list(blocks(firmware, size))


def test_the_largest_size_that_the_device_takes() -> None:
    assert block_size(100_000, "512,1536") == 1536
    assert block_size(100_000, "1, 99999") == 65535


@pytest.mark.parametrize("supported", ["", "512", "512,", "a,b", "1536,512", "0,0", "0.05,100"])
def test_what_is_no_range_of_sizes(supported: str) -> None:
    with pytest.raises(ValueError, match="no range of block sizes"):
        block_size(1000, supported)


def test_firmware_too_large_for_the_device() -> None:
    with pytest.raises(ValueError, match="more than 65535 blocks of 1 bytes"):
        block_size(65536, "1,1")
