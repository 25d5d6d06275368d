"""What the X-ray says of each kind of wait is so: what is asked, what is waited for, and by whom."""

import _thread
import asyncio
import contextlib
import gc
import inspect
import io
import itertools
import logging
import math
import os
import queue
import select
import selectors
import socket
import sys
import threading
import weakref
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import POSIX, SOON, eventually, untraced
from films import Script
from test_film import another, calls, film, pair, waits

from chatlib.api import Film, xray
from chatlib.film.record import waiters
from chatlib.film.record.call import Call, Entry
from chatlib.film.record.frames import frames_of_others
from chatlib.film.record.recorder import Recorder
from chatlib.film.record.waiters import WatchedThread

__all__ = ["film", "pair"]  # the fixtures

LOOPBACK = ("127.0.0.1", 0)
Pair = tuple[socket.socket, socket.socket]


# A thread that only asks whether something is ready waits for nothing


def tell_of_askers() -> None:
    """Prints all that ten films say of threads that only ask, again and again, and did so before."""
    over, box, event = threading.Event(), queue.Queue[int](), threading.Event()
    here, there = socket.socketpair()
    here.setblocking(False)

    def receive(sock: socket.socket, flags: int = 0) -> None:
        with contextlib.suppress(BlockingIOError):
            sock.recv(1, flags)

    def get() -> None:
        with contextlib.suppress(queue.Empty):
            box.get(timeout=0)

    asks: dict[str, Callable[[], object]] = {
        "gets": get,
        "receives": lambda: receive(here),
        "selects": lambda: select.select([here], [], [], 0),
        "waits": lambda: event.wait(0),
    }
    if sys.platform != "win32":
        asks["tries"] = lambda: receive(there, socket.MSG_DONTWAIT)
    films, told = itertools.count(), set[tuple[str, str]]()

    def all_are_told() -> bool:
        with xray() as film:
            told.update((waiting.thread, waiting.call) for waiting in film._look().present)
        return next(films) >= 10 and {name for name, _ in told} == set(asks)

    with here, there, contextlib.ExitStack() as stack:
        for name, once in asks.items():
            stack.enter_context(another(ask_again, once, over, name=name))
        stack.callback(over.set)
        eventually(all_are_told)
    print(*sorted(f"{name}: {call}" for name, call in told), sep="\n")


class Flags(int):
    """A number that does not want to be asked."""

    def __and__(self, other: object) -> int:
        raise AssertionError("asked")

    __rand__ = __bool__ = __and__  # type: ignore[assignment]


def test_a_number_of_a_class_of_the_programs_own_is_not_asked() -> None:
    """It goes to the call alone."""
    here, there = socket.socketpair()
    with here, there, xray():
        there.send(b"xyz")
        assert here.recv(1, Flags(0)) == b"x"
        assert here.recv_into(bytearray(1), flags=Flags(0)) == 1
        assert here.recv(1, Flags(socket.MSG_PEEK)) == here.recv(1) == b"z"


def ask_again(once: Callable[[], object], over: threading.Event) -> None:
    """Asks until it is over."""
    while not over.is_set():
        once()


def test_a_thread_that_only_asks_is_busy_and_waits_for_nothing() -> None:
    """Without blocking, or with no time to wait: it is not told as a wait, however often it is seen there."""
    names = "gets", "receives", "selects", "tries", "waits"
    assert untraced(tell_of_askers) == [f"{name}: busy" for name in names if POSIX or name != "tries"]


def test_what_only_asks_is_noted_if_it_has_found_something(film: Film, pair: Pair) -> None:
    """Then something happened; that nothing was ready is no wait."""
    here, there = pair
    with selectors.DefaultSelector() as selector:
        selector.register(here, selectors.EVENT_READ)
        selector.select(0)
        there.sendall(b"x")
        assert eventually(lambda: selector.select(timeout=0))
    assert [span.outcome for span in calls(film, "select")] == ["done"]


def test_less_time_than_none_is_none_for_a_selector(film: Film, pair: Pair) -> None:
    """It only asks then, as the documentation says."""
    with selectors.DefaultSelector() as selector:
        selector.register(pair[0], selectors.EVENT_READ)
        assert selector.select(-1) == []
    assert calls(film, "select") == []


# Calls that were made before the film began


def test_a_thread_that_waited_then_is_not_kept_alive(pair: Pair) -> None:
    """Nor what it carries with it."""
    here, there = pair
    with contextlib.ExitStack() as later:
        with another(lambda: here.recv(1)) as thread:
            film = later.enter_context(xray())
            assert eventually(film.waiting)
            there.sendall(b"x")
        over = weakref.ref(thread)
        del thread
        gc.collect()
        assert over() is None
        assert "recv" in film.story()


def test_nothing_of_the_programs_is_asked_what_it_is(pair: Pair) -> None:
    """A function that it has made may answer anything, and do anything to answer."""
    (here, there), asked = pair, list[str]()

    class Receive:
        __call__ = staticmethod(here.recv)

        def __getattr__(self, name: str) -> str:
            asked.append(name)
            raise AttributeError(name)

    receive = Receive()
    with another(lambda: receive(1)):
        with xray() as film:
            assert eventually(film.waiting)
        there.sendall(b"x")
    assert asked == []


# What is waited for


@pytest.mark.skipif(not POSIX, reason="Windows can only wait for sockets")
def test_a_bare_descriptor_is_called_by_what_it_is(film: Film) -> None:
    """A pipe is no socket, and what comes without a connection is a datagram."""
    reader, writer = os.pipe()
    with (
        open(reader, "rb"),
        open(writer, "wb", 0) as end,
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
        selectors.DefaultSelector() as selector,
    ):
        receiver.bind(LOOPBACK)
        selector.register(reader, selectors.EVENT_READ)
        with another(selector.select, SOON, name="one"):
            assert waits(film, "one", "select").on == "a pipe"
            end.write(b"x")
        selector.unregister(reader)
        selector.register(receiver, selectors.EVENT_READ)
        with another(selector.select, SOON, name="other"):
            assert waits(film, "other", "select").on == "a datagram"
            receiver.sendto(b"x", receiver.getsockname())


@pytest.mark.skipif(not hasattr(select, "poll"), reason="Windows has no poll")
@pytest.mark.parametrize("kind", ["poll", "epoll"])
def test_a_poll_object_waits_for_what_is_registered(film: Film, pair: Pair, kind: str) -> None:
    """A listener and a pipe are no sockets; what is closed, or was taken out, is waited for no more."""
    if not hasattr(select, kind):
        pytest.skip(f"this system has no {kind}")
    poller, (here, there), (reader, writer) = getattr(select, kind)(), pair, os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb", 0) as end, socket.create_server(LOOPBACK) as listener:
        poller.register(listener, select.POLLIN)
        poller.register(pipe, select.POLLIN)
        poller.register(here.fileno(), select.POLLIN)
        poller.register(there, select.POLLIN)
        with another(poller.poll):
            assert waits(film, "another", "poll").on == "a connection or any of 2 sockets or a pipe"
            end.write(b"x")
        poller.unregister(here.fileno())
        poller.unregister(pipe)
        poller.unregister(listener) if kind == "poll" else listener.close()
        with another(poller.poll, name="again"):
            assert waits(film, "again", "poll").on == "a socket"
            here.sendall(b"x")
    getattr(poller, "close", lambda: None)()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no sockets of files")
def test_a_connection_without_addresses_has_another_end(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a file: its name is no host and port."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        monkeypatch.chdir(tmp_path)  # the name of such a file must be short
        listener.bind("door")
        listener.listen()
        client.connect("door")
        with listener.accept()[0] as connection, another(client.recv, 1):
            assert waits(film, "another", "recv").on == "the other end"
            connection.sendall(b"x")
    assert "  connects to a server, " in film.story()
    assert [span.peer for span in calls(film, "connect")] == [None]


def test_a_thread_waits_for_another_that_writes_to_the_log(film: Film) -> None:
    """The lock is one of Python's library, but it is the program's line that waits."""
    log, handler = logging.getLogger("a log of the program's"), logging.StreamHandler(io.StringIO())
    log.propagate = False
    log.addHandler(handler)
    handler.acquire()
    with another(log.warning, "hello", name="writes"):
        waiting = waits(film, "writes", "acquire")
        handler.release()
    log.removeHandler(handler)
    assert waiting.on == "the lock that the main program holds"


def test_what_a_task_awaits_is_called_by_a_name_that_programs_know(film: Film) -> None:
    """`async with lock` waits in its `acquire`, not in a class that no program uses."""

    async def numbers() -> Any:
        await over.wait()
        yield 1

    async def count() -> None:
        async for _ in numbers():
            pass

    async def enter() -> None:
        async with lock:
            pass

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as group, lock:
            group.create_task(enter())
            group.create_task(count())
            await over.wait()

    lock, over, loops = asyncio.Lock(), asyncio.Event(), list[asyncio.AbstractEventLoop]()
    with another(asyncio.run, main(), name="the loop"):
        assert waits(film, "task enter", "acquire").on == "the lock that task main holds"
        assert waits(film, "task count", "await").on == "an async generator"
        loops[0].call_soon_threadsafe(over.set)


def test_a_lock_that_a_task_took_before_the_film_is_held_by_somebody() -> None:
    """It does not know by whom; and afterwards, asyncio is as it was."""

    async def enter() -> None:
        async with lock:
            pass

    async def take() -> None:
        await lock.acquire()
        loops.append(asyncio.get_running_loop())
        taken.set()
        await over.wait()
        lock.release()

    async def main() -> None:
        await asyncio.gather(take(), enter())

    before = vars(asyncio.Lock).copy()
    lock, over, loops, taken = (
        asyncio.Lock(),
        asyncio.Event(),
        list[asyncio.AbstractEventLoop](),
        threading.Event(),
    )
    with another(asyncio.run, main(), name="the loop"):
        assert taken.wait(SOON)
        with xray() as film:
            loops[0].call_soon_threadsafe(lambda: None)
            assert waits(film, "task enter", "acquire").on == "the lock that somebody holds"
            assert inspect.iscoroutinefunction(asyncio.Lock.acquire)
            loops[0].call_soon_threadsafe(over.set)
    assert vars(asyncio.Lock) == before


def test_who_has_taken_a_lock_of_asyncio_is_not_known_from_an_earlier_film() -> None:
    """Since then another one may have taken it: it has, here."""

    async def take(done: asyncio.Event) -> None:
        async with lock:
            loops.append(asyncio.get_running_loop())
            taken.release()
            await done.wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, done in dones.items():
                group.create_task(take(done), name=name)

    dones = {name: asyncio.Event() for name in ("anna", "bob", "carl")}
    lock, loops, taken = asyncio.Lock(), list[asyncio.AbstractEventLoop](), threading.Semaphore(0)
    with contextlib.ExitStack() as running:
        with xray() as film:
            running.enter_context(another(asyncio.run, main(), name="the loop"))
            assert waits(film, "task carl", "acquire").on == "the lock that task anna holds"
        loops[0].call_soon_threadsafe(dones["anna"].set)
        assert taken.acquire(timeout=SOON) and taken.acquire(timeout=SOON)  # bob has it, too late for a film
        with xray() as film:
            loops[0].call_soon_threadsafe(lambda: None)
            assert waits(film, "task carl", "acquire").on == "the lock that somebody holds"
        for name in ("bob", "carl"):
            loops[0].call_soon_threadsafe(dones[name].set)


def test_a_line_that_nobody_has_written_is_not_the_programs(film: Film) -> None:
    """As the methods that `multiprocessing` makes of text for its proxies: the caller's line is told."""
    made: dict[str, Any] = {}
    exec("def get(box): return box.get()", made)

    def ask(box: Any) -> None:
        made["get"](box)

    box, lock = queue.Queue[int](), _thread.allocate_lock()
    exec("def get(lock):\n    with lock: pass", unseen := dict[str, Any]())

    def take() -> None:
        unseen["get"](lock)

    lock.acquire()
    with another(ask, box, name="asks"), another(take, name="takes"):
        seen = (
            waits(film, "asks", "get").place,
            waits(film, "takes", "in a call that the X-ray cannot see").place,
        )
        box.put(1)
        lock.release()
    assert [place.source for place in seen if place] == ['made["get"](box)', 'unseen["get"](lock)']


def test_a_method_that_python_has_written_is_no_line_of_the_programs(film: Film) -> None:
    """As those of dataclasses and named tuples, ours among them."""
    over = threading.Event()
    space = {
        "__module__": xray.__module__,
        "__annotations__": {"number": int},
        "number": field(default_factory=partial(sum, iter(over.is_set, True))),
    }
    pairs = namedtuple("pairs", ["number"])
    makes = partial(all, map(pairs, iter(over.is_set, True)))
    written: list[Callable[[], Any]] = [dataclass(type("Ours", (), space)), makes]
    for works in written:
        threading.Thread(target=works, name="works", daemon=True).start()
    try:
        for _ in range(5):
            film.glance()
        told = [span for span in film.recording().spans if span.thread.startswith("works")]
        assert [span for span in told if span.place and span.place.file == "<string>"] == []
    finally:
        over.set()


def test_what_a_moving_view_looks_for_is_told_while_it_lasts(film: Film) -> None:
    """When it is over it is not: how often such a view has looked is chance, and stories have none."""
    lock = _thread.allocate_lock()

    def take() -> None:
        with lock:
            pass

    def is_told() -> bool:
        film.glance(keep=False)
        return "takes" in [each.thread for each in film.recording().waiting]

    lock.acquire()
    with another(take, name="takes"):
        assert eventually(is_told)
        lock.release()
    assert "takes" not in {span.thread for span in film.spans}


# Notes that are broken off, and programs that are hard to watch


def a_call() -> Call:
    """Returns a call of this thread."""
    waiter = WatchedThread()
    return Call("recv", "", (None, None), waiter, waiter.number, 0.0, (__file__, 1, "f"))


def test_what_interrupts_a_note_leaves_its_call_to_it() -> None:
    """A handler of a signal, or a `__del__`, makes a call while another one is being added."""

    class Interrupted(Recorder):
        def _keep(self, entry: Entry) -> None:
            super()._keep(entry)
            if entry[0] == 1:
                self.note(a_call(), 3.0, 0, "timeout")
                kept.append(len(self._ring))

    kept, recorder = list[int](), Interrupted(10)
    recorder.note(a_call(), 2.0, 0, "done")
    spans, _ = recorder.take(still=False)
    assert kept == [1]  # not in the middle of the other
    assert [(span.number, span.outcome) for span in spans] == [(1, "done"), (2, "timeout")]


def test_a_thread_that_dies_in_a_note_takes_no_film_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was ended by force keeps the lock for ever."""
    monkeypatch.setattr("chatlib.film.record.recorder.LOST", 0.01)
    recorder = Recorder(10)
    dies = threading.Thread(target=recorder.lock.acquire)
    dies.start()
    dies.join(SOON)
    recorder.note(a_call(), 2.0, 0, "done")
    assert [span.outcome for span in recorder.take(still=False)[0]] == ["done"]


def test_a_thread_that_takes_long_for_a_note_keeps_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a debugger, or among many threads: who looks meanwhile waits."""
    monkeypatch.setattr("chatlib.film.record.recorder.LOST", 0.01)
    monkeypatch.setattr("chatlib.film.record.recorder.LOOKS", math.inf)
    keeps, may_go_on, looked = threading.Event(), threading.Event(), threading.Event()

    class Slow(Recorder):
        def _keep(self, entry: Entry) -> None:
            keeps.set()
            assert may_go_on.wait(SOON)
            super()._keep(entry)

    def look() -> None:
        recorder.callers_since(0.0)
        looked.set()

    recorder = Slow(10)
    lock = recorder.lock
    with another(recorder.note, a_call(), 2.0, 0, "done"):
        assert keeps.wait(SOON)
        with another(look):
            assert not looked.wait(0.1)  # ten times as long as a lock may be lost
            may_go_on.set()
    assert looked.is_set() and recorder.lock is lock
    assert [span.outcome for span in recorder.take(still=False)[0]] == ["done"]


def test_nobody_waits_for_ever_for_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of a signal has come in between, and waits for a thread that looks."""
    monkeypatch.setattr("chatlib.film.record.recorder.LOST", 0.01)
    looked = threading.Event()

    class Interrupted(Recorder):
        def _keep(self, entry: Entry) -> None:
            super()._keep(entry)
            with another(look):
                assert looked.wait(SOON)

    def look() -> None:
        recorder.callers_since(0.0)
        looked.set()

    recorder = Interrupted(10)
    recorder.note(a_call(), 2.0, 0, "done")
    assert looked.is_set()


def test_a_film_that_is_broken_off_as_it_begins_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: nobody has the film yet who could end it."""

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chatlib.notebook_cells.remember", strike)
    recv = socket.socket.recv
    film = Film()
    with pytest.raises(KeyboardInterrupt):
        film.start()
    assert socket.socket.recv is recv and not film.running


def test_code_of_text_may_have_names_of_its_own_kind(film: Film) -> None:
    """Nothing of the program's is run to find out whose it is."""

    class Names(dict[str, Any]):
        def __contains__(self, name: object) -> bool:
            raise RuntimeError(name)

        get = __contains__  # type: ignore[assignment]

    exec(compile("from time import sleep; sleep(0.01)", "<string>", "exec"), Names())
    assert [span.call for span in film.recording().spans][-1:] == ["sleep"]


# Who waits


def test_a_thread_that_threading_does_not_know_has_one_lane(film: Film) -> None:
    """As `_thread.start_new_thread` begins it: in a call that cannot be seen, and then in one that can."""
    lock, box, ended = _thread.allocate_lock(), queue.Queue[int](), threading.Event()

    def run() -> None:
        with lock:
            pass
        box.get()
        ended.set()

    with lock:
        _thread.start_new_thread(run, ())
        assert waits(film, "a thread", "in a call that the X-ray cannot see").place
    assert waits(film, "a thread", "get")
    box.put(1)
    assert ended.wait(SOON)
    assert list(film.recording().lanes.values()).count("a thread") == 1


def test_a_test_may_forbid_what_could_block(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """As blockbuster does while a loop runs: that is asked of the program, not of the film."""

    def forbidden(*_: object, **__: object) -> str:
        raise ArithmeticError("this may block")

    names: dict[str, Any] = {"make": threading.Lock}
    with monkeypatch.context() as test:
        for name in ("path.abspath", "path.realpath", "getcwd", "lstat", "stat", "readlink"):
            test.setattr(f"os.{name}", forbidden)
        tracer = sys.gettrace()
        sys.settrace(None)  # that of coverage asks for a file which it meets for the first time
        try:
            exec(compile("lock = make()\nwith lock:\n    pass", "of/no/folder.py", "exec"), names)
        finally:
            sys.settrace(tracer)
    assert not names["lock"].locked()
    assert not film.spans


def test_a_threads_ident_may_be_replaced(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """As gevent does: the main thread is then in no list under its own, and is the main program still."""
    main = threading.main_thread()
    monkeypatch.setattr(threading, "get_ident", lambda: 7)
    ident = _thread.get_ident()
    monkeypatch.setattr(main, "_ident", 7)
    assert ident not in frames_of_others()
    assert waiters.WatchedThread(ident).name == "MainThread"


@pytest.mark.parametrize("packages", [True, False])
def test_threads_of_installed_packages_are_a_scripts_own(packages: bool) -> None:
    """In a notebook they are its machinery, and are left out."""
    package: dict[str, Any] = {"lock": (lock := _thread.allocate_lock())}
    code = "def get():\n    with lock:\n        pass"
    exec(compile(code, os.path.join("site-packages", "package.py"), "exec"), package)
    with Film(packages=packages) as film, contextlib.ExitStack() as stack:
        lock.acquire()
        stack.enter_context(another(package["get"], name="a package's"))
        stack.callback(lock.release)
        if packages:
            waits(film, "a package's", "in a call that the X-ray cannot see")
        assert ("a package's" in film.story()) is packages


def test_only_in_a_notebook_a_task_of_a_package_is_a_cell(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it is a task like others."""
    package: dict[str, Any] = {}
    code = "async def serve(own):\n    await own()"
    exec(compile(code, os.path.join("site-packages", "package.py"), "exec"), package)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    loops = list[asyncio.AbstractEventLoop]()

    async def own() -> None:
        loops.append(asyncio.get_running_loop())
        await over.wait()

    over = asyncio.Event()
    with another(asyncio.run, package["serve"](own), name="the loop"):
        assert waits(film, "task serve", "await").on == "Event.wait"
        loops[0].call_soon_threadsafe(over.set)


def test_who_asks_again_and_again_has_waited_since_it_first_asked() -> None:
    """As `serve_forever` does twice a second: its wait is as long as its one bar."""
    script = Script()
    script.add("the server", "select", 0.0, 0.4, subject="an event", outcome="timeout")
    for start in (0.5, 1.0, 1.5):
        script.add("the server", "select", start, start + 0.499, subject="a connection", outcome="timeout")
    script.add("the server", "select", 2.0, None, subject="a connection")
    [waiting] = script.recording(2.3).waiting
    assert waiting.seconds == pytest.approx(1.8)
