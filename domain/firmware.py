"""Firmware over MQTT: the blocks that follow an `upgrade` on `$creq/<device>/firmware`.

Block: index (from 0), length of the data, number of blocks, 2 bytes each, big-endian, then the data; behind
the last one the length of the MD5 text (1 byte) and that text. The device first says which sizes it takes:
`$cmd=supportsize&range=512,1536` (bytes). Source: zods_baseplatform and INSENTEK firmware; other firmware
writes the length of the MD5 in 2 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5

#: number of blocks, and bytes of one, that 16 bits can tell
MOST = 0xFFFF


def block_size(size: int, supported: str) -> int:
    """Return the largest size of a block (bytes) in `low,high`, as devices write it, for that much firmware.

    ValueError: it is no such range, or the firmware would need more blocks than can be numbered.
    """
    low, comma, high = supported.partition(",")
    if not (comma and low.strip().isdecimal() and high.strip().isdecimal()):
        raise ValueError(f"{supported[:40]!r} is no range of block sizes as in 512,1536")
    largest = min(int(high), MOST)
    if not 0 < int(low) <= largest:
        raise ValueError(
            f"{supported[:40]!r} is no range of block sizes: low must be 1 or more and not above high"
        )
    if -(-size // largest) > MOST:
        raise ValueError(f"{size} bytes need more than {MOST} blocks of {largest} bytes")
    return largest


def blocks(firmware: bytes, size: int, md5_length_bytes: int = 1) -> Iterator[bytes]:
    """Yield the blocks of the firmware, with `size` bytes of data at most; ValueError: none, or too many."""
    total = -(-len(firmware) // size)
    if not firmware or total > MOST:
        raise ValueError(f"{len(firmware)} bytes of firmware do not fit 1 to {MOST} blocks of {size} bytes")
    for index in range(total):
        data = firmware[index * size : (index + 1) * size]
        head = b"".join(number.to_bytes(2, "big") for number in (index, len(data), total))
        yield head + data + (_md5_end(firmware, md5_length_bytes) if index == total - 1 else b"")


def _md5_end(firmware: bytes, length_bytes: int) -> bytes:
    text = md5(firmware, usedforsecurity=False).hexdigest().encode()
    return len(text).to_bytes(length_bytes, "big") + text
