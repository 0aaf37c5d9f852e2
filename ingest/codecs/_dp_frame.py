"""The frame on `$dp`: type (1 byte), length of the JSON (2 bytes, big-endian), JSON, and at times a file.

A file has its length (2 bytes, big-endian) before it; some firmware writes the length 0 behind every JSON.
The numbers of the types changed between editions of the protocol, and 3 stands in both, so what a frame holds
is told by its structure; only the lower six bits are the number. Bare JSON occurs, also behind one control
character. Source: what public firmware and platforms agree on; DZ/T 0450-2023 itself is not public.
"""

from __future__ import annotations

from domain import wire


def split(payload: bytes) -> tuple[bytes, bytes]:
    """Return the JSON in the payload and the file behind it, b"" for none.

    ValueError: it is neither a frame nor JSON, a length in it is wrong, or it is larger than any message.
    """
    wire.check_size(payload)
    if _is_object(payload):
        return payload, b""
    size = int.from_bytes(payload[1:3], "big")
    body, rest = payload[3 : 3 + size], payload[3 + size :]
    file_size = int.from_bytes(rest[:2], "big")
    if len(body) == size and len(rest) in (0, file_size + 2) and _is_object(body):
        return body, rest[2:]
    if payload[:1] < b" " and _is_object(payload[1:]):
        return payload[1:], b""
    if payload[3:4] != b"{":
        raise ValueError(f"neither a frame nor JSON: it begins with {payload[:4].hex(' ') or 'nothing'}")
    broken = f"broken frame of type {payload[0] & 0x3F}: "
    if len(body) < size:
        raise ValueError(f"{broken}its head says {size} bytes of JSON, {len(body)} follow")
    raise ValueError(f"{broken}behind the JSON stand {len(rest)} bytes, for a file of {file_size} bytes")


def _is_object(text: bytes) -> bool:
    return text.lstrip()[:1] == b"{"
