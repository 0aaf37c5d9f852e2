"""Encrypted messages of national stations: {"header": {"appId"}, "bodies": {"body": base64}}.

A vendor's key (LIUPAN_STATION_KEYS) decrypts the body to a second frame. Vendors name AES, DES and 3DES;
modes and keys are theirs to tell. Padding is PKCS #7 (RFC 5652, 6.3). Nothing here proves who encrypted: a
body that the key opens is read, as an open one is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from domain import wire
from ingest import fields


class Key(NamedTuple):
    """What decrypts the messages of one appId, and the size of its blocks (bits)."""

    cipher: Cipher[Any]
    block_bits: int


#: appId -> key, as `configure` took them
KEYS: dict[str, Key] = {}

#: <algorithm>[-<size of the key in bits>]-<mode>
CIPHER = re.compile(r"(AES|3DES|DES)(?:-(\d+))?-(ECB|CBC)", re.ASCII)
HEX = re.compile(r"([0-9a-fA-F]{2})+", re.ASCII)
#: lengths of a key (bytes), and the algorithm; DES is 3DES with one key thrice, 112 bits repeat the first
ALGORITHMS: Mapping[str, tuple[tuple[int, ...], Callable[[bytes], BlockCipherAlgorithm]]] = {
    "AES": ((16, 24, 32), algorithms.AES),
    "3DES": ((16, 24), lambda key: TripleDES((key + key[:8])[:24])),
    "DES": ((8,), lambda key: TripleDES(key * 3)),
}


def configure(text: str) -> None:
    """Take the keys in place of those before; the form stands at `Settings.station_keys`.

    ValueError says what is wrong with them, and tells none.
    """
    keys, place = {}, "LIUPAN_STATION_KEYS"
    try:
        for app, entry in (wire.decode(text.encode()) if text else {}).items():
            place = f"LIUPAN_STATION_KEYS, appId {fields.quoted(app)}"
            if not isinstance(entry, dict):  # a key alone, perhaps: not to be quoted
                raise ValueError('expected {"cipher": ..., "key": ...}')
            keys[app] = _key(entry)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    KEYS.clear()
    KEYS.update(keys)


def app_of(message: Mapping[str, object]) -> str | None:
    """Return the appId that an encrypted message is of, None when the message is not encrypted."""
    header = message.get("header")
    if not isinstance(header, dict) or "bodies" not in message:
        return None
    return str(fields.quoted(header.get("appId"))).strip("'")


def unwrap(app: str, message: Mapping[str, object]) -> bytes:
    """Return the frame in an encrypted message; ValueError: there is no key for it, or a wrong one."""
    if app not in KEYS:
        raise ValueError(f"no decryptor for appId {app}: ask its vendor, and set LIUPAN_STATION_KEYS")
    written = fields.text(fields.mapping(message["bodies"]), "body")
    try:
        data = base64.b64decode("".join(written.split()), validate=True)
    except ValueError:
        raise ValueError(f"appId {app}: the body is no base64") from None
    key = KEYS[app]
    unpadder = PKCS7(key.block_bits).unpadder()
    try:
        return unpadder.update(decrypt(key, data)) + unpadder.finalize()
    except ValueError:
        raise ValueError(f"appId {app}: its key in LIUPAN_STATION_KEYS does not decrypt this body") from None


def decrypt(key: Key, data: bytes) -> bytes:
    """Return whole blocks, decrypted, with their padding; ValueError when the last block is not whole."""
    decryptor = key.cipher.decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _key(entry: Mapping[str, object]) -> Key:
    name = fields.text(entry, "cipher")
    found = CIPHER.fullmatch(name)
    if not found:
        raise ValueError(
            f"cipher {fields.quoted(name)} is none such as AES-128-ECB, AES-CBC, 3DES-CBC or DES-ECB"
        )
    algorithm, bits, mode = found.groups()
    sizes, make = ALGORITHMS[algorithm]
    secret = _bytes(entry, "key")
    if len(secret) not in sizes or (bits and algorithm == "AES" and int(bits) != 8 * len(secret)):
        raise ValueError(f"a key of {len(secret)} bytes does not fit {name}")
    block = make(secret)
    if mode == "ECB":
        return Key(Cipher(block, modes.ECB()), block.block_size)  # noqa: S305 - the vendors' choice
    vector = _bytes(entry, "iv")
    if 8 * len(vector) != block.block_size:
        raise ValueError(
            f"an iv of {len(vector)} bytes does not fit {name}: {block.block_size // 8} are needed"
        )
    return Key(Cipher(block, modes.CBC(vector)), block.block_size)


def _bytes(entry: Mapping[str, object], name: str) -> bytes:
    """Return the bytes that are written in hexadecimal digits or, when they are none, in base64."""
    written = entry.get(name)
    if not isinstance(written, str):
        raise ValueError(f"{name} is missing, or no text")
    try:
        return bytes.fromhex(written) if HEX.fullmatch(written) else base64.b64decode(written, validate=True)
    except ValueError:
        raise ValueError(f"{name} is neither hexadecimal nor base64") from None
