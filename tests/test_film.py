"""The X-ray on programs that have never heard of chatlib."""

import _socket
import _thread
import array
import asyncio
import collections
import contextlib
import copy
import functools
import gc
import itertools
import linecache
import os
import pickle
import queue
import re
import select
import selectors
import signal
import socket
import socketserver
import ssl
import stat
import struct
import sys
import threading
import time
import types
import unittest.mock
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import quote

import pytest
from faults import POSIX, SOON, eventually, untraced
from hypothesis import given, settings
from hypothesis import strategies as st

import chatlib
from chatlib.api import Film, xray
from chatlib.client import client_names
from chatlib.film.record.files import kinds_in_lists
from chatlib.film.record.other_waits import FACTORIES, WAITS, watched_select
from chatlib.film.record.patches import unwatch
from chatlib.film.record.recorder import enter as recorder_enter
from chatlib.film.record.recorder import pause
from chatlib.film.render.arrows import arrows_of
from chatlib.film.spans import Span, Waiting
from chatlib.sockets import Wakeup

LOOPBACK = ("127.0.0.1", 0)


class Echo(socketserver.BaseRequestHandler):
    """The handler of a textbook."""

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def film() -> Iterator[Film]:
    """A film that runs during the test."""
    with xray() as film:
        yield film


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    with (
        socket.create_server(LOOPBACK) as listener,
        socket.create_connection(listener.getsockname()) as here,
        listener.accept()[0] as there,
    ):
        yield here, there


def waits(film: Film, thread: str, call: str) -> Waiting:
    """Returns what a thread waits for, as soon as it is in that call."""
    found: list[Waiting] = []

    def is_there() -> bool:
        found[:] = [waiting for waiting in film.waiting() if (waiting.thread, waiting.call) == (thread, call)]
        return bool(found)

    assert eventually(is_there), film.waiting()
    return found[0]


@contextlib.contextmanager
def another(target: Callable[..., object], *args: Any, name: str = "another") -> Iterator[threading.Thread]:
    """Runs a function in a thread of its own, which must have ended soon after the block."""
    thread = threading.Thread(target=target, args=args, name=name)
    thread.start()
    yield thread
    thread.join(SOON)
    assert not thread.is_alive()


def calls(film: Film, name: str) -> list[Span]:
    """Returns the calls of one kind that have returned."""
    return [span for span in film.spans if span.call == name and span.end is not None]


# Which thread waits, now


def test_a_thread_in_recv(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """The thread, the call, the line of the program, and for how long."""
    here, there = pair
    with another(here.recv, 10):
        waiting = waits(film, "another", "recv")
        there.sendall(b"x")
    assert waiting.place
    assert waiting.seconds >= 0


def test_the_peer_of_a_connection_has_its_name(film: Film) -> None:
    """A client that `connect` made is called by its name, in the lane of the thread that serves it, too."""
    with (
        chatlib.running(socketserver.ThreadingTCPServer, LOOPBACK, Echo) as server,
        chatlib.connect(server, "alice") as alice,
    ):
        alice.send("hi")
        assert alice.receive(SOON) == "hi"
        waiting = waits(film, "serves alice", "recv")
    assert waiting.on == "alice"
    assert waiting.place
    assert waiting.place.source == "while data := self.request.recv(1024):"


def test_the_port_of_a_client_that_has_left_names_nobody_else(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """The system gives the same port to a later connection; a film that began in between knows that."""
    here, there = pair
    with socket.create_server(LOOPBACK) as listener:
        alice = chatlib.connect(listener.getsockname(), "alice")
    # When the system gives a port again is its own affair. What it leaves behind is this:
    client_names[here.getsockname()] = client_names[alice.address]
    alice.close()
    with xray() as film, another(there.recv, 10):
        waiting = waits(film, "another", "recv")
        here.sendall(b"x")
    assert waiting.on == "peer 1"


def test_a_client_that_leaves_during_the_film_keeps_its_name(film: Film) -> None:
    """What it has done still happened to it."""
    with chatlib.running(socketserver.ThreadingTCPServer, LOOPBACK, Echo) as server:
        with chatlib.connect(server, "alice") as alice:
            alice.send("hi")
            assert alice.receive(SOON) == "hi"
        assert eventually(lambda: "serves alice" in film.story())


def test_one_server_thread_serves_one_and_another_lies_untouched(film: Film) -> None:
    """The picture of lesson 02: the server is in recv from A, and B's bytes have been taken by nobody."""
    with (
        chatlib.running(socketserver.TCPServer, LOOPBACK, Echo) as server,
        chatlib.connect(server, "A"),
        chatlib.connect(server, "B") as b,
    ):
        b.send("B was quick")
        assert waits(film, "the server", "recv").on == "A"
        untaken = [message for message in film.messages if message.received is None]
        assert [message.size for message in untaken] == [len(b"B was quick\n")]


@pytest.mark.parametrize("model", [socketserver.TCPServer, socketserver.ThreadingTCPServer])
def test_an_idle_server_waits_for_a_connection(film: Film, model: type[socketserver.TCPServer]) -> None:
    """It is in select, not in accept; what it waits for is said all the same."""
    with chatlib.running(model, LOOPBACK, Echo):
        assert waits(film, "the server", "select").on == "a connection"


def test_a_selector_with_several_sockets(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """A program with an event loop of its own waits for any of them."""
    here, there = pair
    with selectors.DefaultSelector() as selector, socket.create_server(LOOPBACK) as listener:
        for end in (listener, here, there):
            selector.register(end, selectors.EVENT_READ)
        with another(selector.select):
            assert waits(film, "another", "select").on == "a connection or any of 2 sockets"
            there.sendall(b"x")


def test_select_itself(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """The function, by way of its module."""
    here, there = pair
    with another(lambda: select.select([here, there], [], [], SOON)):
        assert waits(film, "another", "select").on == "any of 2 sockets"
        there.sendall(b"x")


def test_select_says_what_sort_of_file_it_waits_for(film: Film) -> None:
    """A listener, the keyboard and a pipe are no sockets; what it reads and writes is one."""
    reader, writer = os.pipe()
    with open(reader) as pipe, open(writer, "w") as end, socket.create_server(LOOPBACK) as listener:
        files = [listener, 0, pipe]
        with unittest.mock.patch("os.fstat", lambda _: os.stat_result([stat.S_IFIFO] + [0] * 9)):
            assert kinds_in_lists(files, [listener], []) == "a connection or standard input or a pipe"
            assert kinds_in_lists([end, pipe], [], []) == "any of 2 pipes"
    here, there = socket.socketpair()
    with here, there:
        select.select([here, there], [there], [], 0)
        select.select(iter([here]), [there], [], 0)  # any iterable will do, and it is used up
    assert [span.subject for span in calls(film, "select")] == ["any of 2 sockets", ""]


def test_a_reader_made_by_makefile(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """`rfile` reads by `recv_into`."""
    here, there = pair
    with here.makefile("rb") as reader, another(reader.readline):
        waiting = waits(film, "another", "recv_into")
        there.sendall(b"line\n")
    assert waiting.on == "the server"


def test_a_send_that_blocks(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """Nobody reads: the sleeper of lesson 06."""
    here, there = pair

    def send() -> None:
        with contextlib.suppress(OSError):
            here.sendall(bytes(20_000_000))

    with another(send):
        waits(film, "another", "sendall")
        there.close()
    assert [span.outcome for span in calls(film, "sendall")] == ["reset"]


def test_a_lock_and_who_holds_it(film: Film) -> None:
    """A lock that was made while the film runs knows its holder."""
    lock = threading.Lock()

    def use() -> None:
        with lock:
            pass

    with contextlib.ExitStack() as stack, lock:
        stack.enter_context(another(use))
        assert waits(film, "another", "acquire").on == "the lock that the main program holds"
    assert not lock.locked()


def test_the_other_waits(film: Film) -> None:
    """Joins, events, queues, sleeps."""
    event, items = threading.Event(), queue.Queue[int]()
    with (
        another(event.wait, name="first") as first,
        another(items.get, name="second"),
        another(first.join, name="third"),
    ):
        assert waits(film, "first", "wait").on == "an event"
        assert waits(film, "second", "get").on == "an item in a queue"
        assert waits(film, "third", "join").on == "the end of first"
        items.put(1)
        event.set()
    time.sleep(0.001)
    assert [span.subject for span in calls(film, "sleep")] == ["0.001 s"]


def test_tasks_of_an_event_loop(film: Film) -> None:
    """The loop's thread waits in select; each task says what it awaits, and at which line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, *LOOPBACK)
        addresses.put(server.sockets[0].getsockname())
        async with server:
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, over.wait, SOON), SOON)

    addresses, over = queue.Queue[Any](), threading.Event()
    with another(asyncio.run, main(), name="the loop"):
        with socket.create_connection(addresses.get(timeout=SOON)) as client:
            waiting = waits(film, "task serve for peer 1", "await")
            assert waits(film, "the loop", "select").on == "a connection or a socket"
            client.sendall(b"line\n")
            assert client.recv(10) == b"line\n"
        over.set()
    assert waiting.on == "StreamReader.readline for peer 1"
    assert waiting.place
    assert waiting.place.source == "writer.write(await reader.readline())"
    ended = [(span.thread, span.subject) for span in film.spans if span.call == "await" and span.end]
    assert ("task serve", "StreamReader.readline") in ended


def test_a_task_that_has_only_a_name(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """Made of a coroutine of Python's own, it is told all the same; one without a name is not."""

    async def main() -> None:
        reader, writer = await asyncio.open_connection(sock=pair[0])
        items = asyncio.Queue[int]()
        hears = asyncio.create_task(reader.readline(), name="hear")
        takes = asyncio.create_task(asyncio.wait_for(items.get(), SOON), name="take")
        asyncio.create_task(items.get())
        began.set()
        await hears
        writer.close()
        takes.cancel()

    began = threading.Event()
    with another(asyncio.run, main(), name="the loop"):
        assert began.wait(SOON)
        waiting = waits(film, "task hear", "await")
        assert waits(film, "task take", "await").on == "wait_for"
        names = [each.thread for each in film.waiting()]
        pair[1].sendall(b"line\n")
    assert waiting.on == "StreamReader.readline for the server"
    assert waiting.place
    assert waiting.place.where == "asyncio/streams.py"
    assert sorted(names) == ["task hear", "task main", "task take", "the loop"]


def test_a_task_that_awaits_the_same_again_has_waited_twice(film: Film) -> None:
    """In a loop, at one line: each time is a wait of its own."""

    async def nap() -> None:
        for _ in range(3):
            await asyncio.sleep(0.001)

    with another(asyncio.run, nap(), name="the loop"):
        pass
    assert [span.subject for span in film.spans if span.thread == "task nap"] == ["sleep"] * 3


def test_a_task_that_is_awake_waits_no_more(film: Film) -> None:
    """Also if it then blocks its whole loop, which cannot look at it meanwhile."""

    async def nap() -> None:
        await asyncio.sleep(0.001)
        time.sleep(0.01)

    with another(asyncio.run, nap(), name="the loop"):
        pass
    [awaited] = [span for span in film.spans if span.thread == "task nap"]
    [slept] = [span for span in film.spans if span.call == "sleep"]
    assert awaited.end is not None and awaited.end <= slept.start


def test_what_a_task_awaited_is_forgotten_with_its_loop(film: Film) -> None:
    """No task that is over is said to wait, and the next film begins with none."""

    async def nap() -> None:
        await asyncio.sleep(0.001)

    with another(asyncio.run, nap(), name="the loop"):
        pass
    naps = [span for span in film.spans if span.thread == "task nap"]
    assert [(span.subject, span.end is None) for span in naps] == [("sleep", False)]
    assert film.waiting() == []
    film.stop()
    with xray() as later:
        assert later.spans == ()


class Page(BaseHTTPRequestHandler):
    """One page of `http.server`."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


def test_http_server(film: Film) -> None:
    """Python's own web server, while a browser has connected and not asked yet."""
    with (
        chatlib.running(HTTPServer, LOOPBACK, Page) as server,
        chatlib.connect(server, "browser") as browser,
    ):
        assert waits(film, "the server", "recv_into").on == "browser"
        browser.send("GET / HTTP/1.0\r\n\r")
        assert browser.receive(SOON).startswith("HTTP/1.0 200")
    assert [message.received.thread for message in film.messages if message.received][0] == "the server"


def test_what_a_page_is_asked_by_is_read_in_pythons_own_line(film: Film) -> None:
    """Not in ours, which only starts the server; the file is told from a program's by its package."""
    with chatlib.running(HTTPServer, LOOPBACK, Page) as server, chatlib.connect(server, "browser"):
        waits(film, "the server", "recv_into")
        story = film.story()
    assert "for browser, http/server.py: self.raw_requestline = self.rfile.readline(65537)" in story


# What has happened


def test_a_split_line_and_joined_lines(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """Three sends into one receive are three messages; one send into two receives are two."""
    here, there = pair
    for part in (b"a", b"bb", b"ccc"):
        here.sendall(part)
    assert eventually(lambda: len(there.recv(10, socket.MSG_PEEK)) == 6)
    assert there.recv(10) == b"abbccc"
    here.sendall(b"dddd")
    assert there.recv(3) + there.recv(3) == b"dddd"
    sizes = [
        (message.sent.size, message.size, message.received.size)
        for message in film.messages
        if message.received
    ]
    assert sizes == [(1, 1, 6), (2, 2, 6), (3, 3, 6), (4, 3, 3), (4, 1, 1)]


def test_ends_look_different(film: Film) -> None:
    """A polite end, a reset, a deadline and a socket that does not wait have outcomes of their own."""
    with chatlib.running(socketserver.ThreadingTCPServer, LOOPBACK, Echo) as server:
        polite, rude = chatlib.connect(server, "polite"), chatlib.connect(server, "rude")
        waits(film, "serves rude", "recv")
        waits(film, "serves polite", "recv")
        assert rude.waits(0.01)
        polite.close()
        with contextlib.suppress(OSError):
            rude.reset()
        assert eventually(lambda: {"end", "reset"} <= {span.outcome for span in calls(film, "recv")})
    assert {"timeout", "nothing"} & {span.outcome for span in calls(film, "recv")}


# What is shown


def test_a_film_that_has_ended_is_a_picture_and_a_story(pair: tuple[socket.socket, socket.socket]) -> None:
    """Both, for whatever reads the notebook, and a page to explore; in a terminal the story."""
    here, there = pair
    with xray() as film:
        here.sendall(b"hello")
        there.recv(10)
    shown = film._repr_mimebundle_()
    assert set(shown) == {"text/html", "image/svg+xml", "text/plain"}
    assert shown["image/svg+xml"].startswith("<svg")
    assert "\n" not in shown["image/svg+xml"]
    assert shown["text/plain"] == film.story() == repr(film)
    assert "sends 5 bytes" in film.story()
    assert "receives 5 bytes" in film.story()


def test_a_film_can_be_shown_to_scale(pair: tuple[socket.socket, socket.socket]) -> None:
    """While it runs, and when it has ended; the usual picture is there, too, and it is told the same."""
    with xray() as film:
        pair[0].sendall(b"hello")
        shown = [film.to_scale()]
    shown.append(film.to_scale())
    for still in shown:
        data = still._repr_mimebundle_()
        assert data["text/plain"] == film.story() == repr(still)
        assert ">To scale" in data["image/svg+xml"]
        assert quote(">Not to scale") in data["text/html"]


# Nothing remains


def everything() -> dict[Any, Any]:
    """Returns what the classes and modules that are patched consist of."""
    tables = [*WAITS, *FACTORIES, (socket, "socketpair"), (socket.socket, "recv")]
    kinds = [kind for kind in vars(selectors).values() if isinstance(kind, type)]
    owners: list[Any] = [*(entry[0] for entry in tables), *kinds]
    return {(owner.__name__, name): value for owner in owners for name, value in list(vars(owner).items())}


def test_afterwards_all_is_as_before() -> None:
    """Every class and module, exactly: also after an exception, a nested use, a forgotten film."""
    before = everything()
    with contextlib.suppress(ZeroDivisionError), xray():
        assert everything() != before
        raise ZeroDivisionError
    assert everything() == before
    with xray() as outer:
        with xray() as inner:
            pass
        inner.stop()
        assert everything() != before
        outer.stop()
    assert everything() == before
    xray().start()
    gc.collect()
    assert everything() == before


def test_two_films_at_once_see_the_same(pair: tuple[socket.socket, socket.socket]) -> None:
    """Each has a ring of its own."""
    here, there = pair
    with xray() as outer:
        here.sendall(b"one")
        with xray() as inner:
            here.sendall(b"two")
        there.recv(10)
    assert [span.call for span in outer.spans] == ["sendall", "sendall", "recv"]
    assert [span.call for span in inner.spans] == ["sendall"]


def test_a_film_that_has_ended_does_not_change(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is a record of its time: also what was open at its end stays so."""
    here, there = pair
    film = xray().start()
    with another(here.recv, 10):
        waits(film, "another", "recv")
        film.stop()
        there.sendall(b"x")
    assert [waiting.call for waiting in film.waiting()] == ["recv"]


def test_the_ring_is_bounded(pair: tuple[socket.socket, socket.socket]) -> None:
    """Older calls are let go, and counted; offsets go on."""
    here, _ = pair
    with xray(limit=10) as film:
        for _ in range(25):
            here.sendall(b"ab")
    assert (len(film.spans), film.recording().dropped) == (10, 15)
    assert [span.offset for span in film.spans] == list(range(30, 50, 2))


def test_no_record_is_lost_or_torn_with_many_threads() -> None:
    """64 threads, 100,000 calls: each is there, whole, and every byte is in one message."""
    threads, rounds = 64, 800
    with xray(limit=200_000) as film, socket.create_server(LOOPBACK, backlog=threads) as listener:

        def talk() -> None:
            with socket.create_connection(listener.getsockname()) as here:
                for _ in range(rounds):
                    here.sendall(b"abc")
                here.shutdown(socket.SHUT_WR)

        def listen(there: socket.socket) -> None:
            with there:
                while there.recv(3):
                    pass

        with contextlib.ExitStack() as stack:
            for _ in range(threads):
                stack.enter_context(another(talk))
                stack.enter_context(another(listen, listener.accept()[0]))
    assert len(calls(film, "sendall")) == threads * rounds
    assert sorted(span.number for span in film.spans) == list(range(1, len(film.spans) + 1))
    assert sum(message.size for message in film.messages) == 3 * threads * rounds
    assert all(message.received for message in film.messages)


# What could be missed, or be mistaken


def test_a_connection_that_is_older_than_the_film(pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes that lay there before belong to no send that was seen; later ones go where they went."""
    here, there = pair
    here.sendall(b"before")
    with xray() as film:
        here.sendall(b"after")
        assert eventually(lambda: len(there.recv(20, socket.MSG_PEEK)) == 11)
        assert (there.recv(6), there.recv(20)) == (b"before", b"after")
    found = [
        (message.size, message.received.offset if message.received else None) for message in film.messages
    ]
    assert found == [(5, 0)]


def test_a_call_that_was_not_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    """What it took, as one does that was under way when the film began, is not given to the next call."""
    here, there = pair
    with xray() as film:
        here.sendall(b"unseen")
        assert _socket.socket.recv(there, 20) == b"unseen"  # by C itself
        here.sendall(b"seen")
        assert there.recv(20) == b"seen"
    assert [(message.size, message.received is not None) for message in film.messages] == [
        (6, False),
        (4, True),
    ]
    assert [arrow.kind for arrow in arrows_of(film.recording())] == ["away", "bytes"]


def test_looking_takes_no_bytes(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """MSG_PEEK leaves them where they are, however it is given; a buffer of 2 bytes is no such flag."""
    here, there = pair
    here.sendall(b"abcd")
    buffer = bytearray(2)
    there.recv_into(buffer, flags=socket.MSG_PEEK)
    there.recv_into(buffer, 2, socket.MSG_PEEK)
    there.recv_into(buffer, 2)
    there.recvfrom(2)
    assert [(span.call, span.size) for span in film.spans if span.call.startswith("recv")] == [
        ("recv_into", 0),
        ("recv_into", 0),
        ("recv_into", 2),
        ("recvfrom", 2),
    ]


def test_both_ends_of_a_pair_of_sockets(film: Film) -> None:
    """They have no addresses, and are called by what they are to each other."""
    here, there = socket.socketpair()
    with here, there:
        with another(there.recv, 10):
            assert waits(film, "another", "recv").on == "the other end"
            here.sendall(b"ping")
        there.sendall(b"pong")
        assert here.recv(10) == b"pong"
    assert [message.received.size for message in film.messages if message.received] == [4, 4]


def test_sockets_without_a_peer_are_seen_to_wait(film: Film) -> None:
    """A datagram socket takes from any sender."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(LOOPBACK)
        with another(receiver.recvfrom, 10):
            assert waits(film, "another", "recvfrom").place
            sender.sendto(b"datagram", receiver.getsockname())


def test_functions_that_a_program_has_imported_by_name() -> None:
    """`from time import sleep`, before the film, in a module of the user's; afterwards it is as before."""
    program = types.ModuleType("program")
    program.__file__ = __file__
    exec("from time import sleep\nfrom select import select\nsleeps = [sleep]", vars(program))
    before = dict(vars(program))
    sys.modules["program"] = program
    try:
        with xray() as film:
            vars(program)["sleep"](0.001)
            vars(program)["select"] = None  # the program's own affair
    finally:
        del sys.modules["program"]
    assert [span.call for span in film.spans] == ["sleep"]
    assert vars(program) == before | {"select": None}


@pytest.mark.skipif(not hasattr(select, "poll"), reason="Windows has no poll")
@pytest.mark.parametrize("kind", ["poll", "epoll"])
def test_a_poll_object(film: Film, pair: tuple[socket.socket, socket.socket], kind: str) -> None:
    """An event loop by hand, without `selectors`."""
    if not hasattr(select, kind):
        pytest.skip(f"this system has no {kind}")
    here, there = pair
    poller = getattr(select, kind)()
    poller.register(here, select.POLLIN)
    with another(poller.poll):
        assert waits(film, "another", "poll").on == "a socket"
        there.sendall(b"x")
    poller.unregister(here)
    getattr(poller, "close", lambda: None)()


def test_an_item_is_an_item(film: Film) -> None:
    """Nothing that a queue hands out is compared with anything, or taken for a time that is up."""

    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

    items = queue.Queue[object]()
    item: object
    for item in (0, [], Touchy()):
        items.put(item)
        items.get(timeout=SOON)
    assert [span.outcome for span in calls(film, "get")] == ["done"] * 3


def test_wrong_arguments_fail_as_they_do_without_a_film() -> None:
    """The error is Python's, not ours."""

    def errors() -> list[str]:
        found = []
        wrong: list[Callable[[], object]] = [
            lambda: time.sleep("long"),  # type: ignore[arg-type]
            lambda: time.sleep(),  # type: ignore[call-arg]
            lambda: select.select(1, [], []),  # type: ignore[arg-type]
            lambda: threading.Lock().acquire(False, 5),
            lambda: socket.socketpair("no such family"),  # type: ignore[arg-type]
        ]
        for call in wrong:
            with pytest.raises((TypeError, ValueError)) as caught:
                call()
            found.append(f"{caught.type.__name__}: {caught.value}")
        return found

    before = errors()
    with xray():
        assert errors() == before


def test_a_lock_of_a_condition_can_be_waited_for(film: Film) -> None:
    """Conditions, semaphores and queues are made of locks, and work as ever."""
    condition, ready = threading.Condition(), list[bool]()

    def wait() -> None:
        with condition:
            condition.wait_for(lambda: ready, SOON)

    with another(wait):
        assert waits(film, "another", "wait").on == "a condition"
        with condition:
            ready.append(True)
            condition.notify()
    lock = threading.RLock()
    with lock:
        with lock:
            pass
        with another(lambda: lock.acquire(timeout=0.01), name="other"):
            pass
    assert [span.outcome for span in calls(film, "acquire")] == ["timeout"]


def test_lanes_are_in_the_order_in_which_threads_were_started(film: Film) -> None:
    """Not in that of their first calls, which may be chance; the main thread comes first."""
    first_may = threading.Event()

    def nap() -> None:
        first_may.wait(SOON)
        time.sleep(0.001)

    with (
        another(nap, name="first"),
        another(time.sleep, 0.001, name="second"),
    ):
        waits(film, "first", "wait")
        assert eventually(lambda: calls(film, "sleep"))
        first_may.set()
    time.sleep(0.001)
    assert list(film.recording().lanes.values()) == ["the main program", "first", "second"]


SENDERS: list[Callable[[socket.socket, bytes], int]] = [
    lambda end, data: end.send(data),
    lambda end, data: _all(end, data),
    lambda end, data: _all(end, memoryview(array.array("B", data))),
]
RECEIVERS: list[Callable[[socket.socket, int], bytes]] = [
    lambda end, size: end.recv(size),
    lambda end, size: end.recvfrom(size)[0],
    lambda end, size: _into(end.recv_into, size),
    lambda end, size: _into(end.recvfrom_into, size),
]
if hasattr(socket.socket, "sendmsg"):
    SENDERS.append(lambda end, data: end.sendmsg([data[:3], data[3:]]))
    RECEIVERS.append(lambda end, size: end.recvmsg(size)[0])
    RECEIVERS.append(lambda end, size: _into(lambda buffer: end.recvmsg_into([buffer])[0], size))


def _all(end: socket.socket, data: bytes | memoryview) -> int:
    end.sendall(data)
    return len(data)


def _into(receive: Callable[[bytearray], Any], size: int) -> bytes:
    buffer = bytearray(size)
    received = receive(buffer)
    return bytes(buffer[: received[0] if isinstance(received, tuple) else received])


steps = st.tuples(st.booleans(), st.booleans(), st.integers(0, 5), st.integers(1, 40))


@given(st.lists(steps, max_size=30), st.booleans())
@settings(max_examples=60)
def test_every_byte_that_was_sent_is_drawn_once(talk: list[tuple[bool, bool, int, int]], named: bool) -> None:
    """However a conversation is cut up, by whatever calls: each message has the bytes of both its calls."""
    counter, contents = itertools.cycle(range(251)), dict[tuple[str, int], bytes]()
    with contextlib.ExitStack() as stack:
        film = stack.enter_context(xray())
        here, there = map(stack.enter_context, _connected() if named else socket.socketpair())
        owed = {here: 0, there: 0}
        for forth, sends, how, size in talk:
            source, target = (here, there) if forth else (there, here)
            if sends:
                data = bytes(itertools.islice(counter, size))
                assert SENDERS[how % len(SENDERS)](source, data) == size
                owed[target] += size
            elif owed[target]:
                data = RECEIVERS[how % len(RECEIVERS)](target, size)
                owed[target] -= len(data)
            else:
                continue
            contents["sent" if sends else "received", film.spans[-1].number] = data
    drawn = collections.Counter(message.sent.number for message in film.messages)
    for message in film.messages:
        drawn[message.sent.number] += message.size - 1
        if message.received:
            ahead = message.received.offset - message.sent.offset
            sent, received = (
                contents["sent", message.sent.number],
                contents["received", message.received.number],
            )
            common = slice(max(0, ahead), max(0, ahead) + message.size)
            assert sent[common] == received[max(0, -ahead) :][: message.size]
    assert drawn == {number: len(data) for (kind, number), data in contents.items() if kind == "sent"}
    unread = sum(message.size for message in film.messages if not message.received)
    assert unread == sum(owed.values())
    arrows = [arrow for arrow in arrows_of(film.recording()) if arrow.kind not in ("end", "reset")]
    assert sum(arrow.size for arrow in arrows) == sum(drawn.values())


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(LOOPBACK) as listener:
        here = socket.create_connection(listener.getsockname(), SOON)
        return here, listener.accept()[0]


# Calls that were made before the film began


def test_calls_from_before_the_film_are_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    """Each in its call, for its peer, at its line; until it goes on."""
    here, there = pair
    event, items, began = threading.Event(), queue.Queue[int](), threading.Barrier(7)
    # A sleep that can be ended: like `time.sleep` it is of C and has that name, by which it is known.
    asleep = threading.Lock()
    asleep.acquire()
    sleep: Any = functools.partial(asleep.acquire, True)
    sleep.__name__ = "sleep"

    def receive() -> None:
        began.wait(SOON)
        there.recv(10)
        event.wait(SOON)

    def read_line(end: socket.socket) -> None:
        with end.makefile("rb") as reader:
            began.wait(SOON)
            reader.readline()

    def accept(listener: socket.socket) -> None:
        began.wait(SOON)
        listener.accept()[0].close()

    def get() -> None:
        began.wait(SOON)
        items.get(timeout=SOON)

    def nap() -> None:
        began.wait(SOON)
        sleep(SOON)

    def choose(selector: selectors.BaseSelector) -> None:
        began.wait(SOON)
        selector.select(SOON)

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(LOOPBACK))
        left, right = map(stack.enter_context, socket.socketpair())
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(here, selectors.EVENT_READ)
        tasks: list[Callable[[], None]] = [receive, get, nap]
        threads = [stack.enter_context(another(task, name=task.__name__)) for task in tasks]
        threads.append(stack.enter_context(another(read_line, right, name="read_line")))
        threads.append(stack.enter_context(another(accept, listener, name="accept")))
        threads.append(stack.enter_context(another(choose, selector, name="choose")))
        began.wait(SOON)
        assert eventually(lambda: all(_is_in_its_call(thread) for thread in threads))
        with xray() as film:
            seen = {waiting.thread: waiting for waiting in film.waiting()}
            here.sendall(b"go on")
            waits(film, "receive", "wait")
            assert waits(film, "receive", "wait").on == "an event"
            there.sendall(b"and you")
            left.sendall(b"line\n")
            items.put(1)
            event.set()
            asleep.release()
            socket.create_connection(listener.getsockname(), SOON).close()
    assert {name: (waiting.call, waiting.on) for name, waiting in seen.items()} == {
        "receive": ("recv", "peer 1"),
        "get": ("get", "an item in a queue"),
        "nap": ("sleep", f"{SOON:g} s"),
        "read_line": ("recv_into", "the other end"),
        "accept": ("accept", "a connection"),
        "choose": ("select", "a socket"),
    }
    assert seen["receive"].place
    assert seen["receive"].place.source == "there.recv(10)"
    ended = [(span.call, span.outcome) for span in film.spans if span.thread == "receive"]
    assert ended[0] == ("recv", "unseen")


def test_a_selector_that_waits_for_one_connection_names_it() -> None:
    """Beside a wakeup, too; with a listener beside it, it waits for either."""
    over = Wakeup()

    def look(*files: Any) -> str:
        with selectors.DefaultSelector() as selector, xray() as film:
            for file in (over, *files):
                selector.register(file, selectors.EVENT_READ)
            with another(lambda: selector.select(SOON)):
                name = waits(film, "another", "select").on
                over.set()
        over.clear()
        return name

    listener = socket.create_server(("127.0.0.1", 0))
    with listener, chatlib.connect(listener.getsockname(), "alice") as alice, listener.accept()[0] as here:
        assert look(here) == "alice"
        assert look(here, listener) == "a connection or a socket"
        assert look(here, alice.socket) == "any of 2 sockets"
    over.close()


def test_a_thread_that_polls_is_still_waiting_when_a_film_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, it may have come out of one wait, and not yet into the next."""
    between, wakeup = _thread.allocate_lock(), socket.socketpair()  # a lock that no film sees
    over = threading.Event()

    def poll() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(wakeup[0], selectors.EVENT_READ)
            selector.select(0.001)
            over.set()
            between.acquire()
            selector.select(SOON)

    def let_on(seconds: float) -> None:
        with contextlib.suppress(RuntimeError):  # it may go on already
            between.release()
        pause(seconds)

    monkeypatch.setattr("chatlib.film.record.recorder.pause", let_on)
    with wakeup[0], wakeup[1]:
        between.acquire()
        with xray() as film:
            poller = threading.Thread(target=poll, name="polls")
            poller.start()
            assert over.wait(SOON)
        let_on(0.0)
        wakeup[1].send(b"!")
        poller.join(SOON)
    [*_, last] = [span for span in film.spans if span.thread == "polls"]
    assert (last.call, last.end) == ("select", None)


def _is_in_its_call(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame and frame.f_code.co_filename != __file__:
        frame = frame.f_back
    return frame is not None and "began" not in linecache.getline(__file__, frame.f_lineno)


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Lets a thread ask a queue again and again."""
    over, inside, box = threading.Event(), threading.Event(), queue.Queue[int]()

    def ask() -> None:
        inside.set()
        while not over.is_set():
            if not box.empty():
                raise AssertionError

    with another(ask, name="asks"):
        assert inside.wait(SOON)
        try:
            yield
        finally:
            over.set()


def tell_of_asking() -> None:
    """Prints what is said of such a thread."""
    with asking(), xray() as film:
        print(*film.waiting())
        print(film.story())


def test_a_thread_that_works_is_busy_and_waits_for_nothing() -> None:
    """It has a lane, with its line."""
    waiting, lane, *told = untraced(tell_of_asking)
    assert (waiting, lane) == ("", "asks")
    assert re.match(r"  busy, line \d+: ", told[0])


def test_a_thread_that_moves_under_a_tracer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """To walk its frames might crash Python 3.11."""
    monkeypatch.setattr(threading, "gettrace", lambda: monkeypatch)
    with asking(), xray() as film:
        assert "asks" not in film.story()


def unseen(film: Film, thread: str) -> Waiting:
    """Returns what a thread is in, as soon as it is said to be in a call that cannot be seen."""
    return waits(film, thread, "in a call that the X-ray cannot see")


def held() -> tuple[Any, contextlib.ExitStack]:
    """Returns a lock of C that is taken, and what releases it: no stand-in, as if older than the film."""
    lock, release = _thread.allocate_lock(), contextlib.ExitStack()
    lock.acquire()
    release.callback(lock.release)
    return lock, release


def test_a_thread_in_a_call_that_cannot_be_seen_is_said_to_be(film: Film) -> None:
    """In C itself, or by way of Python's library: with its line, in the same words everywhere."""
    lock, release = held()

    def take() -> None:
        with lock:
            pass

    with another(take, name="takes"), another(functools.partial(take), name="also"), release:
        waiting = unseen(film, "takes")
        unseen(film, "also")
        story, picture = film.story(), film._repr_mimebundle_()["image/svg+xml"]
    assert waiting.place
    assert waiting.place.source == "with lock:"
    said = f"in a call that the X-ray cannot see, line {waiting.place.line}: with lock:"
    assert str(waiting) == f"takes is {said}"
    assert f"takes\n  {said} (still)\n" in story
    assert f" so far {said}</title>" in picture
    assert "busy, or in a call that the X-ray cannot see</text>" in picture
    assert "still waiting" not in picture
    film.stop()
    assert [span.outcome for span in calls(film, waiting.call)] == ["unseen"] * 2


def test_what_is_called_without_a_line_of_the_programs_is_told_at_pythons(film: Film) -> None:
    """By the name of that file: its lines say nothing to a reader."""
    here, there = os.pipe()
    with another(os.read, here, 1, name="reads"):
        place = unseen(film, "reads").place
        os.write(there, b"x")
    assert place
    assert (place.name, place.where, place.own) == ("threading.py", "threading.py", False)
    os.close(here)
    os.close(there)


def test_a_call_of_an_installed_package_is_told_at_the_line_that_asked_for_it(film: Film) -> None:
    """What such packages do by themselves is not told, as those that run a notebook wait all the time."""
    lock, release = held()
    package: dict[str, Any] = {"lock": lock}
    code = "def get():\n    with lock:\n        pass"
    exec(compile(code, os.path.join("site-packages", "package.py"), "exec"), package)

    def ask() -> None:
        package["get"]()

    with another(ask, name="asks"), another(package["get"], name="by itself"), release:
        place, story = unseen(film, "asks").place, film.story()
    assert place
    assert (place.own, place.source) == (True, 'package["get"]()')
    assert "by itself" not in story


def test_a_thread_that_is_looked_at_lets_go_of_what_it_held(film: Film) -> None:
    """No look keeps its variables alive: a socket among them is closed when its function returns."""
    (lock, release), gone = held(), threading.Event()

    class Held:
        def __del__(self) -> None:
            gone.set()

    def hold() -> None:
        one = Held()  # noqa: F841
        with lock:
            pass

    with another(hold, name="holds"):
        with release:
            unseen(film, "holds")
        assert gone.wait(SOON)


def test_a_film_that_is_collected_while_another_begins() -> None:
    """Its end does not wait for the beginning of the other, nor undo it."""
    before = everything()
    forgotten = xray().start()
    forgotten.itself = forgotten  # type: ignore[attr-defined]  # only the collector can free it
    unwatch(forgotten._recorder)
    del forgotten

    def wrap(original: Any) -> Any:
        gc.collect()
        return watched_select(original)

    with unittest.mock.patch("chatlib.film.record.patches.watched_select", wrap), xray():
        assert everything() != before
    assert everything() == before


# A program behaves as it does without a film


def test_a_socket_may_be_closed_by_the_garbage_collector(film: Film) -> None:
    """In the middle of a note: its `__del__` makes a watched call, and nobody waits for itself."""

    class Pair:
        def __init__(self) -> None:
            self.ends = socket.socketpair()
            self.itself = self

        def __del__(self) -> None:
            for end in self.ends:
                end.close()

    def talk() -> None:
        for number in range(100):
            gc.set_threshold(30 + number)
            pair = Pair()
            pair.ends[0].sendall(b"x")
            pair.ends[1].recv(1)

    before = gc.get_threshold()
    try:
        with another(talk):
            pass
    finally:
        gc.set_threshold(*before)
    assert len(calls(film, "sendall")) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_in_no_film(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """Nor does it wait for a thread that was making a note when it was forked."""
    here, there = pair
    noting, over = threading.Event(), threading.Event()

    def hold() -> None:
        with film._recorder.lock:
            noting.set()
            over.wait(SOON)

    with another(hold):
        while not noting.is_set():
            pause(0.001)  # the original: a watched call would wait for the note
        if not (child := os.fork()):
            signal.alarm(int(SOON))
            here.sendall(b"x")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        over.set()
    assert there.recv(1) == b"x"
    assert calls(film, "sendall") == []


def test_a_film_can_be_started_twice_and_used_again(pair: tuple[socket.socket, socket.socket]) -> None:
    """Twice is once; and after its end it begins afresh."""
    here, _ = pair
    before = everything()
    with xray().start() as film:
        here.sendall(b"a")
    assert [span.size for span in film.spans] == [1]
    assert everything() == before
    with film:
        here.sendall(b"bcd")
        assert [span.size for span in film.spans] == [3]
    assert [span.size for span in film.spans] == [3]


def test_films_come_and_go_while_an_event_loop_runs() -> None:
    """None of them disturbs it."""

    async def work() -> None:
        while not over.is_set():
            await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(5)))
        done.set()

    over, done = threading.Event(), threading.Event()
    with another(asyncio.run, work()):
        for _ in range(20):
            with xray() as film:
                assert eventually(film.waiting)
        over.set()
    assert done.is_set()


def test_odd_names_of_tasks_and_functions_are_no_matter(film: Film) -> None:
    """A program's own `_run_once`, and a task with a number that no one can read."""

    def _run_once() -> list[Any]:
        with selectors.DefaultSelector() as selector:
            return selector.select(0)

    async def main() -> str:
        return await asyncio.create_task(asyncio.sleep(0.001, "slept"), name="Task-" + "1" * 5000)

    assert _run_once() == []
    assert asyncio.run(main()) == "slept"


def test_sockets_of_a_programs_own_class(film: Film) -> None:
    """One that cannot be hashed, and does not say to which peer it is connected."""

    class Odd(socket.socket):
        __hash__ = None  # type: ignore[assignment]

        def getpeername(self) -> Any:
            return None

    with socket.create_server(LOOPBACK) as listener, Odd() as odd:
        odd.connect(listener.getsockname())
        odd.sendall(b"hello")
        with listener.accept()[0] as there:
            assert there.recv(10) == b"hello"
        assert odd.recv(10) == b""
        odd.shutdown(socket.SHUT_RDWR)


def test_a_function_of_c_is_no_method(film: Film) -> None:
    """Whatever class a program puts it into; and C may call it, too, where there is no line of a program."""

    clock: Any = type("Clock", (), {"pause": time.sleep})
    clock().pause(0.001)
    assert len(calls(film, "sleep")) == 1
    _thread.start_new_thread(time.sleep, (0,))


@POSIX
def test_an_error_that_is_pending_reaches_the_program(pair: tuple[socket.socket, socket.socket]) -> None:
    """To look how much lies there takes nothing away, not even a reset."""
    here, there = pair
    with xray():
        here.send(b"hello")
    there.recv(5)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    there.close()
    with xray() as film, pytest.raises(ConnectionResetError):
        here.recv(10)
    assert [span.outcome for span in film.spans] == ["reset"]


def test_locks_are_like_locks(film: Film) -> None:
    """They cannot be copied, refuse impossible times, and are free after an exception."""
    lock = threading.Lock()
    for copying in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError):
            copying(lock)
    wrong: list[tuple[Any, type[Exception]]] = [(-2, ValueError), (None, TypeError), (1e30, OverflowError)]
    for timeout, kind in wrong:
        with pytest.raises(kind):
            lock.acquire(True, timeout)
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert not lock.locked()


# What is said is so


def test_the_holder_of_a_lock_is_the_present_one(film: Film) -> None:
    """Not the thread that held it when the waiting began; and the right one of two with the same name."""
    lock, first_may, second_may = threading.Lock(), threading.Event(), threading.Event()

    def hold(may: threading.Event) -> None:
        with lock:
            may.wait(SOON)

    with another(hold, first_may, name="worker"):
        waits(film, "worker", "wait")
        with another(hold, second_may, name="worker"):
            assert waits(film, "worker (2)", "acquire").on == "the lock that worker holds"
            first_may.set()
            waits(film, "worker (2)", "wait")
            with another(hold, second_may, name="third"):
                assert waits(film, "third", "acquire").on == "the lock that worker (2) holds"
                second_may.set()


def test_the_lock_of_a_condition_and_its_holder(film: Film) -> None:
    """A thread that waits in `with condition:` is seen; one that has waited in it holds its lock again."""
    condition, may = threading.Condition(), threading.Event()

    def wait() -> None:
        with condition:
            condition.wait(SOON)
            may.wait(SOON)

    def enter() -> None:
        with condition:
            pass

    with another(wait, name="first"):
        assert waits(film, "first", "wait").on == "a condition"
        with condition:
            condition.notify()
        assert eventually(lambda: waits(film, "first", "wait").on == "an event")
        with another(enter, name="second"):
            assert waits(film, "second", "acquire").on == "the lock that first holds"
            may.set()


def test_semaphores_and_barriers(film: Film) -> None:
    """Each under its own name, also in a `with` block."""
    semaphore, barrier = threading.Semaphore(0), threading.Barrier(2)

    def enter() -> None:
        with semaphore:
            barrier.wait(SOON)

    with another(enter):
        assert waits(film, "another", "acquire").on == "a semaphore"
        semaphore.release()
        assert waits(film, "another", "wait").on == "a barrier"
        barrier.wait(SOON)


def test_a_join_in_vain_is_no_end(film: Film) -> None:
    """The time was up, and the thread goes on."""
    over = threading.Event()
    with another(over.wait, SOON) as thread:
        thread.join(0.01)
        over.set()
    assert [span.outcome for span in calls(film, "join")] == ["timeout", "done"]


def test_a_shutdown_on_this_side_is_no_end(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """A thread that is woken by its own side does not learn that the other has left."""
    here, _ = pair
    with another(here.recv, 10):
        waits(film, "another", "recv")
        here.shutdown(socket.SHUT_RDWR)
    assert [span.outcome for span in calls(film, "recv")] == ["shut"]
    assert "is woken in recv, as the connection to the server was shut down here" in film.story()


def test_a_close_that_leaves_a_file_open(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """It is not the end of the connection: that comes with the last file that `makefile` made."""
    here, _ = pair
    reader = here.makefile("rb")
    here.close()
    assert calls(film, "close") == []
    reader.close()
    assert [span.peer is not None for span in calls(film, "close")] == [True]


def test_nothing_asked_for_is_no_end(film: Film, pair: tuple[socket.socket, socket.socket]) -> None:
    """`recv(0)` returns nothing, though the other side is there."""
    assert pair[0].recv(0) == b""
    assert [span.outcome for span in calls(film, "recv")] == ["done"]


def test_a_server_is_called_so_by_its_clients(film: Film) -> None:
    """Also before it has accepted a client, by `connect_ex` as well, and where no server listens."""
    with socket.create_server(LOOPBACK) as listener, socket.socket() as client, socket.socket() as lost:
        assert client.connect_ex(listener.getsockname()) == 0
        client.sendall(b"hello")
        address = listener.getsockname()
        listener.close()
        with contextlib.suppress(OSError):
            lost.connect(address)
    assert "connects to the server" in film.story()
    assert "sends 5 bytes to the server" in film.story()
    assert "cannot connect to the server" in film.story() or sys.platform == "win32"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_old_address_inside_a_new_one(film: Film) -> None:
    """A server for both kinds of addresses sees a client's as another text: it is the same client."""
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), SOON) as client, listener.accept()[0] as there:
            client.sendall(b"hello")
            assert there.recv(10) == b"hello"
    assert [message.received is not None for message in film.messages] == [True]


def test_what_a_failed_send_has_sent_is_nobodys_guess(
    film: Film, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Later bytes are lost sight of, rather than matched with the wrong call."""
    here, there = pair
    here.settimeout(0.05)
    with pytest.raises(TimeoutError):
        here.sendall(bytes(20_000_000))
    taken = b"x"
    while taken and select.select([there], [], [], 0.05)[0]:
        taken = there.recv(1 << 20)
    here.sendall(b"later")
    assert there.recv(10)
    assert [(message.size, message.received) for message in film.messages] == [(5, None)]
    assert [arrow.kind for arrow in arrows_of(film.recording())] == ["away"]


def test_what_is_watched_can_be_pickled_by_its_name(film: Film) -> None:
    """As a new process may be told to call it."""
    for thing in (time.sleep, threading.Lock):
        assert pickle.loads(pickle.dumps(thing)) is thing


def test_bytes_that_were_taken_unseen_are_not_called_unread(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A call that began before the film has taken them, and its thread has gone on."""
    here, there = pair
    over = threading.Event()

    def read() -> None:
        there.recv(10)
        over.wait(SOON)

    with another(read) as reader:
        assert eventually(lambda: _is_at(reader, "there.recv(10)"))
        with xray() as film:
            here.sendall(b"hello")
            waits(film, "another", "wait")
        over.set()
    assert [arrow.kind for arrow in arrows_of(film.recording())] == ["away"]
    assert "nobody has read" not in film.story()


def _is_at(thread: threading.Thread, source: str) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() == source


def test_datagrams_are_not_matched(film: Film) -> None:
    """What did not fit is gone: counting bytes would give the rest to the wrong call."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(LOOPBACK)
        sender.connect(receiver.getsockname())
        for size in (2, 10):
            sender.send(b"0123456789")
            receiver.recv(size)
    assert film.messages == ()
    assert [span.size for span in calls(film, "recv")] == [2, 10]


def test_datagrams_go_to_a_peer_and_come_from_one(film: Film) -> None:
    """While one is waited for, nobody knows from whom; nothing is hung up on."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(LOOPBACK)
        with another(receiver.recvfrom, 10):
            assert waits(film, "another", "recvfrom").on == "a datagram"
            sender.sendto(b"hello", receiver.getsockname())
        sender.connect(receiver.getsockname())
        sender.send(b"again")
        receiver.recv(10)
    story = film.story()
    assert "sends 5 bytes to the server (sendto)" in story
    assert "receives 5 bytes from peer 1 (recvfrom)" in story
    assert "connects to the server" in story
    assert "sends 5 bytes to the server (send)" in story
    assert "receives 5 bytes from a datagram (recv)" in story
    assert "hangs up" not in story


def test_what_never_waits_is_not_said_to(film: Film) -> None:
    """There is always room in a queue without a limit; a socket of TLS is made at once."""
    without, limited = queue.Queue[int](), queue.Queue[int](1)
    without.put(1)
    limited.put(1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.wrap_socket(socket.socket(), server_hostname="localhost").close()
    assert [(span.call, span.subject) for span in film.spans] == [("put", "room in a queue")]


def test_a_thread_that_python_has_lost_is_still_in_its_call(film: Film) -> None:
    """After Ctrl-C in `join`, Python 3.11 takes a thread for one that has ended, though it runs."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(SOON,), name="lost")
    thread.start()
    waits(film, "lost", "wait")
    with unittest.mock.patch.object(thread, "is_alive", lambda: False):
        assert [waiting.call for waiting in film.waiting()] == ["wait"]
        over.set()
    thread.join(SOON)
    assert film.waiting() == []


@POSIX
def test_what_a_signals_handler_waits_for_is_what_its_thread_waits_for(film: Film) -> None:
    """Not the call that the signal came into: that goes on afterwards."""
    waiting, main = list[Waiting](), threading.main_thread().ident or 0

    def look() -> None:
        waits(film, "the main program", "select")
        signal.pthread_kill(main, signal.SIGUSR1)
        try:
            waiting.append(waits(film, "the main program", "wait"))
        finally:
            vars(server)["_BaseServer__is_shut_down"].set()
            socket.create_connection(
                ("127.0.0.1", server.server_address[1])
            ).close()  # its `select` goes on after the signal

    with socketserver.TCPServer(LOOPBACK, Echo) as server, another(look):
        # It waits for the end of its own thread's loop: for ever, if nothing helps.
        before = signal.signal(signal.SIGUSR1, lambda *_: server.shutdown())
        server.serve_forever(SOON)
    signal.signal(signal.SIGUSR1, before)
    assert waiting[0].place
    assert waiting[0].place.source.endswith("server.shutdown())")
    ended = {span.call for span in film.spans if span.thread == "MainThread" and span.end}
    assert {"wait", "select"} <= ended


def test_a_function_that_catches_an_interrupt_is_seen_again(film: Film) -> None:
    """A call that Ctrl-C cut off before it began does not hide those that follow in the same function."""
    cut = recorder_enter("send", subject="cut off", depth=1)
    assert cut
    time.sleep(0.001)
    assert len(calls(film, "sleep")) == 1
