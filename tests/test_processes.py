"""A process for each client: what is still served, what is no longer shared, what must not be inherited."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from conftest import Connect, Serve
from faults import POSIX, SOON, environment, eventually

import chatlib
from chatlib import Broadcast, ForkingServer, Limits, Member, Shout

pytestmark = [
    POSIX,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


class TellsWhere(Shout):
    """Answers with the number of the process that it runs in; `fail` makes it raise."""

    def answer(self, member: Member, lines: list[str]) -> None:
        if lines == ["fail"]:
            raise LookupError("no such thing")
        member.post(chatlib.encode([str(os.getpid())]))


def where(client: chatlib.Client) -> int:
    """Returns the process that serves a client."""
    client.send("where?")
    return int(client.receive(SOON))


def children() -> set[int]:
    """Returns the processes that this one has started, also those whose exit status was not read yet."""
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    before = children()
    yield
    chatlib.stop_all()
    assert children() <= before


def test_each_client_has_a_process_of_its_own(serve: Serve, connect: Connect) -> None:
    """Several are served at once, while one is silent, each in a process other than this."""
    server = serve(ForkingServer, service=TellsWhere())
    silent, alice, bob = (connect(server) for _ in range(3))
    assert silent.waits(0.05)
    assert len({where(alice), where(bob), os.getpid()}) == 3


def test_nothing_is_shared(serve: Serve, connect: Connect) -> None:
    """A broadcast reaches no other client: in alice's copy there is only alice. Here, nothing was heard."""
    server = serve(ForkingServer, service=Broadcast())
    alice, bob = connect(server), connect(server)
    journal = server.service.journal
    assert journal.wait_for("came", count=2, timeout=SOON)
    alice.send("hello")
    assert bob.waits(0.1)
    alice.close()
    assert journal.wait_for("left", "client 1", timeout=SOON)
    assert [entry.what for entry in journal] == ["came", "came", "left"]
    assert not server.service.members


@pytest.mark.parametrize("close", ["close", "reset"])
def test_a_departure_is_noticed_although_the_connection_was_copied_too(serve: Serve, close: str) -> None:
    """A client of this very process: bob's child must not hold a copy of alice's end, nor of its own."""
    server = serve(ForkingServer)
    alice = socket.create_connection(server.server_address, SOON)
    with socket.create_connection(server.server_address, SOON) as bob:
        bob.sendall(b"hi\n")
        assert bob.recv(100) == b"HI\n"
        if close == "reset":
            alice.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, chatlib.client.DISCARD)
        alice.close()
        assert server.service.journal.wait_for("left", "client 1", timeout=SOON)


def test_what_another_thread_holds_does_not_stop_a_child(serve: Serve, connect: Connect) -> None:
    """Locks are copied as they are at the moment of the fork, and their holder is not."""
    server = serve(ForkingServer)
    with server.service._lock, server.service.journal._changed:
        alice = connect(server)
        alice.send("hello")
        assert alice.receive(SOON) == "HELLO"


def test_a_mistake_costs_that_client_only(
    serve: Serve, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    """The child says goodbye and ends, and prints nothing; the others and the server live on."""
    server = serve(ForkingServer, service=TellsWhere())
    alice, mallory = connect(server), connect(server)
    mallory.send("fail")
    with pytest.raises(chatlib.Disconnected):
        mallory.receive(SOON)
    assert where(alice) and where(connect(server))
    assert capfd.readouterr() == ("", "")


def test_a_child_that_is_killed_takes_only_its_client_along(serve: Serve, connect: Connect) -> None:
    """The parent holds a copy of the connection, too, and lets go of it."""
    server = serve(ForkingServer, service=TellsWhere())
    alice, bob = connect(server), connect(server)
    os.kill(where(alice), signal.SIGKILL)
    with pytest.raises(chatlib.Disconnected):
        alice.receive(SOON)
    assert server.service.journal.wait_for("left", "client 1", timeout=SOON)
    assert where(bob)


def test_stopping_ends_every_child(serve: Serve, connect: Connect) -> None:
    """Clients see the end, no process is left, and the port is free at once."""
    server = serve(ForkingServer)
    clients = [connect(server) for _ in range(5)]
    assert server.service.journal.wait_for("came", count=5, timeout=SOON)
    chatlib.stop(server)
    for client in clients:
        with pytest.raises(chatlib.Disconnected):
            client.receive(SOON)
    with socket.create_server(server.server_address):
        pass


class Stops(Shout):
    """A service that stops its server, or rather the copy of it."""

    server: chatlib.Server

    def answer(self, member: Member, lines: list[str]) -> None:
        self.server.server_close()


def test_stopping_from_a_child_ends_that_child_only(
    serve: Serve, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    """It has a copy of the server, not the server."""
    service = Stops()
    server = service.server = serve(ForkingServer, service=service)
    alice, bob = connect(server), connect(server)
    assert server.service.journal.wait_for("came", count=2, timeout=SOON)
    alice.send("stop")
    with pytest.raises(chatlib.Disconnected):
        alice.receive(SOON)
    assert bob.waits(0.05)
    assert capfd.readouterr() == ("", "")


class Stubborn(Shout):
    """Never answers."""

    def answer(self, member: Member, lines: list[str]) -> None:
        time.sleep(60)


def test_a_busy_child_is_killed(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike a thread, a process can be ended from outside."""
    monkeypatch.setattr("chatlib.servers.core.server.STOP_WITHIN", 0.2)
    server = serve(ForkingServer, service=Stubborn())
    connect(server).send("hello")
    assert server.service.journal.wait_for("came", timeout=SOON)
    chatlib.stop(server)
    assert not server.threads


class Reads(socketserver.StreamRequestHandler):
    """Waits for a line."""

    def handle(self) -> None:
        self.rfile.readline()


def test_a_stock_forking_server_is_stopped_with_a_silent_client(connect: Connect) -> None:
    """Its children are ended, too: each has a copy of the listener, and the port would stay taken."""
    server = chatlib.start(socketserver.ForkingTCPServer, ("127.0.0.1", 0), Reads)
    with connect(server):
        assert eventually(lambda: bool(server.active_children))
        chatlib.stop(server)
        socket.create_server(server.server_address).close()


PRINTS = """
import os, sys, chatlib
os.register_at_fork(before=lambda: sys.stdout.write("once "))  # after multiprocessing has flushed
with chatlib.running(chatlib.ForkingServer) as server, chatlib.connect(server) as alice:
    alice.send("hello")
    print(alice.receive(30))
"""


def test_what_waits_to_be_printed_is_printed_once() -> None:
    """The buffers are copied, too."""
    command = [sys.executable, "-c", PRINTS]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=3 * SOON)
    assert (done.stdout, done.stderr) == ("once HELLO\n", "")


def test_short_visits_leave_nothing_behind(serve: Serve) -> None:
    """No process, no descriptor."""
    server = serve(ForkingServer)

    def visit() -> None:
        with socket.create_connection(server.server_address, SOON) as visitor:
            visitor.sendall(b"hi\n")
            assert visitor.recv(100) == b"HI\n"

    visit()
    assert server.service.journal.wait_for("left", timeout=SOON)
    before = psutil.Process().num_fds()  # what the first fork leaves, once, does not count
    for _ in range(19):
        visit()
    assert server.service.journal.wait_for("left", count=20, timeout=SOON)
    assert eventually(lambda: not server.clients and psutil.Process().num_fds() <= before)


def test_one_client_too_many_is_told_so(serve: Serve, connect: Connect) -> None:
    """The limit holds across processes."""
    server = serve(ForkingServer, limits=Limits(clients=1))
    alice = connect(server)
    alice.send("hello")
    assert alice.receive(SOON) == "HELLO"
    assert connect(server).receive(SOON) == "* the server is full"


def test_where_there_is_no_fork_it_says_what_to_take_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.delattr(os, "fork")
    with pytest.raises(NotImplementedError, match="cannot fork: use ThreadingServer"):
        ForkingServer()
