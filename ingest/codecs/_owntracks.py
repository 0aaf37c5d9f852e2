"""OwnTracks messages other than locations: what they must hold, after the project's schema; what is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest import fields

#: kind -> what it must have. The schema asks more of a transition (acc, wtst), which nobody needs to know
#: that somebody has entered a zone
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "beacon": (),
    "card": (),
    "cmd": ("action",),
    "configuration": (),
    "dump": (),
    "lwt": ("tst",),
    "request": ("request",),
    "status": (),
    "steps": ("from", "steps", "to", "tst"),
    "transition": ("event", "tst"),
    "waypoint": (),
    "waypoints": (),
}
NUMBERS = ("acc", "distance", "floorsdown", "floorsup", "from", "rad", "rssi", "steps", "to", "wtst")
WORDS: Mapping[str, frozenset[str]] = {
    "event": frozenset(("enter", "leave")),
    "request": frozenset(("tour", "tours", "untour")),
    "action": frozenset(
        ("action", "clearWaypoints", "dump", "reportLocation", "reportSteps", "response", "setConfiguration",
         "setWaypoints", "status", "waypoints")
    ),
}  # fmt: skip
BASE64 = re.compile(r"[-A-Za-z0-9+/]*={0,3}")

#: kind -> the fields that tell in few words what it is about
ABOUT: Mapping[str, tuple[str, ...]] = {
    "beacon": ("desc", "uuid", "major", "minor"),
    "card": ("name",),
    "cmd": ("action",),
    "request": ("request",),
    "transition": ("event", "desc"),
    "waypoint": ("desc", "rid"),
}
ABOUT_LENGTH = 200
#: what belongs to the sending: a second send may differ in it
SENDING = frozenset(("_type", "_id", "created_at"))
#: a phone's configuration holds its passwords and keys
CONFIGURED = ("cmd", "configuration", "dump")
SECRET = re.compile("pass|secret|key", re.IGNORECASE)


def checked(message: Mapping[str, object]) -> str:
    """Return the kind of the message; ValueError says what of it is missing or wrong."""
    kind = message.get("_type")
    if not isinstance(kind, str) or kind not in REQUIRED:
        raise ValueError(f"_type: {fields.quoted(kind)} is no type of an OwnTracks message")
    for name in REQUIRED[kind]:
        if message.get(name) is None:
            raise ValueError(f"{name} is missing")
    for name in NUMBERS:
        fields.optional_number(message, name)
    for name, words in WORDS.items():
        if name in message and message[name] not in tuple(words):
            raise ValueError(f"{name}: {fields.quoted(message[name])} is none of {', '.join(sorted(words))}")
    if kind == "card" and not BASE64.fullmatch(fields.text(message, "face", "")):
        raise ValueError(f"face: {fields.quoted(message['face'])} is no base64")
    return kind


def about(kind: str, message: Mapping[str, object]) -> str:
    """Return in few words what the message is about, which also tells it from others of its kind and time."""
    said = (message.get(name) for name in ABOUT.get(kind, ()))
    return " ".join(str(word) for word in said if word is not None)[:ABOUT_LENGTH]


def body(kind: str, message: Mapping[str, object]) -> Mapping[str, object]:
    """Return what is kept of the message: all but what belongs to the sending, with secrets blotted out."""
    kept = {name: value for name, value in message.items() if name not in SENDING}
    return _blotted(kept) if kind in CONFIGURED else kept


def _blotted(said: Mapping[str, object]) -> Mapping[str, object]:
    return {
        name: "***" if isinstance(value, str) and SECRET.search(name)
        else _blotted(value) if isinstance(value, dict)
        else value
        for name, value in said.items()
    }  # fmt: skip
