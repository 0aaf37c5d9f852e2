"""Messages for a load, said to the broker at QoS 1 with as little work as can be.

A client library spends on each message about what the platform under test spends on it; on the same two
cores it would be measured instead. Here the packets (MQTT 3.1.1, sections 3.1 to 3.4) are made before the
load begins.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote

from domain.wire import DOWN

#: messages on their way to the broker at a time
IN_FLIGHT = 5000
#: time between two bursts of a steady rate (s)
TICK_S = 0.005
PATIENCE_S = 20.0

CONNECT, PUBLISH, PUBLISH_QOS1, SUBSCRIBE, SUBACK = 0x10, 0x30, 0x32, 0x82, 0x90
PUBACK, DISCONNECT = b"\x40\x02", b"\xe0\x00"
CONNACK_SIZE, PUBACK_KIND = 4, 0x40


class Packet(NamedTuple):
    """One message as it goes to the broker, how many results are in it, and what it wants to be told when it
    is stored: how many results were said by then (0: nothing).
    """

    results: int
    data: bytes
    marker: int = 0


def packets(messages: Iterable[tuple[int, tuple[str, bytes]]], mark_every: int = 0) -> list[Packet]:
    """Return the packets of messages, given as (results in it, (topic, payload of one JSON object)).

    Each so-manieth (0: none) gets an id, upon which ingest says that it is stored.
    """
    made, said = [], 0
    for number, (results, (topic, payload)) in enumerate(messages, 1):
        said += results
        marker = said if mark_every and number % mark_every == 0 else 0
        whole = b'{"id":"%d",' % said + payload[1:] if marker else payload
        made.append(Packet(results, _publish(topic, whole, 1 + number % 0xFFFF), marker))
    return made


def speak(
    broker: SplitResult,
    client_id: str,
    said: Sequence[Packet],
    due: Callable[[float, int], float],
    seconds: float,
) -> Spoken:
    """Say the packets for so many seconds at most; return how much was said and stored, and when.

    `due(spent_s, stored)` tells how many results may have been said by now. What ingest has stored is known
    from its `stored` messages: a packet that asks for one has the number of results so far as its id.
    ConnectionError: the broker refuses, or does not acknowledge for 20 s.
    """
    with connected(broker, client_id) as sock:
        _subscribe(sock, f"{DOWN}/+/stored")
        hearing, began = _Hearing(), time.monotonic()
        results, sent = 0, 0
        while sent < len(said) and (spent_s := time.monotonic() - began) < seconds:
            allowed, first = due(spent_s, hearing.stored), sent
            while sent < len(said) and results <= allowed and sent - hearing.acknowledged < IN_FLIGHT:
                results += said[sent].results
                sent += 1
            if sent > first:
                sock.sendall(b"".join(packet.data for packet in said[first:sent]))
            hearing.hear(sock, TICK_S)
            if results > allowed:
                time.sleep(TICK_S)
        last, asked = time.monotonic(), max((p.marker for p in said[:sent]), default=0)
        while hearing.acknowledged < sent or hearing.stored < asked:
            hearing.hear(sock, TICK_S)
            if time.monotonic() - last > PATIENCE_S:
                missing = sent - hearing.acknowledged
                raise ConnectionError(
                    f"{missing} messages are not acknowledged, {asked - hearing.stored} not stored"
                )
        sock.sendall(DISCONNECT)
    return Spoken(said=results, stored=hearing.stored, seconds=hearing.last_s - began)


class Spoken(NamedTuple):
    """How many results were said, how many of them stored when last heard, and after how many seconds."""

    said: int
    stored: int
    seconds: float


@dataclass(slots=True)
class _Hearing:
    """What the broker has answered so far: acknowledgements, and how many results are stored."""

    acknowledged: int = 0
    stored: int = 0
    last_s: float = 0.0
    rest: bytearray = field(default_factory=bytearray)

    def hear(self, sock: socket.socket, patience_s: float) -> None:
        """Read what has come, waiting so long for something."""
        if not select.select([sock], [], [], patience_s)[0]:
            return
        if not (data := sock.recv(1 << 16)):
            raise ConnectionError("the broker has hung up")
        self.rest += data
        read = 0
        for kind, begin, end in _packets_in(self.rest):
            read = end
            if kind == PUBACK_KIND:
                self.acknowledged += 1
            elif kind & 0xF0 == PUBLISH:
                body = self.rest[begin:end]
                name_length = int.from_bytes(body[:2], "big")
                packet_id, payload = body[2 + name_length : 4 + name_length], body[4 + name_length :]
                sock.sendall(PUBACK + packet_id)
                name = str(json.loads(payload)["id"])
                self.stored = max(self.stored, int(name) if name.isdigit() else 0)  # others ask too
                self.last_s = time.monotonic()
        del self.rest[:read]


def _subscribe(sock: socket.socket, topic: str) -> None:
    name = _text(topic)
    sock.sendall(bytes((SUBSCRIBE,)) + _length(len(name) + 3) + b"\0\1" + name + b"\1")


def listen(broker: SplitResult, client_id: str, topic: str, ready: Callable[[], None]) -> Iterator[int]:
    """Subscribe at QoS 1, acknowledge what comes, and yield how many messages came after each read."""
    with connected(broker, client_id) as sock:
        _subscribe(sock, topic)
        waiting, heard, told = bytearray(), 0, False
        while data := sock.recv(1 << 18):
            waiting += data
            ids, read = [], 0
            for kind, begin, end in _packets_in(waiting):
                read = end
                if kind == SUBACK and not told:
                    told = True
                    ready()
                elif kind & 0xF0 == PUBLISH:
                    name_length = int.from_bytes(waiting[begin : begin + 2], "big")
                    ids.append(bytes(waiting[begin + 2 + name_length : begin + 4 + name_length]))
            del waiting[:read]
            if ids:
                sock.sendall(b"".join(PUBACK + each for each in ids))
                heard += len(ids)
                yield heard


def _packets_in(data: bytearray) -> Iterator[tuple[int, int, int]]:
    """Yield the kind, the begin of the body and the end of each whole packet."""
    end = 0
    while end + 2 <= len(data):
        size, shift, place = 0, 0, end + 1
        while place < len(data) and data[place] & 0x80:
            size |= (data[place] & 0x7F) << shift
            shift, place = shift + 7, place + 1
        if place >= len(data):
            return
        size |= data[place] << shift
        begin, kind = place + 1, data[end]
        if begin + size > len(data):
            return
        end = begin + size
        yield kind, begin, end


@contextmanager
def connected(broker: SplitResult, client_id: str) -> Iterator[socket.socket]:
    """Yield a connection on which the broker has said yes; ConnectionError when it does not."""
    user, password = (unquote(part or "") for part in (broker.username, broker.password))
    flags = 0x02 | (0x80 if user else 0) | (0x40 if password else 0)  # clean session, user name, password
    names = [client_id, *filter(None, (user, password))]
    body = _text("MQTT") + bytes((4, flags, 0, 0)) + b"".join(map(_text, names))
    with socket.create_connection((broker.hostname or "", broker.port or 1883)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(bytes((CONNECT,)) + _length(len(body)) + body)
        if sock.recv(CONNACK_SIZE, socket.MSG_WAITALL)[-1:] != b"\0":
            raise ConnectionError("the broker refuses the connection")
        yield sock


def _publish(topic: str, payload: bytes, packet_id: int) -> bytes:
    name = _text(topic)
    return b"".join((bytes((PUBLISH_QOS1,)), _length(len(name) + 2 + len(payload)), name,
                     packet_id.to_bytes(2, "big"), payload))  # fmt: skip


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    digits = bytearray()
    while size > 0x7F:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*digits, size))
