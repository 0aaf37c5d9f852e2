"""Replies of national stations on `$dr`: `$cmd=<name>&result=succ&apikey=<key>&msgid=<id>`, or values.

INSENTEK firmware answers in plain text; the access document has frames (type, length, text). Some firmware
puts blanks around the `&`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from domain.command_words import COMMANDS

TOPIC = "$dr"

#: name in a reply -> name of the command
NAMES = {command.reply: command.name for command in COMMANDS.values()}
RESULTS = frozenset({"", "succ", "fail"})
BLANK = " \r\n\t"
#: the secret that devices send back
KEY = re.compile(r"\s*&\s*apikey\s*=[^&]*")
#: the same in what could not be read, also as JSON
ANY_KEY = re.compile(rb"""(api_?key["']?\s*[=:]\s*["']?)[^&"'\s,}]+""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a device answered: `name` is the command's, `result` succ, fail or '' where values stand instead.

    `text` is the reply without the apikey; of that only the SHA-256 is kept, '' when the device left it out.
    """

    name: str
    msgid: str
    result: str
    values: Mapping[str, object]
    text: str
    key_sha256: str


def parse(payload: bytes) -> Reply:
    """Return the reply in the payload, which is the text itself or a frame (type, length, text).

    ValueError says why it is none. Values that are JSON come as what they hold, all others as text.
    """
    text = _text(payload)
    values = fields(text)
    if (name := NAMES.get(str(values.pop("$cmd", "")))) is None:
        raise ValueError("no reply to a command that is known: it must begin with $cmd=<name>")
    result, key = str(values.pop("result", "")), str(values.pop("apikey", ""))
    if result not in RESULTS:
        raise ValueError(f"result of {name}: {result[:20]!r} is neither succ nor fail")
    return Reply(
        name=name,
        msgid=str(values.pop("msgid", "")),
        result=result,
        values=values,
        text=KEY.sub("", text),
        key_sha256=sha256(key.encode()).hexdigest() if key else "",
    )


def covered(payload: bytes) -> bytes:
    """Return a payload that could not be read as people may see it: an apikey in it is covered."""
    return ANY_KEY.sub(rb"\1***", payload)


def fields(text: str) -> dict[str, object]:
    """Return what stands in `k=v&k=v`, each v as text or, where it is JSON, as what that holds."""
    found: dict[str, object] = {}
    at = 0
    while at < len(text):
        key, equals, _ = text[at:].partition("=")
        if not equals or not key.strip(BLANK) or "&" in key:
            raise ValueError(
                f"expected name=value at character {at + 1}"
            )  # no quote: an apikey may stand there
        if (key := key.strip(BLANK)) in found:
            raise ValueError(f"{key[:20]!r} stands there twice")
        found[key], at = _value(text, text.index("=", at) + 1)
    return found


def _text(payload: bytes) -> str:
    """Return the text in the payload, out of its frame; firmware writes UTF-8 or a Chinese encoding."""
    body = payload.strip(BLANK.encode())
    size = int.from_bytes(payload[1:3], "big")
    left = len(payload) - 3 - size  # 2: the length of a file that is empty
    if not body.startswith(b"$") and left in (0, 2):
        body = payload[3 : 3 + size].strip(BLANK.encode())
    if not body.startswith(b"$cmd="):
        raise ValueError(f"no reply: it begins with {payload[:6].hex(' ') or 'nothing'}, not with $cmd=")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("gb18030")
    if not all(c.isprintable() or c in BLANK for c in text):
        raise ValueError("a reply with control characters in it")
    return text


def _value(text: str, start: int) -> tuple[object, int]:
    """Return the value that begins there, and where the next name begins."""
    if text[start : start + 1] in ("{", "["):
        try:
            value, end = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).raw_decode(text, start)
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be shown to anybody
            if not text[end:].partition("&")[0].strip(BLANK):
                return value, end + len(text[end:].partition("&")[0]) + 1
        except (ValueError, RecursionError):
            pass  # firmware also writes {"a","b"}: it stays a text
    end = text.find("&", start)
    end = len(text) if end < 0 else end
    return text[start:end].strip(BLANK), end + 1


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not finite")
    return number
