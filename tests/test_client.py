"""A connection in one hand: lines in, lines out, and a deadline on every call that waits."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults import POSIX, SOON, jam, read_exactly, read_to_the_end, reset, together

import chatlib
from chatlib import Client, Disconnected
from chatlib.client import CLIENT_LINE_LIMIT, address_of, reach

Pair = Callable[[], tuple[Client, socket.socket]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens, and no server behind it: the test itself answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON)
        yield listener


@pytest.fixture
def ends(listener: socket.socket) -> Iterator[tuple[Client, socket.socket]]:
    """A client, and the plain socket at the other end."""
    with chatlib.connect(listener.getsockname(), "alice", timeout=SOON) as client:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(SOON)
            yield client, peer


Ends = tuple[Client, socket.socket]


# Sending and receiving


def test_a_line_there_and_back(ends: Ends) -> None:
    """`send` adds the newline, `receive` takes it off."""
    client, peer = ends
    client.send("héllo")
    assert peer.recv(100) == "héllo\n".encode()
    peer.sendall("wörld\r\n".encode())
    assert client.receive(SOON) == "wörld"


def test_lines_come_one_by_one(ends: Ends) -> None:
    """What one chunk brought is handed out line by line; half a line waits for the rest."""
    client, peer = ends
    peer.sendall(b"one\ntwo\nthr")
    assert [client.receive(SOON), client.receive(SOON)] == ["one", "two"]
    peer.sendall(b"ee\n")
    assert client.receive(SOON) == "three"


def test_receive_has_a_deadline(ends: Ends) -> None:
    """When no whole line comes: TimeoutError, which names the client; the half of one is not lost."""
    client, peer = ends
    peer.sendall(b"half")
    with pytest.raises(TimeoutError, match="no line came for alice within 0.05 s"):
        client.receive(0.05)
    peer.sendall(b" a line\n")
    assert client.receive(SOON) == "half a line"


def test_receive_without_waiting(ends: Ends) -> None:
    """A timeout of 0 asks whether something is there already."""
    client, peer = ends
    with pytest.raises(TimeoutError):
        client.receive(0)
    peer.sendall(b"one\ntwo\n")
    assert client.receive(SOON) == "one"
    assert client.receive(0) == "two"


def test_a_peer_that_never_ends_its_line_does_not_hold_up_receive(ends: Ends) -> None:
    """Once the deadline has passed nothing more is read, although there is more."""
    client, peer = ends
    assert jam(peer) > 200_000
    with pytest.raises(TimeoutError):
        client.receive(0)
    client.socket.settimeout(0.2)
    assert client.socket.recv(1, socket.MSG_PEEK)


def test_a_line_over_the_limit_is_reported(ends: Ends) -> None:
    """A line longer than a client accepts is an error that says so, and not a timeout."""
    client, peer = ends

    def pour() -> None:
        peer.sendall(b"x" * (CLIENT_LINE_LIMIT + 10) + b"\nnext\n")

    def receive() -> None:
        with pytest.raises(ConnectionError):
            client.receive(SOON)

    together(pour, receive)


def test_the_end_is_an_error_of_its_own(ends: Ends) -> None:
    """After the last line: Disconnected, each time it is asked."""
    client, peer = ends
    peer.sendall(b"last\nhalf")
    peer.close()
    assert client.receive(SOON) == "last"
    for _ in range(2):
        with pytest.raises(Disconnected, match="the server has ended the connection of alice"):
            client.receive(SOON)


def test_a_reset_is_an_end_as_well(ends: Ends) -> None:
    """The server crashed: Disconnected, and the message says that it is broken."""
    client, peer = ends
    reset(peer)
    with pytest.raises(Disconnected, match="the connection of alice is broken"):
        client.receive(SOON)


def test_disconnected_is_a_connection_error() -> None:
    """So `except ConnectionError` catches it, and `except TimeoutError` does not."""
    assert issubclass(Disconnected, ConnectionError)
    assert not issubclass(Disconnected, TimeoutError)


def test_send_has_a_deadline(ends: Ends) -> None:
    """When the peer does not read: TimeoutError."""
    client, _ = ends
    jam(client.socket)
    with pytest.raises(TimeoutError):
        client.send("one more", timeout=0.05)


def test_sending_to_a_server_that_has_gone_is_a_connection_error(ends: Ends) -> None:
    """When the server has gone, one of the next lines says so."""
    client, peer = ends
    reset(peer)
    with pytest.raises(ConnectionError):
        for _ in range(100):
            client.send("anybody there?")


def test_sending_after_closing_is_a_connection_error(ends: Ends) -> None:
    """As for `receive`: the client has left."""
    client, _ = ends
    client.close()
    with pytest.raises(ConnectionError):
        client.send("too late")


# Waiting


def test_waits_is_true_when_nothing_comes(ends: Ends) -> None:
    """It blocks for so long; half a line is not a line."""
    client, peer = ends
    start = time.monotonic()
    assert client.waits(0.05)
    assert time.monotonic() - start >= 0.045
    peer.sendall(b"half")
    assert client.waits(0.05)


def test_waits_keeps_what_came(ends: Ends) -> None:
    """A line that arrives makes it False, and is still there to be received, in order."""
    client, peer = ends
    peer.sendall(b"one\ntwo\n")
    assert not client.waits(SOON)
    assert not client.waits(SOON)
    assert [client.receive(SOON), client.receive(SOON)] == ["one", "two"]


def test_waits_is_false_at_the_end(ends: Ends) -> None:
    """On a connection that has ended there is nothing to wait for."""
    client, peer = ends
    peer.close()
    assert not client.waits(SOON)


def test_an_address_by_which_the_server_knows_it(ends: Ends) -> None:
    """Host and port of this end."""
    client, peer = ends
    assert client.address == peer.getpeername()


# Leaving


def test_close_says_goodbye(ends: Ends) -> None:
    """The other side sees the end (FIN), and closing twice is harmless."""
    client, peer = ends
    client.send("bye")
    client.close()
    client.close()
    assert read_to_the_end(peer) == b"bye\n"


def test_close_is_polite_over_unread_lines(ends: Ends) -> None:
    """Lines that were not read do not turn the goodbye into a reset."""
    client, peer = ends
    peer.sendall(b"unread\n" * 1000)
    assert not client.waits(SOON)
    client.close()
    assert read_to_the_end(peer) == b""


def test_a_closed_client_hears_nothing(ends: Ends) -> None:
    """Disconnected, with the reason that it left itself."""
    client, _ = ends
    client.close()
    with pytest.raises(Disconnected, match="alice has left"):
        client.receive(SOON)


class ClosedMeanwhile(socket.socket):
    """Another thread closes it between any look at whether it is open and what follows."""

    def settimeout(self, seconds: float | None) -> None:
        self.close()
        super().settimeout(seconds)


@pytest.mark.parametrize("call", [lambda client: client.receive(SOON), lambda client: client.send("hello")])
def test_a_client_that_is_closed_meanwhile_has_left(ends: Ends, call: Callable[[Client], object]) -> None:
    """The thread that receives or sends is told what it is told of a client that was closed before."""
    client, _ = ends
    client.socket = ClosedMeanwhile(fileno=client.socket.detach())
    with pytest.raises(Disconnected, match="alice has left"):
        call(client)


def test_closing_after_the_server_has_gone(ends: Ends) -> None:
    """There is no server to say goodbye to."""
    client, peer = ends
    reset(peer)
    with pytest.raises(Disconnected):
        client.receive(SOON)
    client.close()
    assert client.socket.fileno() == -1


def test_a_with_block_closes(listener: socket.socket) -> None:
    """A client is a context manager."""
    with chatlib.connect(listener.getsockname()) as client:
        assert client.socket.fileno() != -1
    assert client.socket.fileno() == -1


def test_half_close_still_hears(ends: Ends) -> None:
    """The other side sees the end, and may still answer."""
    client, peer = ends
    client.send("question")
    client.half_close()
    assert read_to_the_end(peer) == b"question\n"
    peer.sendall(b"answer\n")
    assert client.receive(SOON) == "answer"


@POSIX
def test_reset_breaks_off(ends: Ends) -> None:
    """The other side gets ConnectionResetError; a second one is harmless."""
    client, peer = ends
    client.reset()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    client.reset()
    client.close()


def test_a_stable_name(ends: Ends) -> None:
    """What a notebook shows is the same each time."""
    assert repr(ends[0]) == "<Client alice>"


def test_clients_without_a_name_are_numbered(listener: socket.socket) -> None:
    """Each gets the next number."""
    with chatlib.connect(listener.getsockname()) as one, chatlib.connect(listener.getsockname()) as two:
        first, second = (int(client.name.removeprefix("client ")) for client in (one, two))
        assert second == first + 1


# Interruption, which a notebook's stop button is


def test_an_interrupted_receive_loses_nothing(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """After KeyboardInterrupt the connection is as it was."""
    import _thread

    client, peer = ends
    peer.sendall(b"half")
    assert client.waits(0.05)
    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(200):  # interrupt_main does not end a wait by itself; a real SIGINT does
            with contextlib.suppress(TimeoutError):
                client.receive(0.05)
    timer.join()
    peer.sendall(b" a line\n")
    assert client.receive(SOON) == "half a line"
    client.send("still here")
    assert read_exactly(peer, 11) == b"still here\n"


# Addresses


class Fake:
    server_address: Any = ("127.0.0.1", 8888)


class FakeSix:
    server_address: Any = ("::1", 8888, 0, 0)


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (("127.0.0.1", 8888), ("127.0.0.1", 8888)),
        ("127.0.0.1:8888", ("127.0.0.1", 8888)),
        ("example.org:80", ("example.org", 80)),
        ("[::1]:8888", ("::1", 8888)),
        (Fake, ("127.0.0.1", 8888)),
        (FakeSix, ("::1", 8888)),
        (("0.0.0.0", 8888), ("127.0.0.1", 8888)),
        (("", 8888), ("127.0.0.1", 8888)),
        (":8888", ("127.0.0.1", 8888)),
        ("localhost:8888", ("127.0.0.1", 8888)),
    ],
    ids=repr,
)
def test_targets(target: Any, address: tuple[str, int]) -> None:
    """A server, a pair or a text; `localhost` and every address mean 127.0.0.1."""
    assert address_of(target) == address


@pytest.mark.parametrize("target", ["127.0.0.1", "127.0.0.1:", "nonsense", "host:http", "", "host:-1"])
def test_a_text_that_is_no_address(target: str) -> None:
    """ValueError, with an example of the right form."""
    with pytest.raises(ValueError, match="not of the form HOST:PORT, like 127.0.0.1:8888"):
        chatlib.connect(target)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_number_that_is_no_port(port: int) -> None:
    """ValueError, which says what ports are."""
    with pytest.raises(ValueError, match="is not a port: ports are numbers from 1 to 65535"):
        chatlib.connect(("127.0.0.1", port))


@pytest.mark.exhaustive
def test_no_two_clients_have_one_port() -> None:
    """By it they are known; two of different servers might, as in one of thirty of these rounds on Linux."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
            ports = list[int]()
            for _ in range(40):
                for server in servers:
                    client = stack.enter_context(reach(server.getsockname(), SOON))
                    stack.enter_context(server.accept()[0])
                    ports.append(client.getsockname()[1])
            assert len(set(ports)) == 80


def test_a_port_without_a_listener_is_refused() -> None:
    """ConnectionRefusedError, which names host and port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        host, port = bound.getsockname()
        with pytest.raises(ConnectionRefusedError, match=f"cannot connect to {host}:{port}: "):
            chatlib.connect((host, port))


def test_no_answer_in_time(listener: socket.socket) -> None:
    """TimeoutError, which names host and port, when the backlog is full and no server accepts."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        host, port = full.getsockname()
        with pytest.raises(TimeoutError, match=f"cannot connect to {host}:{port}: timed out"):
            for _ in range(20):
                stack.enter_context(chatlib.connect((host, port), timeout=0.1))


def test_the_message_of_a_timeout_is_clean() -> None:
    """No `Errno None` in what a learner reads."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with pytest.raises(TimeoutError) as caught:
            for _ in range(20):
                stack.enter_context(chatlib.connect(full.getsockname(), timeout=0.1))
    assert not re.search("None", str(caught.value))


def test_no_such_host() -> None:
    """OSError, which names it."""
    with pytest.raises(OSError, match="cannot connect to no such host:80: "):
        chatlib.connect("no such host:80")
