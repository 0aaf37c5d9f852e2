"""The TCP door on its two sides: sockets here, the inbox there; what a connection may hold is bounded."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.settings import Settings
from ingest import lines, tcp
from ingest.codecs import _sl651_packets, szy206
from ingest.codecs._sl651_frame import parse
from ingest.inbox import Inbox, Incoming
from ingest.protocols import SL651
from ingest.store import ALL_KEPT
from tests.ingest.codecs.sl651_samples import CONFIRMED, REPORT, TEST, in_packets, picture, up

PATIENCE_S = 20


@pytest.fixture
def box() -> Inbox:
    return Inbox()


@pytest.fixture
def ports(box: Inbox, free_port: Callable[[], int]) -> Iterator[tuple[int, int]]:
    """The ports for SL651 and SZY206 of a door that fills `box`."""
    sl651, szy206 = free_port(), free_port()
    stop = threading.Event()
    job = tcp.serving(Settings(state=Path(), sl651_port=sl651, szy206_port=szy206), box)
    work = threading.Thread(target=job, args=(stop,))
    work.start()
    yield sl651, szy206
    stop.set()
    work.join(PATIENCE_S)
    assert not work.is_alive()


@contextmanager
def station(port: int) -> Iterator[socket.socket]:
    """A connection; made again until somebody listens."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.02)
    with sock:
        yield sock


def heard(sock: socket.socket, size: int) -> bytes:
    """Return the next bytes; fewer when the other side hangs up."""
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def is_cut_off(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def taken(box: Inbox) -> Incoming:
    return box.take(PATIENCE_S)


def nothing(sock: socket.socket) -> bool:
    sock.settimeout(0.3)
    try:
        return sock.recv(1) == b"never"
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE_S)


def test_the_answer_comes_when_it_is_stored(box: Inbox, ports: tuple[int, int]) -> None:
    with station(ports[0]) as sock:
        sock.sendall(REPORT[:25])
        assert nothing(sock)
        sock.sendall(REPORT[25:])
        incoming = taken(box)
        assert (incoming.topic, incoming.payload) == ("tcp/sl651/0011223344", REPORT)
        assert nothing(sock)
        incoming.done(ALL_KEPT)
        assert heard(sock, len(CONFIRMED)) == CONFIRMED


def test_a_station_that_hangs_up_or_closes_its_half(box: Inbox, ports: tuple[int, int]) -> None:
    with station(ports[0]) as sock:
        sock.sendall(REPORT)
    taken(box).done(ALL_KEPT)  # to nobody
    with station(ports[0]) as sock:
        sock.sendall(REPORT)
        sock.shutdown(socket.SHUT_WR)
        taken(box).done(ALL_KEPT)
        assert heard(sock, 1000) == CONFIRMED
    with station(ports[0]) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert is_cut_off(sock)


def test_garbage_is_passed_over_until_it_is_too_much(box: Inbox, ports: tuple[int, int]) -> None:
    with station(ports[0]) as sock:
        for _ in range(3):  # a frame now and then forgives it
            sock.sendall(b"+CSQ: 20\r\n" * 6000 + REPORT)
            assert taken(box).payload == REPORT
        sock.sendall(b"+CSQ: 20\r\n" * 7000)
        assert is_cut_off(sock)
    assert box.messages.empty()


def test_who_sends_broken_frames_only_is_cut_off(box: Inbox, ports: tuple[int, int]) -> None:
    bad = REPORT[:-1] + b"\0"
    with station(ports[0]) as sock:
        sock.sendall(bad * 9 + REPORT + bad * 9)
        sock.sendall(bad * 5)
        assert is_cut_off(sock)
    payloads = [taken(box).payload for _ in range(20)]
    assert payloads == [bad] * 9 + [REPORT] + [bad] * 10, "all that came until then is kept"
    assert box.messages.empty()


def test_the_silent_are_cut_off(box: Inbox, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with station(ports[0]) as sock:
        sock.sendall(REPORT)
        taken(box)
        monkeypatch.setattr(lines, "IDLE_S", 0.1)
        assert is_cut_off(sock)


def test_one_connection_too_many_takes_the_place_of_the_most_silent(
    box: Inbox, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINES", 2)
    with station(ports[0]) as first, station(ports[0]) as second:
        for sock in (second, first):
            sock.sendall(REPORT)
            taken(box).done(ALL_KEPT)
            assert heard(sock, len(CONFIRMED)) == CONFIRMED
        with station(ports[0]) as third:
            assert is_cut_off(second)
            for sock in (first, third):
                sock.sendall(REPORT)
                taken(box).done(ALL_KEPT)
                assert heard(sock, len(CONFIRMED)) == CONFIRMED


def test_who_waits_for_the_database_is_not_read_further(
    box: Inbox, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "OWED", 200)
    with station(ports[0]) as sock, station(ports[0]) as other:
        sock.sendall(REPORT * 1000)
        first = [taken(box) for _ in range(4)]
        time.sleep(0.5)
        first += [taken(box) for _ in range(box.messages.qsize())]
        assert len(first) <= 4 + lines.PIECE // len(REPORT), "a piece is read, then no more"
        other.sendall(TEST)
        assert taken(box).payload == TEST, "others are"
        for incoming in first:
            incoming.done(ALL_KEPT)
        for _ in range(1000 - len(first)):
            taken(box).done(ALL_KEPT)
        assert heard(sock, 1000 * len(CONFIRMED)) == CONFIRMED * 1000


def test_who_does_not_read_answers_is_cut_off(box: Inbox) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with selectors.DefaultSelector() as selector, theirs:
        door = lines.Door(inbox=box, selector=selector, waker=ours, woken=theirs)
        line = lines.Line(ours, "a station", SL651, 0.0)
        door.lines.add(line)
        line.unsent = CONFIRMED * 400_000  # more than the system takes from us
        door.settle(line)
        assert (door.lines, ours.fileno()) == (set(), -1)


def test_packets_are_joined_asked_for_and_confirmed_together(box: Inbox, ports: tuple[int, int]) -> None:
    packets = in_packets(picture(), 500)
    with station(ports[0]) as sock:
        sock.sendall(b"".join(packets[:2] + packets[3:]))
        asked = parse(heard(sock, 28))
        assert (asked.end, asked.packet) == (0x15, (7, 3))
        sock.sendall(packets[2])
        incoming = taken(box)
        assert incoming.payload == b"".join(packets)
        assert nothing(sock)
        incoming.done(ALL_KEPT)
        assert parse(heard(sock, 28)).packet == (7, 7)


def test_packets_that_wait_in_vain_are_handed_over(
    box: Inbox, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = in_packets(picture(), 500)
    with station(ports[0]) as sock:
        sock.sendall(packets[0] + packets[1])
    assert taken(box).payload == packets[0] + packets[1], "when the station hangs up"
    monkeypatch.setattr(_sl651_packets.late, "__defaults__", (0.1,))
    with station(ports[0]) as sock:
        sock.sendall(packets[0] + packets[2])
        assert taken(box).payload == packets[0] + packets[2], "and after a while"


def test_packets_of_all_stations_together_are_bounded(
    box: Inbox, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = in_packets(picture(), 500)
    monkeypatch.setattr(lines, "PACKETS", 1200)
    with station(ports[0]) as first, station(ports[0]) as second:
        first.sendall(packets[0] + packets[1])
        assert nothing(first)
        second.sendall(packets[0])
        assert taken(box).payload == packets[0], "it is one too many"
        first.sendall(packets[2])
        assert taken(box).payload == b"".join(packets[:3])


def test_another_protocol_on_another_port(box: Inbox, ports: tuple[int, int]) -> None:
    link = bytes.fromhex("680868b0440607000102f2")
    link += bytes([szy206.crc8(link[3:]), 0x16])
    with station(ports[1]) as sock:
        sock.sendall(REPORT + link)
        incoming = taken(box)
        assert (incoming.topic, incoming.payload) == ("tcp/szy206/4406070001", link)
        incoming.done(ALL_KEPT)
        assert heard(sock, 13) == szy206.answer(link)


def test_a_taken_port_ends_the_process_with_a_word(box: Inbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match=rf"127.0.0.1:{port} \(LIUPAN_SL651_PORT\)"):
            tcp.serving(Settings(state=Path(), sl651_port=port), box)(threading.Event())


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_many_frames_in_pieces_of_any_size(box: Inbox, ports: tuple[int, int], size: int) -> None:
    stream = b"".join(up("2019 000004", serial=n) for n in range(40))
    with station(ports[0]) as sock:
        for at in range(0, len(stream), size):
            sock.sendall(stream[at : at + size])
        payloads: list[Any] = [taken(box).payload for _ in range(40)]
    assert b"".join(payloads) == stream
