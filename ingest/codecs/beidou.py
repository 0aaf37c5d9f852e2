"""Short messages of national stations over Beidou: any payload of `$dp` as JSON, in the letters of annex F.

JSON (UTF-8) becomes hexadecimal digits, upper case, and each digit the letter of a table: a substitution, no
encryption. Source: the table in longge219/zods_baseplatform (annex F of DZ/T 0450-2023 is not public); only
its sixteen digits can occur. `+` in the topic is the receiving card or gateway.
"""

from __future__ import annotations

from datetime import datetime

from domain import wire
from ingest.codecs import dp
from ingest.decoded import Decoded

TOPIC = "http/beidou/+"

DIGITS, LETTERS = b"0123456789ABCDEF", rb"!{W];)t8" + rb'"Bei(G\?'
TABLE = bytes.maketrans(LETTERS, DIGITS)


def decode(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Read one message; ValueError: a letter is none of annex F, or what `dp.decode` says of the JSON."""
    wire.check_size(payload)
    text = payload.strip()
    if strange := text.translate(None, LETTERS)[:20]:
        raise ValueError(f"no Beidou text: {str(strange)[1:]} are no letters of annex F")
    if len(text) % 2:
        raise ValueError(f"no Beidou text: {len(text)} letters are no whole bytes, the message is cut off")
    return dp.decode(dp.TOPIC, bytes.fromhex(text.translate(TABLE).decode()), received_at)
