"""Short messages of national stations over Beidou: any payload of `$dp` as JSON, in the letters of annex F.

JSON (UTF-8) becomes hexadecimal digits, upper case, and each digit the letter of a table: a substitution, no
encryption. Source: the table in longge219/zods_baseplatform (annex F of DZ/T 0450-2023 is not public); only
its sixteen digits can occur. `+` in the topic is the receiving card or gateway.
"""

from __future__ import annotations

from datetime import datetime

from ingest.codecs import dp
from ingest.decoded import Decoded

TOPIC = "http/beidou/+"

DIGITS, LETTERS = "0123456789ABCDEF", '!{W];)t8"Be' + r"i(G\?"
TABLE = str.maketrans(LETTERS, DIGITS)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one message; ValueError: a letter is none of annex F, or what `dp.decode` says of the JSON."""
    text = payload.decode("ascii", "backslashreplace").strip()
    if strange := sorted(set(text) - set(LETTERS)):
        raise ValueError(f"no Beidou text: {''.join(strange)[:20]!r} are no letters of annex F")
    if len(text) % 2:
        raise ValueError(f"no Beidou text: {len(text)} letters are no whole bytes, the message is cut off")
    return dp.decode(dp.TOPIC, bytes.fromhex(text.translate(TABLE)), received_at)
