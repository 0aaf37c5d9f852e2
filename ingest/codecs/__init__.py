"""One module per payload format, found by being in this folder.

A codec has `TOPIC`, the MQTT filter of its messages or several of them, and
`decode(topic, payload, received_at) -> Decoded`, which raises ValueError when it can read nothing of the
payload. What comes by HTTP or TCP has a topic too, below `http/` or `tcp/`: quarantine and all else treat it
alike. A module whose name begins with `_` is a part of codecs, and none itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib import import_module
from pkgutil import iter_modules

from domain.settings import Settings
from ingest.codecs import _dp_wrapped
from ingest.decoded import Decode, Decoded

log = logging.getLogger(__name__)

#: topics that no broker has: of what comes by other doors
PSEUDO = ("http/", "tcp/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One payload format: its name, the MQTT filters of its messages, and the function that reads one."""

    name: str
    topics: tuple[str, ...]
    decode: Decode

    def filter_of(self, topic: str) -> str | None:
        """Return the filter that the topic matches."""
        return next((each for each in self.topics if matches(each, topic)), None)


@cache
def load(package: str = __name__) -> dict[str, Codec]:
    """Return the codecs of the package by name; TypeError for a module that is none, or repeats a TOPIC."""
    codecs: dict[str, Codec] = {}
    for found in iter_modules(import_module(package).__path__):
        if found.name.startswith("_"):
            continue
        module = import_module(f"{package}.{found.name}")
        topic, decode = getattr(module, "TOPIC", None), getattr(module, "decode", None)
        topics = (topic,) if isinstance(topic, str) else topic
        if not isinstance(topics, tuple) or not topics or not callable(decode):
            raise TypeError(f"{module.__file__} is no codec: it needs TOPIC (MQTT filters) and decode()")
        if same := [codec.name for codec in codecs.values() if set(codec.topics) & set(topics)]:
            raise TypeError(f"{module.__file__}: TOPIC {topic} is taken by {same[0]}")
        codecs[found.name] = Codec(name=found.name, topics=topics, decode=decode)
    return codecs


def configure(settings: Settings) -> None:
    """Give the codecs what they must know of the settings; ValueError names the one that cannot be used."""
    _dp_wrapped.configure(settings.station_keys)


@lru_cache(maxsize=100_000)
def codec_of(topic: str) -> Codec | None:
    """Return the codec for messages on this topic, None when there is none."""
    return next((codec for codec in load().values() if codec.filter_of(topic)), None)


def read(topic: str, payload: bytes, received_at: datetime) -> Decoded:
    """Return what the payload holds; when nothing of it can be read, its problems say why."""
    codec = codec_of(topic)
    if codec is None:
        return Decoded(problems=(f"no codec reads the topic {topic}",))
    try:
        return codec.decode(topic, payload, received_at)
    except ValueError as error:
        problem = str(error)
    except Exception as error:  # the codec is at fault; its payload must not stop the others
        log.exception("codec %s failed", codec.name)
        problem = f"codec {codec.name} failed: {error!r}"
    return Decoded(device=sender_in(codec.filter_of(topic) or "", topic), problems=(problem,))


def sender_in(pattern: str, topic: str) -> str:
    """Return what stands in the topic for the wildcards of the filter: whoever sends on such topics."""
    pairs = zip(pattern.split("/"), topic.split("/"), strict=False)
    return "/".join(level for wanted, level in pairs if wanted == "+")


def matches(pattern: str, topic: str) -> bool:
    """Tell whether the topic matches the MQTT filter (3.1.1, section 4.7)."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[0] in ("+", "#") and topic.startswith("$"):
        return False
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        w in ("+", level) for w, level in zip(wanted, levels, strict=True)
    )
