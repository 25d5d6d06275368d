"""What every server survives: one suite for all ways to wait."""

import asyncio
import contextlib
import errno
import gc
import itertools
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from conftest import Connect, Dial, Serve
from faults import (
    LINUX,
    POSIX,
    SOON,
    Child,
    Sleeper,
    Tripwire,
    ended,
    environment,
    eventually,
    hasty_switching,
    no_thread_starts,
    open_descriptors,
    read_exactly,
    read_to_the_end,
    reset,
    resident_bytes,
    server_threads,
    together,
)

import chatlib
from chatlib import Broadcast, Chat, Client, Disconnected, Limits, Server, Service, Shout, SyncServer

Model = type[Server]

SERVICES: list[type[Service]] = [Shout, Broadcast, Chat]

RUBBISH = {
    "not UTF-8": b"\xff\xfe\x80",
    "half a surrogate": b"\xed\xa0\x80",
    "NUL": b"\0\0\0",
    "escape sequences": b"\x1b[2J\x1b]0;title\x07",
    "empty lines": b"\n\r\n\n\r\r\n",
    "other separators": "a\u2028b\x0bc\x0cd\x85e\rf".encode(),
    "random bytes": random.Random(77).randbytes(10_000),
}
rubbish = pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH.keys())


VISITS = 600
"""Short connections, one after the other: many more than a server has clients or threads at any time."""


def awkward_lines(count: int, mark: str = "x") -> list[bytes]:
    """Lines of 77 bytes, all different: 77 divides no buffer of a usual size."""
    return [f"{mark} {number:06d} ".encode().ljust(76, b".") + b"\n" for number in range(count)]


def everyone_is_in(server: Server, count: int) -> None:
    """Waits until the server serves `count` clients: a connection that is made is not accepted yet."""
    assert server.service.journal.wait_for("came", count=count, timeout=SOON)


# Lines in a stream


def test_a_line_cut_at_any_byte_arrives_whole(server: Server, plug: Dial) -> None:
    """Wherever a line is cut, inside a letter too, it is delivered once and identical."""
    sock, line = plug(server), "naïve ☃ 𝄞 end"
    data, answer = f"{line}\n".encode(), f"{line.upper()}\n".encode()
    for cut in range(len(data) + 1):
        sock.sendall(b"first\n" + data[:cut])
        assert read_exactly(sock, 6) == b"FIRST\n"  # so the server has read what came with it, too
        sock.sendall(data[cut:])
        assert read_exactly(sock, len(answer)) == answer


def test_a_line_sent_byte_by_byte_arrives_whole(server: Server, plug: Dial) -> None:
    """A line of one-byte segments is delivered once and identical."""
    sock = plug(server)
    for byte in "zwölf ☃\nend\n".encode():
        sock.send(bytes([byte]))
    answer = "ZWÖLF ☃\nEND\n".encode()
    assert read_exactly(sock, len(answer)) == answer


def test_many_lines_in_one_segment_are_all_answered_in_order(server: Server, plug: Dial) -> None:
    """What one `recv` brings may be hundreds of lines."""
    sock, lines = plug(server), awkward_lines(800)
    sock.sendall(b"".join(lines))
    assert read_exactly(sock, 800 * 77) == b"".join(lines).upper()


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"a\r\n", b"A\n"),
        (b"\n", b"\n"),
        (b"\r\n", b"\n"),
        (b"a\rb\r\r\n", b"A\rB\r\n"),
        (b"\0\x1b[1m\n", b"\0\x1b[1M\n"),
    ],
    ids=repr,
)
def test_line_ends_and_control_characters(server: Server, plug: Dial, sent: bytes, heard: bytes) -> None:
    """One CR before the newline is stripped; empty lines and control characters are passed on."""
    sock = plug(server)
    sock.sendall(sent)
    assert read_exactly(sock, len(heard)) == heard


def test_bytes_that_are_not_utf8_are_replaced(server: Server, plug: Dial) -> None:
    """What is not UTF-8 becomes U+FFFD, the rest of the line stays, and so does the client."""
    sock = plug(server)
    sock.sendall(b"a\xffb\nagain\n")
    assert read_exactly(sock, 12).decode() == "A\ufffdB\nAGAIN\n"


def test_a_line_of_exactly_the_limit_is_accepted(serve: Serve, model: Model, plug: Dial) -> None:
    """The limit itself is still allowed."""
    sock = plug(serve(model, limits=Limits(line=1000)))
    sock.sendall(b"x" * 1000 + b"\n")
    assert read_exactly(sock, 1001) == b"X" * 1000 + b"\n"


def test_an_endless_line_ends_the_conversation(server: Server, plug: Dial) -> None:
    """A client that sends a line over the limit is told, and disconnected; lines before it are answered."""
    sock = plug(server)
    sock.sendall(b"first\n" + b"x" * 300_000 + b"\nlast\n")
    first, told = read_to_the_end(sock).splitlines()
    assert first == b"FIRST"
    assert b"65536 bytes" in told
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert [entry.text for entry in server.service.journal.find("left")] == [
        "it sent a line that was too long"
    ]


@LINUX
def test_an_endless_line_does_not_fill_the_memory(server: Server, plug: Dial) -> None:
    """However much of a line comes, no more than the limit is kept."""
    sock, chunk, before = plug(server), b"x" * 65_536, resident_bytes()
    with contextlib.suppress(ConnectionError):
        for _ in range(1024):
            sock.sendall(chunk)
    assert resident_bytes() - before < 16 << 20  # of 64 MiB
    assert server.service.journal.wait_for("left", timeout=SOON)


# Leaving


def test_half_a_line_at_the_end_is_discarded(server: Server, plug: Dial) -> None:
    """What comes without its newline was never said; the client leaves once."""
    sock, journal = plug(server), server.service.journal
    sock.sendall(b"whole\nhalf")
    sock.shutdown(socket.SHUT_WR)
    assert read_to_the_end(sock) == b"WHOLE\n"
    assert journal.wait_for("left", timeout=SOON)
    chatlib.stop(server)
    assert [(entry.what, entry.text) for entry in journal] == [("came", ""), ("said", "whole"), ("left", "")]


@pytest.mark.parametrize("before", [b"", b"hello\n", b"half a line", b"x" * 60_000 + b"\n"], ids=len)
def test_a_reset_is_one_quiet_left(
    server: Server, plug: Dial, before: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """A connection that breaks off is journalled once, and nothing is printed."""
    sock, journal = plug(server), server.service.journal
    everyone_is_in(server, 1)
    sock.sendall(before)
    reset(sock)
    assert journal.wait_for("left", timeout=SOON)
    chatlib.stop(server)
    assert [entry.who for entry in journal.find("left")] == ["client 1"]
    assert not journal.find("failed")
    assert capfd.readouterr() == ("", "")


def test_resets_before_they_are_accepted_do_no_harm(model: Model, serve: Serve, plug: Dial) -> None:
    """Connections that broke off while they waited in the backlog are passed over."""
    server = model()
    for _ in range(20):
        reset(plug(server))
    serve(lambda: server)
    sock = plug(server)
    sock.sendall(b"hello\n")
    assert read_exactly(sock, 6) == b"HELLO\n"


def test_a_dead_client_does_not_stop_the_others(serve: Serve, several: Model, plug: Dial) -> None:
    """A broadcast whose send to some fails still reaches all others, each line, in order."""
    server = serve(several, service=Broadcast())
    dying = [plug(server) for _ in range(10)]
    alice, bob, lines = plug(server), plug(server), awkward_lines(500)
    everyone_is_in(server, 12)
    for number, line in enumerate(lines):
        if number % 50 == 25:
            reset(dying.pop())
        alice.sendall(line)
    assert read_exactly(bob, 500 * 77) == b"".join(lines)
    assert server.service.journal.wait_for("left", count=10, timeout=SOON)


def test_what_is_owed_is_delivered_after_a_half_close(server: Server, plug: Dial) -> None:
    """A client that says no more still gets all answers, then the end."""
    sock, lines = plug(server), awkward_lines(2600)  # 200 kB
    sock.sendall(b"".join(lines))
    sock.shutdown(socket.SHUT_WR)
    assert read_to_the_end(sock) == b"".join(lines).upper()


def test_a_torrent_is_answered_to_the_end(server: Server, plug: Dial) -> None:
    """Far more than buffers hold, asked while the answers are read, then a half-close: all comes."""
    sock, data = plug(server), b"".join(awkward_lines(60_000))
    answers = list[bytes]()

    def ask() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    together(ask, lambda: answers.append(read_to_the_end(sock)), within=3 * SOON)
    assert answers == [data.upper()]


def test_what_waits_in_the_outbox_at_the_end_is_sent_too(server: Server, plug: Dial) -> None:
    """A client that stalls, half-closes and only then reads gets also what the kernel had no room for."""
    sock, line, count = plug(server, receive_buffer=65_536), b"x" * 60_000 + b"\n", 0
    everyone_is_in(server, 1)
    (outbox,) = server.clients.values()
    while not outbox.stalled:
        sock.sendall(line)
        count += 1
        assert server.service.journal.wait_for("said", count=count, timeout=SOON)
    sock.shutdown(socket.SHUT_WR)
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert read_to_the_end(sock) == line.upper() * count


def test_a_client_that_does_not_read_its_answers_is_read_no_more(server: Server, plug: Dial) -> None:
    """Unread answers do not pile up: beyond the high-water mark, the client must read first."""
    sock, line, sent = plug(server), b"x" * 59_999 + b"\n", 0
    everyone_is_in(server, 1)
    (outbox,) = server.clients.values()

    def is_held_up() -> bool:
        nonlocal sent
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += sock.send(line[sent % len(line) :])
        return outbox.stalled and outbox.owed > server.limits.high_water

    sock.setblocking(False)
    assert eventually(is_held_up)
    assert outbox.owed <= server.limits.outbox
    assert not server.service.journal.find("left")
    sock.settimeout(SOON)
    whole = sent // len(line) * len(line)
    assert read_exactly(sock, whole) == (line * (whole // len(line))).upper()


# Bad company


@rubbish
def test_rubbish_from_one_client_reaches_the_others_as_valid_text(
    serve: Serve, several: Model, plug: Dial, data: bytes
) -> None:
    """Whatever bytes one client sends, the others receive text, and talk on."""
    server = serve(several, service=Broadcast())
    mallory, alice, bob = plug(server), plug(server), plug(server)
    everyone_is_in(server, 3)
    mallory.sendall(data + b"\nend\n")
    lines = (data + b"\nend").split(b"\n")
    expected = "".join(line.removesuffix(b"\r").decode("utf-8", "replace") + "\n" for line in lines).encode()
    assert read_exactly(bob, len(expected)) == expected
    alice.sendall(b"after\n")
    assert read_exactly(bob, 6) == read_exactly(mallory, 6) == b"after\n"


@rubbish
@pytest.mark.parametrize("service", SERVICES)
def test_rubbish_harms_no_service(
    serve: Serve,
    model: Model,
    plug: Dial,
    service: type[Service],
    data: bytes,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After a client that sent rubbish the next one is served as if nothing had been."""
    server = serve(model, service=service())
    with plug(server) as mallory:
        mallory.sendall(data)
        mallory.shutdown(socket.SHUT_WR)
        read_to_the_end(mallory)
    plug(server)
    everyone_is_in(server, 2)
    assert not server.service.journal.find("failed")
    assert capfd.readouterr() == ("", "")


def test_several_senders_at_once_are_never_mixed(serve: Serve, several: Model, plug: Dial) -> None:
    """Five talk at once to twenty: each hears each line once, whole, in its sender's order."""
    server = serve(several, service=Broadcast())
    receivers, senders = [plug(server) for _ in range(20)], [plug(server) for _ in range(5)]
    everyone_is_in(server, 25)
    said = [awkward_lines(400, mark=f"{number}") for number in range(5)]

    def talk(sock: socket.socket, lines: list[bytes]) -> None:
        for start in range(0, len(lines), 8):
            sock.sendall(b"".join(lines[start : start + 8]))

    together(*(lambda s=s, lines=lines: talk(s, lines) for s, lines in zip(senders, said, strict=True)))
    for receiver in receivers:
        heard = read_exactly(receiver, 5 * 400 * 77).splitlines(keepends=True)
        assert [[line for line in heard if line[:1] == b"%d" % number] for number in range(5)] == said
        assert len(heard) == 2000


def test_a_sender_does_not_hear_itself(serve: Serve, several: Model, connect: Connect) -> None:
    """A broadcast goes to the others only."""
    server = serve(several, service=Broadcast())
    alice, bob = connect(server), connect(server)
    everyone_is_in(server, 2)
    alice.send("from alice")
    assert bob.receive(SOON) == "from alice"
    bob.send("from bob")
    assert alice.receive(SOON) == "from bob"


class Flood:
    """One sender, three healthy readers whom it keeps in step with, and one that does not read at all.

    Args:
        server: A server with the service `Broadcast`.
        plug: What connects.
    """

    BLOCK = b"".join(f"{number:04d} ".encode().ljust(3076, b"#") + b"\n" for number in range(77))

    def __init__(self, server: Server, plug: Dial) -> None:
        self.stalled = plug(server, receive_buffer=8192)
        everyone_is_in(server, 1)
        self.healthy, self.sender = [plug(server) for _ in range(3)], plug(server)
        everyone_is_in(server, 5)
        self.most_memory = 0

    def run(self, size: int) -> bool:
        """Sends about `size` bytes; returns whether every healthy reader got every one of them."""
        intact = True
        for _ in range(size // len(self.BLOCK)):
            self.sender.sendall(self.BLOCK)
            intact &= all(read_exactly(sock, len(self.BLOCK)) == self.BLOCK for sock in self.healthy)
            if sys.platform.startswith("linux"):
                self.most_memory = max(self.most_memory, resident_bytes())
        return intact


def test_a_stalled_reader_is_cut_off_and_delays_no_other(serve: Serve, several: Model, plug: Dial) -> None:
    """Through 20 MB the healthy hear every byte; the one that does not read is cut; why is kept."""
    server = serve(several, service=Broadcast())
    flood = Flood(server, plug)
    before = resident_bytes() if sys.platform.startswith("linux") else 0
    assert flood.run(20_000_000)
    assert flood.most_memory - before < 10_000_000
    (cut,) = server.service.journal.find("left")
    assert cut.who == "client 1"
    assert "read too slowly: more than 1048576 bytes" in cut.text


def test_a_stalled_reader_never_sees_a_torn_line(serve: Serve, several: Model, plug: Dial) -> None:
    """What it reads on, once it does, is the beginning of what was said, and then the end."""
    server = serve(several, service=Broadcast(), limits=Limits(outbox=100_000))
    flood = Flood(server, plug)
    assert flood.run(10_000_000)
    assert server.service.journal.wait_for("left", "client 1", timeout=SOON)
    heard = read_to_the_end(flood.stalled)
    assert (flood.BLOCK * (len(heard) // len(flood.BLOCK) + 1)).startswith(heard)
    assert 0 < len(heard) < 10_000_000


def test_a_slow_reader_that_reads_on_misses_nothing(serve: Serve, several: Model, plug: Dial) -> None:
    """A client that stalls below the limit and then reads gets every line, in order."""
    server = serve(several, service=Broadcast(), limits=Limits(outbox=50_000_000))
    flood = Flood(server, plug)
    assert flood.run(12_000_000)
    expected = flood.BLOCK * (12_000_000 // len(flood.BLOCK))
    assert read_exactly(flood.stalled, len(expected)) == expected


def test_a_stalled_sender_delays_no_other(serve: Serve, several: Model, connect: Connect, plug: Dial) -> None:
    """While one client is in the middle of a line the others are answered; its line arrives whole."""
    server = serve(several)
    slow, alice = plug(server), connect(server)
    for byte in b"slow\n":
        alice.send("quick")
        assert alice.receive(SOON) == "QUICK"
        slow.send(bytes([byte]))
    assert read_exactly(slow, 5) == b"SLOW\n"


def test_a_vanished_peer_is_noticed(server: Server, connect: Connect) -> None:
    """Every connection is kept alive by the system, and sends small lines at once."""
    connect(server)
    everyone_is_in(server, 1)
    (connection,) = server.clients
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@LINUX
def test_a_vanished_peer_is_noticed_within_minutes(server: Server, connect: Connect) -> None:
    """The system's own two hours of patience are shortened to two minutes."""
    connect(server)
    everyone_is_in(server, 1)
    (connection,) = server.clients
    idle, interval, count = (
        connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    )
    assert idle + interval * count <= 120


def test_a_silent_client_is_removed_at_the_idle_limit(serve: Serve, model: Model, connect: Connect) -> None:
    """With a time limit, a silent client is disconnected; the journal says why."""
    server = serve(model, limits=Limits(idle=0.2))
    alice = connect(server)
    with pytest.raises(Disconnected):
        alice.receive(SOON)
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert [entry.text for entry in server.service.journal.find("left")] == ["it was silent for too long"]


class Asked(Service):
    """Answers the client that asks, and no other."""

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        time.sleep(0.001)  # so that a flood comes faster than it is heard
        if "well?" in lines:
            member.post(b"well\n")


def test_a_flood_leaves_others_their_turn(serve: Serve, several: Model, connect: Connect, plug: Dial) -> None:
    """One client sends without a pause, so its bytes are always ready: the others are still answered."""
    server = serve(several, service=Asked())
    flooder, alice, over = plug(server), connect(server), threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                flooder.sendall((b"x" * 76 + b"\n") * 1000)

    with contextlib.ExitStack() as stack:
        flooding = threading.Thread(target=flood, daemon=True)
        stack.callback(flooding.join, SOON)
        stack.callback(over.set)
        flooding.start()
        assert server.service.journal.wait_for("said", "client 1", timeout=SOON)
        for _ in range(10):
            alice.send("well?")
            assert alice.receive(SOON) == "well"


def test_a_refused_client_that_talks_on_is_closed(
    server: Server, plug: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lingering close has a time limit, whatever the client still says."""
    for module in ("session", "selector_client", "asyncio_clients"):
        monkeypatch.setattr(f"chatlib.servers.core.{module}.GOODBYE", 0.1)
    sock = plug(server)
    sock.sendall(b"x" * 70_000)

    def is_closed() -> bool:
        try:
            sock.sendall(b"x")  # it talks on, now and then
        except ConnectionError:
            return True
        return False

    assert eventually(is_closed)


def test_joining_and_leaving_during_broadcasts(serve: Serve, several: Model, plug: Dial) -> None:
    """Clients come and go while three talk: no broadcast fails, and those that stay miss nothing."""
    server = serve(several, service=Broadcast())
    witness, talkers = plug(server), [plug(server) for _ in range(3)]
    everyone_is_in(server, 4)

    def talk(sock: socket.socket) -> None:
        for line in awkward_lines(300):
            sock.sendall(line)

    def come_and_go() -> None:
        for number in range(60):
            with plug(server) as sock:
                if number % 2:
                    reset(sock)

    together(*(lambda sock=sock: talk(sock) for sock in talkers), come_and_go, come_and_go, within=3 * SOON)
    heard = read_exactly(witness, 3 * 300 * 77).splitlines(keepends=True)
    assert sorted(heard) == sorted(awkward_lines(300) * 3)
    assert server.service.journal.wait_for("left", count=120, timeout=SOON)
    assert not server.service.journal.find("failed")


# When the system gives out

SCARCE = """
import resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import chatlib

class Counting(chatlib.MODELS[{name!r}]):
    def get_request(self):
        attempts.append(time.monotonic())
        return super().get_request()

attempts = []
server = chatlib.start(Counting)
journal = server.service.journal
"""


def named(model: Model) -> str:
    return next(name for name, other in chatlib.MODELS.items() if other is model)


@POSIX
def test_it_waits_when_no_descriptor_is_left(several: Model, plug: Dial) -> None:
    """Out of descriptors it says so once, pauses, and recovers when clients leave."""
    with Child(SCARCE.format(name=named(several))) as child:
        address = child.ask("server.server_address")
        crowd = [plug_address(plug, address) for _ in range(100)]
        assert child.ask(f"journal.wait_for('paused', timeout={SOON})")
        paused = child.ask("len(attempts)")
        assert eventually(lambda: child.ask("len(attempts)") >= paused + 3)
        tried = child.ask(f"attempts[{paused - 1}:]")
        assert min(later - earlier for earlier, later in itertools.pairwise(tried)) > 0.09
        assert not child.ask("journal.find('left')")
        assert child.ask("[entry.text for entry in journal.find('paused')]") == [os.strerror(errno.EMFILE)]
        crowd[0].sendall(b"still served\n")
        assert read_exactly(crowd[0], 13) == b"STILL SERVED\n"
        for sock in crowd:
            sock.close()
        assert child.ask(f"journal.wait_for('left', count=100, timeout={SOON})")
        late = plug_address(plug, address)
        late.sendall(b"hello\n")
        assert read_exactly(late, 6) == b"HELLO\n"


@POSIX
def test_it_can_be_stopped_when_no_descriptor_is_left(several: Model, plug: Dial) -> None:
    """Stopping needs no descriptor."""
    with Child(SCARCE.format(name=named(several))) as child:
        crowd = [plug_address(plug, child.ask("server.server_address")) for _ in range(100)]
        assert child.ask(f"journal.wait_for('paused', timeout={SOON})")
        child.ask("chatlib.stop(server)")
        assert not child.ask("[thread.name for thread in server.threads]")
        assert read_to_the_end(crowd[0]) == b""


def plug_address(plug: Dial, address: tuple[str, int]) -> socket.socket:
    class There:
        server_address = address

    return plug(There)


def test_a_client_for_whom_no_thread_starts_is_refused(serve: Serve, threaded: Model, plug: Dial) -> None:
    """When the system has no thread left, that client is told so, and the others are served."""
    server = serve(threaded)
    alice = plug(server)
    everyone_is_in(server, 1)
    with no_thread_starts("serves "):
        assert read_to_the_end(plug(server)) == b"* can't start new thread\n"
    for sock in (alice, plug(server)):
        sock.sendall(b"hello\n")
        assert read_exactly(sock, 6) == b"HELLO\n"
    assert [entry.who for entry in server.service.journal.find("refused")] == ["client 2"]
    assert len(server.clients) == 2


def test_one_client_too_many_is_told_so(serve: Serve, several: Model, plug: Dial) -> None:
    """At the cap one more gets a line and the end; when a client leaves there is room again."""
    server = serve(several, limits=Limits(clients=2))
    alice, bob = plug(server), plug(server)
    everyone_is_in(server, 2)
    assert read_to_the_end(plug(server)) == b"* the server is full\n"
    alice.close()
    assert eventually(lambda: len(server.clients) == 1)
    for sock in (bob, plug(server)):
        sock.sendall(b"hello\n")
        assert read_exactly(sock, 6) == b"HELLO\n"


def test_two_hundred_at_once_are_served(serve: Serve, several: Model, plug: Dial) -> None:
    """200 connections at the same moment are all accepted and answered."""
    server = serve(several)
    crowd = [plug(server) for _ in range(200)]
    for number, sock in enumerate(crowd):
        sock.sendall(b"guest %03d\n" % number)
    for number, sock in enumerate(crowd):
        assert read_exactly(sock, 10) == b"GUEST %03d\n" % number
    assert len(server.clients) == 200


def test_the_backlog_holds_128(model: Model, serve: Serve, plug: Dial) -> None:
    """128 connections are made before one is accepted; all are served in the end."""
    server = model()
    with contextlib.closing(server.socket), contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(plug(server)) for _ in range(128)]
        serve(lambda: server)
        for sock in crowd:
            sock.sendall(b"hello\n")
            assert read_exactly(sock, 6) == b"HELLO\n"
            sock.close()


@LINUX
def test_two_hundred_may_come_before_one_is_accepted(model: Model) -> None:
    """However late the accepting thread gets the processor, the kernel connects 200, and keeps them."""
    with model() as server, contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(server.server_address, SOON)) for _ in range(200)
        ]
        server.socket.setblocking(False)  # none is still on its way
        kept = [stack.enter_context(server.get_request()[0]) for _ in crowd]
        assert {sock.getpeername() for sock in kept} == {sock.getsockname() for sock in crowd}


def test_many_short_visits_leave_nothing_behind(model: Model, serve: Serve, plug: Dial) -> None:
    """After many connections the threads, clients, members and descriptors are what they were."""
    server, linux = serve(model), sys.platform.startswith("linux")
    for number in range(VISITS):
        with socket.create_connection(server.server_address, SOON) as sock:
            if number % 4 == 1:
                sock.sendall(b"hello\n")
            if number % 4 == 2:
                reset(sock)
            if number % 40 == 0:  # keeps in step: the backlog may be shorter
                sock.sendall(b"hello\n")
                assert read_exactly(sock, 6) == b"HELLO\n"
        if number == 0:
            assert eventually(lambda: not server.clients)
            descriptors = open_descriptors() if linux else 0
    assert server.service.journal.wait_for("left", count=VISITS, timeout=SOON)
    assert eventually(lambda: not server.clients)
    assert not server.service.members
    assert eventually(lambda: [thread.name for thread in server.threads] == ["the server"])
    assert not linux or eventually(lambda: open_descriptors() <= descriptors)


# Mistakes in a service


@pytest.mark.parametrize(
    ("line", "reason"), [("boom", "LookupError: no such thing"), ("exit", "SystemExit: 3")]
)
def test_a_mistake_in_a_service_costs_that_client_only(
    serve: Serve, model: Model, connect: Connect, line: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception or SystemExit ends that conversation; the journal says where; stderr is quiet."""
    server = serve(model, service=Tripwire())
    with connect(server) as mallory:
        mallory.send(line)
        with pytest.raises(Disconnected):
            mallory.receive(SOON)
    bob = connect(server)
    bob.send("hello")
    assert bob.receive(SOON) == "HELLO"
    (failed,) = server.service.journal.find("failed")
    assert failed.who == "client 1"
    assert failed.text.startswith(reason)
    assert "in answer" in failed.text
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert [entry.text for entry in server.service.journal.find("left")] == ["its handler failed"]
    assert capfd.readouterr() == ("", "")


def test_a_mistake_does_not_reach_those_already_here(serve: Serve, several: Model, connect: Connect) -> None:
    """A client that is connected while the handler of another fails talks on."""
    server = serve(several, service=Tripwire())
    alice, mallory = connect(server), connect(server)
    everyone_is_in(server, 2)
    mallory.send("boom")
    assert server.service.journal.wait_for("left", "client 2", timeout=SOON)
    alice.send("hello")
    assert alice.receive(SOON) == "HELLO"


@pytest.mark.parametrize("method", ["welcome", "farewell"])
def test_a_mistake_at_the_door_costs_that_client_only(
    serve: Serve, model: Model, connect: Connect, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that fails when a client comes or goes is survived as well; the client is gone."""
    service = Shout()
    server = serve(model, service=service)
    with monkeypatch.context() as patch:
        patch.setattr(service, method, lambda member: 1 / 0)
        with connect(server) as mallory:
            mallory.half_close()
            with pytest.raises(Disconnected):
                mallory.receive(SOON)
        assert service.journal.wait_for("left", timeout=SOON)
        assert eventually(lambda: not server.clients)
    bob = connect(server)
    bob.send("hello")
    assert bob.receive(SOON) == "HELLO"
    assert [entry.who for entry in service.journal.find("failed")] == ["client 1"]
    assert len(service.members) == 1


# Stopping


def test_stopping_before_serving_returns(model: Model) -> None:
    """`shutdown` of a server that never served returns, and it will not serve later."""
    server = model()
    server.shutdown()
    server.serve_forever()
    server.server_close()
    assert server.socket.fileno() == -1


def test_stopping_twice_returns(server: Server) -> None:
    """All verbs may be repeated, in any order."""
    for verb in (server.shutdown, server.shutdown, server.server_close, server.server_close, server.shutdown):
        verb()
    assert not server.threads


def test_stopping_from_a_handler_returns(serve: Serve, model: Model, connect: Connect) -> None:
    """A service may stop its own server: every client sees the end, and all threads end."""
    service = Tripwire()
    service.server = server = serve(model, service=service)
    alice = connect(server)
    assert eventually(lambda: server.threads)  # it may only just have been started
    thread = server.threads[0]
    alice.send("stop")
    with pytest.raises(Disconnected):
        alice.receive(SOON)
    thread.join(SOON)
    assert eventually(lambda: not server.threads)
    assert [entry.text for entry in service.journal.find("left")] == ["the server stopped"]


def test_stopping_from_a_handler_does_not_wait_for_the_others(
    serve: Serve, several: Model, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that stops its server is not held up by clients that are there, nor by their leaving."""
    monkeypatch.setattr("chatlib.servers.core.server.STOP_WITHIN", 10 * SOON)  # a wait would be long
    service = Tripwire()
    service.server = server = serve(several, service=service)
    alice, _bob = connect(server), connect(server)
    everyone_is_in(server, 2)
    threads = server.threads
    alice.send("stop")
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_stopping_from_several_threads_at_once_returns(serve: Serve, model: Model, connect: Connect) -> None:
    """The verbs may be called from anywhere at the same time."""
    with hasty_switching():
        for _ in range(10):
            server = serve(model)
            connect(server)
            together(server.shutdown, server.server_close, server.server_close, server.shutdown)
            assert not server.threads


def test_an_idle_server_sleeps_until_it_is_stopped(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look now and then whether to stop: no sleep ends by itself before a day is over."""
    limits, select = list[float | None](), selectors.DefaultSelector.select

    def noted(self: selectors.DefaultSelector, timeout: float | None = None) -> Any:
        limits.append(timeout)
        return select(self, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", noted)
    server = chatlib.start(model)
    assert eventually(lambda: any(limit is None or limit > 80_000 for limit in limits.copy()))
    chatlib.stop(server)  # would warn if the server did not wake and end
    assert not [limit for limit in limits if limit and limit < 80_000]
    assert len(limits) < 10  # also of those that only look, and do not sleep


def test_stopping_ends_everything(server: Server, connect: Connect, plug: Dial) -> None:
    """All clients see the end, also those that were not served yet, and all threads end."""
    crowd = [connect(server) for _ in range(10)]
    everyone_is_in(server, 1 if isinstance(server, SyncServer) else 10)
    threads = server_threads()
    chatlib.stop(server)  # would warn of a thread that does not end
    for client in crowd:
        with pytest.raises(Disconnected):
            client.receive(SOON)
    assert threads
    assert not server.threads
    assert not server.clients
    assert not server.service.members


def test_no_thread_outlives_stop(model: Model, connect: Connect) -> None:
    """When `stop` returns, the threads have ended, the server's own as well."""
    with hasty_switching():
        for _ in range(10):
            server = chatlib.start(model)
            connect(server)
            everyone_is_in(server, 1)
            chatlib.stop(server)
            assert not server_threads()


def test_stopping_in_the_middle_of_a_flood(serve: Serve, several: Model, plug: Dial) -> None:
    """Stalled readers, owed bytes and a talking sender do not hold up the end."""
    server = serve(several, service=Broadcast(), limits=Limits(outbox=50_000_000))
    flood = Flood(server, plug)
    assert flood.run(10_000_000)
    assert any(client.owed for client in server.clients.values())
    chatlib.stop(server)  # would warn of a thread that does not end
    assert not server_threads()


def test_stopping_while_last_words_are_said(serve: Serve, model: Model, plug: Dial) -> None:
    """A client that is told why it must go, and does not go, does not hold up the end."""
    server = serve(model, limits=Limits(line=10))
    sock = plug(server)
    sock.sendall(b"x" * 11)
    assert read_exactly(sock, 1) == b"*"
    chatlib.stop(server)
    assert not server.threads


def test_a_busy_handler_is_left_behind(
    serve: Serve, model: Model, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that does not return holds up the end for a limited time only; `stop` says so."""
    monkeypatch.setattr("chatlib.servers.core.server.STOP_WITHIN", 0.2)
    service = Sleeper()
    server = serve(model, service=service)
    connect(server).send("hello")
    assert service.asleep.wait(SOON)
    with pytest.warns(RuntimeWarning, match="2 s"):
        chatlib.stop(server)
    assert server.threads  # the one that is asleep in the service: `stop` has not waited for its end
    service.awake.set()
    assert eventually(lambda: not server.threads)


def test_the_textbook_starts_and_stops_it(model: Model, connect: Connect) -> None:
    """`threading.Thread(target=server.serve_forever)`, then `shutdown` and `server_close`."""
    server = model()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    alice = connect(server)
    alice.send("hello")
    assert alice.receive(SOON) == "HELLO"
    server.shutdown()
    thread.join(SOON)
    server.server_close()
    assert not thread.is_alive()


def test_a_with_block_closes_it(model: Model) -> None:
    """A server is a context manager, as those of `socketserver` are."""
    with model() as server:
        assert server.socket.fileno() != -1
    assert server.socket.fileno() == -1


INTERRUPTED = """
import chatlib, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt_this_thread():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=interrupt_this_thread, daemon=True).start()
with chatlib.MODELS[sys.argv[1]]() as server:
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def ends_when_interrupted(
    model: Model, plug: Dial, interrupt: Callable[["subprocess.Popen[str]"], None]
) -> None:
    """Asserts that a server in the main thread of a program, with a silent client, ends as it should."""
    command, pipe = [sys.executable, "-c", INTERRUPTED, named(model)], subprocess.PIPE
    program = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment(), text=True)
    with ended(program) as process:
        assert process.stdout
        sock = plug_address(plug, ("127.0.0.1", int(process.stdout.readline())))
        sock.sendall(b"hello\n")
        assert read_exactly(sock, 6) == b"HELLO\n"
        if sys.platform.startswith("linux"):  # macOS calls most processes running, whatever they do
            assert eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        interrupt(process)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(SOON) == 0
        assert read_to_the_end(sock) == b""


@POSIX
def test_ctrl_c_ends_it_in_the_main_thread(model: Model, plug: Dial) -> None:
    """SIGINT ends `serve_forever` at once, also while it serves a silent client."""
    ends_when_interrupted(model, plug, lambda process: process.send_signal(signal.SIGINT))


@POSIX
def test_a_signal_that_interrupts_no_sleep_ends_it_too(several: Model, plug: Dial) -> None:
    """The kernel may give it to another thread, or may have it a moment before the main thread sleeps."""
    ends_when_interrupted(several, plug, lambda process: print(file=process.stdin, flush=True))


def test_a_script_with_clients_connected_ends(model: Model) -> None:
    """Python exits although a server runs, clients are connected and one of them does not read."""
    script = f"""
import chatlib
server = chatlib.start(chatlib.MODELS[{named(model)!r}], service=chatlib.Broadcast())
clients = [chatlib.connect(server) for _ in range(3)]
clients[0].send("x" * 60000)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), timeout=3 * SOON, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# Addresses


def test_a_port_can_be_bound_again_at_once(serve: Serve, model: Model, connect: Connect) -> None:
    """Restarting on the same port works at once, with clients of the old one still there."""
    address = ("127.0.0.1", 0)
    for _ in range(5):
        server = serve(model, address)
        address, client = server.server_address, connect(server)
        client.send("hello")
        assert client.receive(SOON) == "HELLO"
        chatlib.stop(server)


@contextlib.contextmanager
def nothing_stays_open() -> Iterator[None]:
    """What fails inside leaves no descriptor behind (where that can be seen)."""
    linux = sys.platform.startswith("linux")
    gc.collect()
    before = open_descriptors() if linux else 0
    yield
    # Not `==`: what an earlier test has let go of may be closed only now.
    assert not linux or eventually(lambda: open_descriptors() <= before)


def test_a_port_in_use_is_named(model: Model) -> None:
    """The error says which host and port it was."""
    with model() as taken:  # not started: a thread that begins to serve opens descriptors of its own
        told = "cannot listen on {}:{}: ".format(*taken.server_address)
        with nothing_stays_open(), pytest.raises(OSError, match=told) as caught:
            model(taken.server_address)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("address", [("192.0.2.1", 0), ("no such host", 0)], ids=lambda address: address[0])
def test_a_host_that_is_not_here_is_named(model: Model, address: tuple[str, int]) -> None:
    """The error says which host it was."""
    with nothing_stays_open(), pytest.raises(OSError, match=f"cannot listen on {address[0]}:0: "):
        model(address)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_no_port_is_refused(model: Model, port: int) -> None:
    """A number outside 0 to 65535 raises OverflowError, and leaves nothing open."""
    with nothing_stays_open(), pytest.raises(OverflowError):
        model(("127.0.0.1", port))


def test_by_default_only_this_computer_is_let_in(server: Server) -> None:
    """A server listens on this computer only, on a port that was free."""
    host, port = server.server_address
    assert host == "127.0.0.1"
    assert port > 0


def has_ipv6() -> bool:
    """Returns whether this computer can talk to itself by IPv6."""
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_an_ipv6_address_is_one_to_listen_on(serve: Serve, model: Model, connect: Connect) -> None:
    """An address with colons is of the other family."""
    server = serve(model, ("::1", 0))
    client = connect(server)
    client.send("hello")
    assert client.receive(SOON) == "HELLO"


# How each of them waits


def test_one_at_a_time_means_the_others_wait(serve: Serve, connect: Connect) -> None:
    """While A is connected and silent, nothing from B is received; once A has left, B is served."""
    server = serve(SyncServer)
    alice, bob = connect(server, "alice"), connect(server, "bob")
    bob.send("hello")
    assert bob.waits(0.1)
    assert {entry.who for entry in server.service.journal} <= {"client 1"}
    alice.close()
    assert bob.receive(SOON) == "HELLO"
    assert [(entry.what, entry.who) for entry in server.service.journal] == [
        ("came", "client 1"),
        ("left", "client 1"),
        ("came", "client 2"),
        ("said", "client 2"),
    ]


def test_one_at_a_time_with_a_time_limit(serve: Serve, connect: Connect) -> None:
    """A silent first client holds up the second no longer than the idle limit says."""
    server = serve(SyncServer, limits=Limits(idle=0.2))
    connect(server, "alice")
    bob = connect(server, "bob")
    bob.send("hello")
    assert bob.receive(SOON) == "HELLO"


def test_several_at_once_means_that_no_client_waits(serve: Serve, several: Model, connect: Connect) -> None:
    """While A is connected and silent, B is answered."""
    server = serve(several)
    alice, bob = connect(server, "alice"), connect(server, "bob")
    bob.send("hello")
    assert bob.receive(SOON) == "HELLO"
    alice.send("late")
    assert alice.receive(SOON) == "LATE"


def test_one_thread_serves_all_one_at_a_time(serve: Serve, connect: Connect) -> None:
    """The synchronous server has one thread, which accepts and serves."""
    server = serve(SyncServer)
    connect(server).send("hello")
    assert server.service.journal.wait_for("said", timeout=SOON)
    assert [thread.name for thread in server.threads] == ["the server"]
    assert {entry.thread for entry in server.service.journal} == {"the server"}


def test_each_client_has_a_thread_with_its_name(serve: Serve, threaded: Model, connect: Connect) -> None:
    """First the server's thread, then one for each client; the journal tells them apart."""
    server = serve(threaded)
    clients = [connect(server), connect(server)]
    everyone_is_in(server, 2)
    for client in clients:
        client.send("hello")
        assert client.receive(SOON) == "HELLO"
    names = [thread.name for thread in server.threads]
    assert names[0] == "the server"
    assert sorted(names[1:]) == ["serves client 1", "serves client 2"]
    assert {(entry.who, entry.thread) for entry in server.service.journal} == {
        ("client 1", "serves client 1"),
        ("client 2", "serves client 2"),
    }


def test_the_names_of_the_models_are_those_of_the_command_line() -> None:
    """By the names that `serve` takes."""
    assert list(chatlib.MODELS) == ["sync", "threading", "raw-threads", "forking", "selectors", "asyncio"]


def test_socketserver_is_what_they_say_they_are() -> None:
    """`SyncServer` and `ThreadingServer` are genuine subclasses of `socketserver`'s own."""
    import socketserver

    assert issubclass(SyncServer, socketserver.TCPServer)
    assert issubclass(chatlib.ThreadingServer, socketserver.ThreadingTCPServer)
    assert not issubclass(chatlib.RawThreadServer, socketserver.BaseServer)


def test_a_silent_client_wakes_no_thread(model: Model, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing happens the server makes no call, nor after a client has left: it sleeps."""
    calls, select, recv = itertools.count(), selectors.DefaultSelector.select, socket.socket.recv

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (next(calls), call(*arguments))[1]

    def is_still() -> bool:
        before = next(calls)
        threading.Event().wait(0.05)
        return next(calls) == before + 1

    monkeypatch.setattr(selectors.DefaultSelector, "select", counted(select))
    monkeypatch.setattr(socket.socket, "recv", counted(recv))
    server = serve(model)
    with socket.create_connection(server.server_address, SOON):
        everyone_is_in(server, 1)
        assert eventually(is_still)
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert eventually(is_still)
    assert next(calls) > 4  # so calls have been counted


def test_clients_are_chatlibs_own(server: Server, connect: Connect) -> None:
    """What `connect` returns talks with every server."""
    client = connect(server)
    assert isinstance(client, Client)
    client.send("hello")
    assert client.receive(SOON) == "HELLO"


class Stubborn(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [Stubborn, asyncio.CancelledError, GeneratorExit])
def test_no_exception_of_a_service_ends_the_server(
    serve: Serve, model: Model, connect: Connect, error: type[BaseException]
) -> None:
    """However odd it is: that client only, and the journal says where."""

    class Failing(chatlib.Shout):
        def answer(self, member: chatlib.Member, lines: list[str]) -> None:
            if lines == ["fail"]:
                raise error
            super().answer(member, lines)

    server = serve(model, service=Failing())
    first = connect(server)
    first.send("fail")
    assert server.service.journal.wait_for("failed", timeout=SOON)
    first.close()
    second = connect(server)
    second.send("hello")
    assert second.receive(SOON) == "HELLO"
    assert error.__name__ in server.service.journal.find("failed")[0].text
