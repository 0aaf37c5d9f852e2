"""Finding the frames in a stream of bytes, whatever stands between them, by their length and check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What a protocol's frames look like."""

    #: the first byte of each frame
    first: bytes
    #: buffer, place -> size (bytes) of the frame that begins there; 0: none does, None: too little is there
    size: Callable[[bytes, int], int | None]
    #: is the check of a frame right?
    is_sound: Callable[[bytes], bool]
    #: what is shorter (bytes) is no part of a frame that is worth keeping
    shortest: int


def split(framing: Framing, buffer: bytes) -> tuple[list[bytes], bytes]:
    """Return the frames in a piece of a stream, and the rest: what may be the beginning of the next one.

    Frames whose check is wrong are returned too, up to where the next one seems to begin; what looks like no
    frame is left out. The rest is shorter than the longest frame. Each byte is checked a few times at most,
    unless every few bytes pretend to begin a long frame.
    """
    frames: list[bytes] = []
    at = _next(framing, buffer, 0)
    while at < len(buffer):
        size = framing.size(buffer, at)
        end = len(buffer) + 1 if size is None else at + size
        if end <= len(buffer) and framing.is_sound(buffer[at:end]):
            frames.append(buffer[at:end])
            at = _next(framing, buffer, end)
            continue
        later = _next(framing, buffer, at + 1)
        if end > len(buffer) and not _is_whole(framing, buffer, later):
            return frames, buffer[at:]
        broken = buffer[at : min(end, later)]
        if len(broken) >= framing.shortest:
            frames.append(broken)
        at = _next(framing, buffer, at + len(broken))
    return frames, b""


def _next(framing: Framing, buffer: bytes, at: int) -> int:
    """Return where the next frame seems to begin, at the earliest there; the end when none does."""
    while (at := buffer.find(framing.first, at)) >= 0 and framing.size(buffer, at) == 0:
        at += 1
    return len(buffer) if at < 0 else at


def _is_whole(framing: Framing, buffer: bytes, at: int) -> bool:
    end = at + (framing.size(buffer, at) or 0)
    return at < end <= len(buffer) and framing.is_sound(buffer[at:end])
