"""Starting and stopping in the background: ours, those of `socketserver`, and a student's own."""

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Connect, Serve
from faults import (
    POSIX,
    SOON,
    Sleeper,
    environment,
    eventually,
    hasty_switching,
    no_thread_starts,
    server_threads,
    together,
)

import chatlib
from chatlib import Disconnected, Limits, Server, background

Model = type[Server]
LOOPBACK = ("127.0.0.1", 0)


class Echo(socketserver.BaseRequestHandler):
    """A handler as a textbook has it."""

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


FOREIGN = [socketserver.TCPServer, socketserver.ThreadingTCPServer]
foreign = pytest.mark.parametrize("stock", FOREIGN)


@pytest.fixture(autouse=True)
def _close_all(_nothing_is_left: None) -> Iterator[None]:
    """What a failing test has left running is stopped."""
    yield
    chatlib.stop_all()


class Own:
    """A student's server: the verbs of `socketserver`, and nothing else in common with it."""

    def __init__(self, address: tuple[str, int] = LOOPBACK) -> None:
        self._listener = socket.create_server(address)
        self._listener.settimeout(0.02)
        self._ended, self._served = False, threading.Event()
        self.server_address = self._listener.getsockname()

    def serve_forever(self) -> None:
        while not self._ended:
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                with connection:
                    connection.sendall(b"hello\n")
                    connection.recv(1)
        self._served.set()

    def shutdown(self) -> None:
        self._ended = True
        self._served.wait(SOON)

    def server_close(self) -> None:
        self._listener.close()


class OwnWithSocket(Own):
    """The same, with the attribute `socket` that a server of `socketserver` has."""

    @property
    def socket(self) -> socket.socket:
        return self._listener


def can_bind(address: tuple[str, int]) -> bool:
    """Returns whether the port is free."""
    with socket.create_server(address):
        return True


def talks(client: chatlib.Client, answer: str = "HELLO") -> bool:
    client.send("hello")
    return client.receive(SOON) == answer


# Starting


def test_a_class_is_made_and_started(model: Model, connect: Connect) -> None:
    """`start` returns the server, which accepts from then on."""
    server = chatlib.start(model, service=chatlib.Shout(), limits=Limits(clients=5))
    assert type(server) is model
    assert server.limits.clients == 5
    assert talks(connect(server))
    chatlib.stop(server)


def test_an_instance_is_started(model: Model, connect: Connect) -> None:
    """A server that exists already is started as it is."""
    server = model()
    assert chatlib.start(server) is server
    assert talks(connect(server))
    chatlib.stop(server)


def test_a_factory_is_called(model: Model, connect: Connect) -> None:
    """Any function that returns a server will do."""
    server = chatlib.start(lambda limit: model(limits=Limits(line=limit)), limit=10)
    assert server.limits.line == 10
    assert talks(connect(server))
    chatlib.stop(server)


def test_starting_twice_is_starting_once(model: Model) -> None:
    """A server that runs is returned, and no second thread serves it."""
    server = chatlib.start(model)
    assert chatlib.start(server) is server
    assert len([thread for thread in threading.enumerate() if thread.name == "the server"]) == 1
    chatlib.stop(server)


def test_a_stopped_server_is_not_started_again(model: Model) -> None:
    """Its port is gone: ValueError, which says what to do."""
    server = chatlib.start(model)
    chatlib.stop(server)
    with pytest.raises(ValueError, match="make a new one"):
        chatlib.start(server)


@foreign
def test_a_stopped_stock_server_is_not_started_again(stock: type[socketserver.TCPServer]) -> None:
    """The same for those of `socketserver`."""
    server = chatlib.start(stock, LOOPBACK, Echo)
    chatlib.stop(server)
    with pytest.raises(ValueError, match="make a new one"):
        chatlib.start(server)


def test_a_server_that_was_shut_down_is_not_started_again(model: Model) -> None:
    """After `shutdown` it would never serve: ValueError as well."""
    with model() as server:
        server.shutdown()
        with pytest.raises(ValueError, match="make a new one"):
            chatlib.start(server)


def test_a_server_that_closed_itself_is_not_said_to_run(model: Model) -> None:
    """`start` does not give back a server that the textbook's verbs have ended meanwhile."""
    server = chatlib.start(model)
    server.server_close()
    with pytest.raises(ValueError, match="make a new one"):
        chatlib.start(server)


@pytest.fixture
def lingering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Lets the thread of a kind of server live on after `serve_forever`, until another thread joins it."""
    joined, join = threading.Event(), threading.Thread.join

    def join_lingering(thread: threading.Thread, timeout: float | None = None) -> None:
        joined.set()
        join(thread, timeout)

    def linger(kind: Any) -> None:
        serve_forever = kind.serve_forever

        def serve_and_linger(server: Any, *args: Any, **kwargs: Any) -> None:
            serve_forever(server, *args, **kwargs)
            joined.wait(SOON)

        monkeypatch.setattr(kind, "serve_forever", serve_and_linger)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join_lingering)
        yield linger
        joined.set()


def test_a_closed_server_whose_thread_still_lives_is_not_said_to_run(
    model: Model, lingering: Callable[[Any], None]
) -> None:
    """A thread ends a moment after its `serve_forever` does: `start` must not take it for a server."""
    lingering(model)
    server = chatlib.start(model)
    server.server_close()  # joins the threads of clients, and not the one that accepted them
    with pytest.raises(ValueError, match="make a new one"):
        chatlib.start(server)


@foreign
def test_a_stock_server_is_served_again_after_shutdown(
    stock: type[socketserver.TCPServer], lingering: Callable[[Any], None], connect: Connect
) -> None:
    """`shutdown` returns before the thread ends: `start` must start another, and not trust the old one."""
    lingering(stock)
    server = chatlib.start(stock, LOOPBACK, Echo)
    server.shutdown()
    assert talks(connect(chatlib.start(server)), "hello")


def test_a_server_that_cannot_be_made_leaves_nothing(model: Model) -> None:
    """An address that cannot be had raises OSError, and no thread has been started."""
    with socket.create_server(LOOPBACK) as listener, pytest.raises(OSError, match="cannot listen on"):
        chatlib.start(model, listener.getsockname())
    assert not server_threads()


def test_a_thread_that_cannot_be_started_leaves_nothing(model: Model, connect: Connect) -> None:
    """When no thread is left, `start` raises; tried again later, the same server starts."""
    with model() as server:
        with no_thread_starts("the server"), pytest.raises(RuntimeError):
            chatlib.start(server)
        chatlib.start(server)
        assert "the server" in [thread.name for thread in threading.enumerate()]


def test_a_server_of_ones_own_is_started_and_stopped(connect: Connect) -> None:
    """Four verbs and a socket are enough."""
    server = chatlib.start(OwnWithSocket)
    with connect(server) as client:
        assert client.receive(SOON) == "hello"
    chatlib.stop(server)
    assert can_bind(server.server_address)


def test_a_server_with_the_verbs_alone_is_started_and_stopped(connect: Connect) -> None:
    """`server_address`, `serve_forever`, `shutdown`, `server_close`: nothing else is asked for."""
    server = Own()
    with contextlib.ExitStack() as stack:
        stack.callback(server.server_close)
        chatlib.start(server)
        with connect(server) as client:
            assert client.receive(SOON) == "hello"
        chatlib.stop(server)


# Stopping


def test_stopping_frees_the_port(model: Model, connect: Connect) -> None:
    """It can be bound at once, although clients were connected."""
    server = chatlib.start(model)
    assert talks(connect(server))
    chatlib.stop(server)
    with model(server.server_address) as again:
        assert again.server_address == server.server_address


def test_stopping_twice_does_nothing_the_second_time(model: Model, connect: Connect) -> None:
    """No descriptor is closed again: another server may have its number by then."""
    server = chatlib.start(model)
    chatlib.stop(server)
    other = chatlib.start(model)
    chatlib.stop(server)
    assert talks(connect(other))
    assert [running.server for running in background._running.values()] == [other]


def test_stopping_what_never_started(model: Model) -> None:
    """A server that was made but not started is closed."""
    server = model()
    chatlib.stop(server)
    assert server.socket.fileno() == -1


def test_stopping_what_the_textbook_started(model: Model) -> None:
    """`stop` also ends a server in a thread of the reader's own."""
    server = model()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    chatlib.stop(server)
    thread.join(SOON)
    assert not thread.is_alive()


def test_stop_all_stops_all(model: Model) -> None:
    """All that `start` has started, of every kind."""
    servers = [chatlib.start(model) for _ in range(3)]
    stock = chatlib.start(socketserver.TCPServer, LOOPBACK, Echo)
    chatlib.stop_all()
    assert [server.socket.fileno() for server in servers] == [-1] * 3
    assert stock.socket.fileno() == -1
    assert not server_threads()


def test_running_stops_at_the_end(model: Model, connect: Connect) -> None:
    """The server of a `with` block runs inside and is stopped after it, also by an exception."""
    with pytest.raises(LookupError), chatlib.running(model) as server:
        assert talks(connect(server))
        raise LookupError
    assert server.socket.fileno() == -1


def test_a_handler_may_stop_its_server(model: Model, connect: Connect) -> None:
    """`stop` from inside a service returns, and all ends."""

    class StopsItsServer(chatlib.Shout):
        stopped = threading.Event()

        def answer(self, member: chatlib.Member, lines: list[str]) -> None:
            chatlib.stop(server)
            self.stopped.set()

    service = StopsItsServer()
    server = chatlib.start(model, service=service)
    connect(server).send("stop")
    assert service.stopped.wait(SOON)
    assert eventually(lambda: not server_threads())
    assert can_bind(server.server_address)


def test_a_busy_handler_is_reported(model: Model, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that does not end is left behind, with a warning that points at the caller."""
    monkeypatch.setattr("chatlib.servers.core.server.STOP_WITHIN", 0.1)
    service = Sleeper()
    server = chatlib.start(model, service=service)
    connect(server).send("hello")
    assert service.asleep.wait(SOON)
    with pytest.warns(RuntimeWarning) as warned:
        chatlib.stop(server)
    assert warned[0].filename == __file__
    service.awake.set()


# Those of socketserver


@foreign
def test_a_stock_server_is_stopped_with_a_silent_client(
    stock: type[socketserver.TCPServer], connect: Connect
) -> None:
    """Stock code would wait for that client for ever, or go on serving it."""
    server = chatlib.start(stock, LOOPBACK, Echo)
    client = connect(server)
    assert talks(client, "hello")
    chatlib.stop(server)  # warns if a thread of the server has not ended: that would be an error here
    with pytest.raises(Disconnected):
        client.receive(SOON)
    assert eventually(lambda: not [t for t in threading.enumerate() if "process_request" in t.name])
    assert server.socket.fileno() == -1


@POSIX
@foreign
def test_a_stock_server_can_be_started_again_on_its_port(
    stock: type[socketserver.TCPServer], connect: Connect
) -> None:
    """With a port set by hand, stopping and starting again works at once, with clients there too."""
    server = chatlib.start(stock, LOOPBACK, Echo)
    assert talks(connect(server), "hello")
    chatlib.stop(server)
    again = chatlib.start(stock, server.server_address, Echo)
    assert again.server_address == server.server_address
    chatlib.stop(again)


@foreign
def test_a_stock_server_looks_often_whether_it_shall_stop(stock: Any) -> None:
    """socketserver's own half a second would be the time that `stop` takes, for each idle server."""
    intervals = []

    class Recorded(stock):  # type: ignore[misc]
        def serve_forever(self, poll_interval: float = 0.5) -> None:
            intervals.append(poll_interval)
            super().serve_forever(poll_interval)

    chatlib.stop(chatlib.start(Recorded, LOOPBACK, Echo))
    assert intervals == [background.POLL_INTERVAL]
    assert background.POLL_INTERVAL <= 0.05


def test_a_quick_shutdown_still_ends_every_conversation(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are closed even if the thread that shuts down has ended at once."""
    server = chatlib.start(socketserver.ThreadingTCPServer, LOOPBACK, Echo)
    client, start = connect(server), threading.Thread.start
    assert talks(client, "hello")

    def start_and_join(thread: threading.Thread) -> None:
        start(thread)
        thread.join(SOON)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_and_join)
        chatlib.stop(server)
    with pytest.raises(Disconnected):
        client.receive(SOON)


class Deaf(socketserver.BaseRequestHandler):
    """A handler that does not notice the end: it waits for something else."""

    there, release = threading.Event(), threading.Event()

    def handle(self) -> None:
        self.there.set()
        self.release.wait(SOON)


def test_a_busy_stock_handler_is_reported(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler thread that goes on after `stop` is worth the same warning as one of ours."""
    monkeypatch.setattr("chatlib.background.STOP_WITHIN", 0.2)
    server = chatlib.start(socketserver.ThreadingTCPServer, LOOPBACK, Deaf)
    connect(server)
    assert Deaf.there.wait(SOON)
    try:
        with pytest.warns(RuntimeWarning, match="busy"):
            chatlib.stop(server)
    finally:
        Deaf.release.set()


def test_a_stuck_stock_server_is_reported(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single-threaded one whose handler does not end cannot be stopped in time; `stop` says so."""
    monkeypatch.setattr("chatlib.background.STOP_WITHIN", 0.2)
    Deaf.there.clear()
    Deaf.release.clear()
    server = chatlib.start(socketserver.TCPServer, LOOPBACK, Deaf)
    connect(server)
    assert Deaf.there.wait(SOON)
    try:
        with pytest.warns(RuntimeWarning, match="busy"):
            chatlib.stop(server)
    finally:
        Deaf.release.set()


@foreign
def test_a_stock_server_that_never_started_is_closed(
    stock: type[socketserver.TCPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping before it served frees its port as well."""
    monkeypatch.setattr("chatlib.background.STOP_WITHIN", 0.2)
    with stock(LOOPBACK, Echo) as server:
        chatlib.stop(server)
        assert server.socket.fileno() == -1
        vars(server)["_BaseServer__is_shut_down"].set()  # frees the thread that waits in its `shutdown`


@foreign
def test_a_stock_handler_may_stop_its_server(stock: type[socketserver.TCPServer], connect: Connect) -> None:
    """Its own `shutdown` would deadlock there."""
    stopped = threading.Event()

    class StopsItsServer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            chatlib.stop(self.server)
            stopped.set()

    server = chatlib.start(stock, LOOPBACK, StopsItsServer)
    connect(server)
    assert stopped.wait(SOON)
    assert eventually(lambda: server.socket.fileno() == -1 and not server_threads())


@foreign
def test_a_stock_handler_may_stop_its_server_before_start_returns(
    stock: type[socketserver.TCPServer], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has connected before is served, and stops the server, while `start` still starts it."""
    stopped, start = threading.Event(), threading.Thread.start

    class Hasty(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            chatlib.stop(self.server)
            stopped.set()

    def start_slowly(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "the server":
            assert stopped.wait(SOON)

    server = stock(LOOPBACK, Hasty)
    connect(server)
    monkeypatch.setattr(threading.Thread, "start", start_slowly)
    chatlib.start(server)
    assert not background._running, "it was noted as running when it had been stopped"


def test_a_script_with_a_stock_server_can_end() -> None:
    """Python exits although a `ThreadingTCPServer` that `start` has started serves a silent client."""
    script = """
import chatlib, socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello\\n")
        self.request.recv(1)
client = chatlib.connect(chatlib.start(socketserver.ThreadingTCPServer, ("127.0.0.1", 0), Echo))
client.receive(10)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), timeout=3 * SOON, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# Several threads at once


def test_two_may_stop_the_same_server(model: Model) -> None:
    """The second thread finds nothing to do, whatever the order."""
    with hasty_switching():
        for _ in range(20):
            server = chatlib.start(model)
            together(*[lambda server=server: chatlib.stop(server)] * 2)
            assert server.socket.fileno() == -1


@foreign
def test_stop_all_frees_the_port_of_one_that_was_shut_down(stock: type[socketserver.TCPServer]) -> None:
    """`shutdown` alone ends the thread and keeps the port; `stop_all` frees it all the same."""
    servers = [chatlib.start(stock, LOOPBACK, Echo), chatlib.start(chatlib.SyncServer)]
    for server in servers:
        server.shutdown()
    chatlib.start(chatlib.SyncServer)
    chatlib.stop_all()
    assert [server.socket.fileno() for server in servers] == [-1, -1]


def test_a_server_that_serves_already_is_not_served_twice(model: Model) -> None:
    """A second `serve_forever` raises; the first goes on, and can be stopped."""
    with model() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert eventually(lambda: server.threads)
        with pytest.raises(RuntimeError, match="already"):
            server.serve_forever()
        chatlib.stop(server)
        thread.join(SOON)
        assert not thread.is_alive()


def test_many_servers_run_side_by_side(serve: Serve, model: Model, connect: Connect) -> None:
    """Each has its own port and its own clients."""
    servers = [serve(model) for _ in range(5)]
    assert len({server.server_address for server in servers}) == 5
    for server in servers:
        assert talks(connect(server))
