"""Files of national stations: what stands behind the JSON of a frame, and is described by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC

from ingest import fields
from ingest.decoded import StationFile

#: file_type of a description -> media type (IANA); others become application/x-<file_type>
MEDIA_TYPES: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "amr": "audio/AMR",
    "txt": "text/plain",
    "json": "application/json",
    "zip": "application/zip",
    "bin": "application/octet-stream",
    "": "application/octet-stream",
}

FILE_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}", re.ASCII)


def described(description: Mapping[str, object], data: bytes) -> StationFile:
    """Return the file with its description: did, ds_id, file_type, at, desc (all but the first two may miss).

    `desc` looks like index-total-size of a part, which no public source confirms: parts stay as they came.
    ValueError: the description or the file itself is missing, or cannot be used.
    """
    name = fields.text(description, "ds_id")
    if not data:
        raise ValueError(f"{fields.quoted(name)}: the bytes of the file are missing behind its description")
    at = fields.text(description, "at", "")
    return StationFile(
        thing=fields.text(description, "did"),
        name=name,
        media_type=_media_type(fields.text(description, "file_type", "")),
        at=fields.time_of(at, "at", UTC) if at else None,
        description=fields.text(description, "desc", ""),
        data=data,
    )


def behind(devices: Mapping[str, object], data: bytes) -> StationFile:
    """Return the file that stands behind results, which tell at least whose it is; ValueError for several."""
    if len(devices) != 1:
        raise ValueError(
            f"a file of {len(data)} bytes behind {len(devices)} devices: nobody says whose it is"
        )
    return StationFile(thing=next(iter(devices)), name="file", media_type=MEDIA_TYPES[""], at=None, data=data)


def _media_type(written: str) -> str:
    name = written.strip().lower().removeprefix(".")
    if name in MEDIA_TYPES:
        return MEDIA_TYPES[name]
    if not FILE_TYPE.fullmatch(name):
        raise ValueError(f"file_type: {fields.quoted(written)} is no ending of a file's name, such as jpg")
    return f"application/x-{name}"
