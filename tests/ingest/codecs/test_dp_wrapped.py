"""Encrypted messages on `$dp`: ciphers by the vectors of their standards, messages made here, wrong keys."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.padding import PKCS7

from domain.settings import Settings
from ingest.codecs import _dp_wrapped, configure, dp, read

NOW = datetime(2026, 8, 12, tzinfo=UTC)
INNER = b'{"70000001":{"L1_LF_1":4.5}}'
FRAME = b"\x01" + len(INNER).to_bytes(2, "big") + INNER

AES_128 = "2b7e151628aed2a6abf7158809cf4f3c"
AES_192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
AES_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
IV = "000102030405060708090a0b0c0d0e0f"
BLOCK = "6bc1bee22e409f96e93d7e117393172a"
TDEA = "0123456789abcdef23456789abcdef01456789abcdef0123"


@pytest.fixture(autouse=True)
def none() -> Iterator[None]:
    """No test leaves its keys to another."""
    yield
    _dp_wrapped.KEYS.clear()


def use(**keys: object) -> None:
    configure(Settings(state=Path(), station_keys=json.dumps(keys)))


def wrapped(cipher: Cipher[Any], block_bits: int, frame: bytes = FRAME, app: str = "app") -> bytes:
    padder, encryptor = PKCS7(block_bits).padder(), cipher.encryptor()
    data = encryptor.update(padder.update(frame) + padder.finalize()) + encryptor.finalize()
    return outer(base64.encodebytes(data).decode(), app)


def outer(body: object, app: str = "app") -> bytes:
    text = json.dumps({"header": {"appId": app}, "bodies": {"body": body}}).encode()
    return b"\x02" + len(text).to_bytes(2, "big") + text


@pytest.mark.parametrize(
    ("cipher", "key", "iv", "encrypted", "plain"),
    [
        # FIPS 197, appendix C.1 and C.3
        ("AES-ECB", "000102030405060708090a0b0c0d0e0f", "", "69c4e0d86a7b0430d8cdb78070b4c55a",
         "00112233445566778899aabbccddeeff"),
        ("AES-256-ECB", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "",
         "8ea2b7ca516745bfeafc49904b496089", "00112233445566778899aabbccddeeff"),
        # NIST SP 800-38A, F.1.2, F.1.4, F.1.6 (ECB), F.2.2, F.2.6 (CBC): the first block
        ("AES-128-ECB", AES_128, "", "3ad77bb40d7a3660a89ecaf32466ef97", BLOCK),
        ("AES-192-ECB", AES_192, "", "bd334f1d6e45f25ff712a214571fa5cc", BLOCK),
        ("AES-256-ECB", AES_256, "", "f3eed1bdb5d2a03c064b5a7e3db181f8", BLOCK),
        ("AES-CBC", AES_128, IV, "7649abac8119b246cee98e9b12e9197d", BLOCK),
        ("AES-256-CBC", AES_256, IV, "f58c4c04d6e5f1ba779eabfb5f7bfbd6", BLOCK),
        # NIST SP 800-67, appendix B.1
        ("3DES-ECB", TDEA, "", "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900",
         b"The qufck brown fox jump".hex()),
        # NBS SP 500-20, the first of the variable plaintext known answers
        ("DES-ECB", "0101010101010101", "", "95f8a5e5dd31d900", "8000000000000000"),
    ],
)  # fmt: skip
def test_the_ciphers_are_those_of_the_standards(
    cipher: str, key: str, iv: str, encrypted: str, plain: str
) -> None:
    use(app={"cipher": cipher, "key": key, "iv": iv})
    assert _dp_wrapped.decrypt(_dp_wrapped.KEYS["app"], bytes.fromhex(encrypted)).hex() == plain


@pytest.mark.parametrize(
    "entry",
    [
        {"cipher": "AES-128-ECB", "key": AES_128},
        {"cipher": "AES-CBC", "key": AES_256, "iv": IV},
        {"cipher": "3DES-CBC", "key": TDEA[:32], "iv": IV[:16]},
        {"cipher": "DES-ECB", "key": TDEA[:16]},
    ],
    ids=lambda entry: entry["cipher"],
)
def test_what_a_key_opens_is_read_as_if_it_were_open(entry: dict[str, str]) -> None:
    in_base64 = {
        name: base64.b64encode(bytes.fromhex(value)).decode()
        for name, value in entry.items()
        if name != "cipher"
    }
    use(app=entry, other={**entry, **in_base64})
    [key, same] = _dp_wrapped.KEYS.values()
    for app, made in (("app", same), ("other", key)):
        payload = wrapped(made.cipher, made.block_bits, app=app)
        assert dp.decode("$dp", payload, NOW) == dp.decode("$dp", FRAME, NOW)
        assert dp.decode("$dp", payload[3:], NOW) == dp.decode("$dp", INNER, NOW), "bare"


def test_a_file_may_be_encrypted() -> None:
    use(app={"cipher": "AES-ECB", "key": AES_128})
    [key] = _dp_wrapped.KEYS.values()
    about = b'{"did":"70000001","ds_id":"photo"}'
    inner = b"\x03" + len(about).to_bytes(2, "big") + about + b"\0\2\7\7"
    [file] = dp.decode("$dp", wrapped(key.cipher, key.block_bits, inner), NOW).files
    assert (file.thing, file.data) == ("70000001", b"\7\7")


def test_a_wrong_key_is_told() -> None:
    use(app={"cipher": "AES-ECB", "key": AES_128})
    [right] = _dp_wrapped.KEYS.values()
    payload = wrapped(right.cipher, right.block_bits)
    # the paddings of 256 wrong keys: about one looks right, and then the frame does not
    reasons = set()
    for number in range(600):
        use(app={"cipher": "AES-ECB", "key": f"{number:032x}"})
        [problem] = read("$dp", payload, NOW).problems
        reasons.add(re.sub(r"begins with .*|broken frame.*|byte 0x.*", "…", problem))
    assert "appId app: its key in LIUPAN_STATION_KEYS does not decrypt this body" in reasons
    others = {reason for reason in reasons if "does not decrypt" not in reason}
    assert all(reason.startswith("appId app: decrypted, but is it the right key? ") for reason in others)
    assert others


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (outer("eA==", "62000009"), "no decryptor for appId 62000009: ask its vendor, and set"),
        (outer("eA=="), "appId app: its key in LIUPAN_STATION_KEYS does not decrypt this body"),
        (outer(""), "appId app: its key in LIUPAN_STATION_KEYS does not decrypt this body"),
        (outer("x"), "appId app: the body is no base64"),
        (outer("裂缝"), "appId app: the body is no base64"),
        (outer(None), "body is missing"),
        (outer("eA==") + b"\0\1x", "appId app: 1 bytes stand behind the encrypted message, where none may"),
        (b'{"header":{"appId":"app"},"bodies":7}', "expected a JSON object, got 7"),
    ],
)  # fmt: skip
def test_what_cannot_be_decrypted_says_why(payload: bytes, reason: str) -> None:
    use(app={"cipher": "AES-ECB", "key": AES_128})
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        dp.decode("$dp", payload, NOW)


def test_an_encrypted_message_in_another_is_none() -> None:
    use(app={"cipher": "AES-ECB", "key": AES_128})
    [key] = _dp_wrapped.KEYS.values()
    twice = wrapped(key.cipher, key.block_bits, wrapped(key.cipher, key.block_bits))
    decoded = read("$dp", twice, NOW)
    assert decoded.readings == ()
    assert "encrypted twice" in decoded.problems[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "LIUPAN_STATION_KEYS: not JSON"),
        ('{"a":"secret"}', "LIUPAN_STATION_KEYS, appId 'a': expected {\"cipher\": ..., \"key\": ...}"),
        ('{"a":{}}', "LIUPAN_STATION_KEYS, appId 'a': cipher is missing"),
        ('{"a":{"cipher":"RC4"}}', "cipher 'RC4' is none such as AES-128-ECB"),
        ('{"a":{"cipher":"AES-ECB"}}', "key is missing, or no text"),
        ('{"a":{"cipher":"AES-ECB","key":"secret key"}}', "key is neither hexadecimal nor base64"),
        ('{"a":{"cipher":"AES-ECB","key":"00ff"}}', "a key of 2 bytes does not fit AES-ECB"),
        (json.dumps({"a": {"cipher": "AES-256-ECB", "key": AES_128}}), "a key of 16 bytes does not fit"),
        (json.dumps({"a": {"cipher": "AES-CBC", "key": AES_128}}), "iv is missing, or no text"),
        (json.dumps({"a": {"cipher": "AES-CBC", "key": AES_128, "iv": "00"}}), "an iv of 1 bytes does"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_told_and_none_is_shown(text: str, reason: str) -> None:
    use(app={"cipher": "AES-ECB", "key": AES_128})
    with pytest.raises(ValueError, match=re.escape(reason)) as told:
        configure(Settings(state=Path(), station_keys=text))
    assert str(told.value).startswith("LIUPAN_STATION_KEYS")
    assert AES_128 not in str(told.value)
    assert "secret" not in str(told.value)
    assert list(_dp_wrapped.KEYS) == ["app"], "the keys of before stay"


def test_keys_are_not_shown_with_the_settings() -> None:
    assert AES_128 not in repr(Settings(state=Path(), station_keys=json.dumps({"a": AES_128})))
    assert Settings.from_env({"LIUPAN_STATION_KEYS": "{}"}).station_keys == "{}"


def test_the_published_message_has_no_key(data: Path) -> None:
    sample = json.loads((data / "stations/dp_wrapped_bare.jsonl").read_text().splitlines()[0])
    with pytest.raises(ValueError, match="no decryptor for appId 62000001"):
        dp.decode("$dp", sample["json"].encode(), NOW)
