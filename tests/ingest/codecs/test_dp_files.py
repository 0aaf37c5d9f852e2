"""Files on `$dp`: described and behind a frame, and raw GNSS observations in the JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.codecs import dp
from ingest.decoded import Decoded, StationFile

NOW = datetime(2026, 8, 12, tzinfo=UTC)
ABOUT = {"did": "70000001", "ds_id": "L4_SP_1", "file_type": "png", "at": "2026-08-11T22:10:00.000Z",
         "desc": "0-2-5"}  # fmt: skip
AT = datetime(2026, 8, 11, 22, 10, tzinfo=UTC)


def frame(body: object, data: bytes, kind: int = 3) -> bytes:
    text = json.dumps(body).encode()
    return bytes([kind]) + len(text).to_bytes(2, "big") + text + len(data).to_bytes(2, "big") + data


def decode(payload: bytes) -> Decoded:
    return dp.decode("$dp", payload, NOW)


@pytest.mark.parametrize("kind", [3, 5, 0x83])
def test_a_described_file_in_both_numberings(kind: int) -> None:
    decoded = decode(frame(ABOUT, b"\x89PNG\0", kind))
    assert decoded == Decoded(
        device="70000001",
        files=(
            StationFile(
                thing="70000001", name="L4_SP_1", media_type="image/png", at=AT, description="0-2-5",
                data=b"\x89PNG\0",
            ),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "media_type"),
    [
        ("jpg", "image/jpeg"),
        (".JPEG", "image/jpeg"),
        ("mp4", "video/mp4"),
        ("", "application/octet-stream"),
        ("rtcm3", "application/x-rtcm3"),
    ],
)
def test_what_kind_of_file_it_is_stays_known(written: str, media_type: str) -> None:
    [file] = decode(frame({**ABOUT, "file_type": written}, b"x")).files
    assert file.media_type == media_type


def test_a_file_without_a_time_and_the_largest_one() -> None:
    [file] = decode(frame({"did": "70000001", "ds_id": "log"}, bytes(65_535))).files
    assert (file.at, file.description, len(file.data)) == (None, "", 65_535)


@pytest.mark.parametrize(
    ("about", "data", "reason"),
    [
        (ABOUT, b"", "'L4_SP_1': the bytes of the file are missing behind its description"),
        ({**ABOUT, "did": None}, b"x", "did is missing"),
        ({**ABOUT, "ds_id": 7}, b"x", "ds_id: 7 is no text"),
        ({**ABOUT, "ds_id": ""}, b"x", "a file without a name"),
        ({**ABOUT, "ds_id": "a\0b"}, b"x", "the name of a file has at most 200 printable characters"),
        (
            {**ABOUT, "desc": "d" * 201},
            b"x",
            "the description of a file has at most 200 printable characters",
        ),
        ({**ABOUT, "at": "yesterday"}, b"x", "at: 'yesterday' is no time as in"),
        ({**ABOUT, "file_type": "../x"}, b"x", "file_type: '../x' is no ending of a file's name"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(about: object, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        decode(frame(about, data))


def test_bytes_behind_results_belong_to_their_device() -> None:
    decoded = decode(frame({"70000001": {"L1_LF_1": 4.5}}, b"\1\2"))
    assert [r.result for r in decoded.readings] == [4.5]
    [file] = decoded.files
    assert (file.thing, file.name, file.data) == ("70000001", "file", b"\1\2")


def test_raw_gnss_observations_are_a_file_beside_the_solved_ones() -> None:
    raw = "D300133ED00003"
    values = {"2026-08-11T22:10:00.000Z": {"gpsInitial": raw, "gpsTotalX": 1.5}}
    decoded = decode(frame({"70000001": {"L1_GP_1": values}}, b"", 2))
    assert [(r.datastream, r.result) for r in decoded.readings] == [("L1_GP_1/gpsTotalX", 1.5)]
    assert decoded.problems == ()
    name, text = "L1_GP_1/gpsInitial", raw.encode()
    expected = StationFile(thing="70000001", name=name, media_type="text/plain", at=AT, data=text)
    assert decoded.files == (expected,)
    [same] = decode(frame({"70000001": {"L1_GP_1": f"{raw},1.5,,"}}, b"", 1)).files
    assert (same.data, same.at) == (text, None), "by place it is the first of four"
    assert decode(frame({"70000001": {"L1_GP_1": {"gpsInitial": ""}}}, b"", 1)).files == ()


def test_published_file_frames(data: Path) -> None:
    lines = (data / "stations/dp_file_frames.jsonl").read_text().splitlines()
    sample, block = (json.loads(line) for line in lines if line.strip())
    for form in ("frame_new_hex", "frame_old_hex"):
        [file] = decode(bytes.fromhex(sample[form])).files
        assert file == StationFile(
            thing="device-file-1",
            name="camera-image",
            media_type="image/jpeg",
            at=datetime(2018, 8, 2, 10, 52, 32, 449_000, tzinfo=UTC),
            description="0-1-256",
            data=bytes.fromhex(sample["file_hex"]),
        )
    # a block of firmware goes the other way; when a station sends one back, its bytes are kept as they are
    [echo] = decode(
        frame({**ABOUT, "ds_id": "firmware", "file_type": "bin"}, bytes.fromhex(block["file_hex"]))
    ).files
    assert echo.data.hex() == block["file_hex"]
