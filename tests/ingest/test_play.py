"""Saying messages when they are due, over a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from ingest.play import Line, Message, Script, connect, play


def nothing(topic: str, payload: bytes, now: datetime) -> Script:
    return iter(())


def messages(topic: str, *delays_s: float) -> Iterator[Message]:
    began = datetime.now(UTC)
    for number, delay in enumerate(delays_s):
        yield Message(at=began + timedelta(seconds=delay), topic=topic, payload=str(number).encode())


def heard(line: Line, count: int) -> list[bytes]:
    return [line.heard.get(timeout=5)[1] for _ in range(count)]


def test_everything_is_said_in_order_and_taken_by_the_broker(broker: str) -> None:
    listener = connect(urlsplit(broker), "play-listener-1", ["play/1/#"])
    speaker = connect(urlsplit(broker), "play-speaker-1")
    play(speaker, [messages("play/1/a", *[0.0] * 2000)], nothing)
    speaker.close()
    assert speaker.said == speaker.taken == 2000
    assert heard(listener, 2000) == [str(number).encode() for number in range(2000)]
    listener.close()


def test_messages_wait_until_they_are_due_and_scripts_mix(broker: str) -> None:
    listener = connect(urlsplit(broker), "play-listener-2", ["play/2/#"])
    speaker = connect(urlsplit(broker), "play-speaker-2")
    began = time.monotonic()
    play(speaker, [messages("play/2/a", 0.0, 0.6), messages("play/2/b", 0.3)], nothing)
    assert time.monotonic() - began >= 0.6
    topics = [listener.heard.get(timeout=5)[0] for _ in range(3)]
    assert topics == ["play/2/a", "play/2/b", "play/2/a"]
    speaker.close()
    listener.close()


def test_answers_join_the_scripts_and_keep_the_play_going(broker: str) -> None:
    speaker = connect(urlsplit(broker), "play-speaker-3", ["play/3/ask", "play/3/answer"])
    told = []

    def react(topic: str, payload: bytes, now: datetime) -> Script:
        told.append(topic)
        if topic.endswith("ask"):
            yield Message(at=now + timedelta(seconds=0.2), topic="play/3/answer", payload=b"yes")

    play(speaker, [messages("play/3/ask", 0.0)], react, linger_s=1.0)
    assert told == ["play/3/ask", "play/3/answer"]
    speaker.close()


def test_broker_that_is_not_there_is_named() -> None:
    with pytest.raises(ConnectionError, match=r"no broker answers at 127\.0\.0\.1:1:"):
        connect(urlsplit("mqtt://127.0.0.1:1"), "play-nobody")
