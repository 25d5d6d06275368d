"""A program cannot tell that it is filmed, and does what it does otherwise."""

import _thread
import asyncio
import copy
import copyreg
import gc
import importlib.util
import inspect
import pickle
import queue
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import unittest.mock
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from faults import SOON

from chatlib.api import Film, xray


@pytest.fixture
def film() -> Iterator[Film]:
    """A film that runs during the test."""
    with xray() as film:
        yield film


@pytest.fixture
def module() -> Iterator[Callable[[types.ModuleType, str], Any]]:
    """Enters a module of the program's, or of another file, runs code in it, and removes it afterwards."""
    known = set(sys.modules)

    def enter(module: types.ModuleType, code: str, file: str = __file__) -> Any:
        sys.modules[module.__name__] = module
        vars(module)["__file__"] = file
        exec(compile(code, file, "exec"), vars(module))
        return module

    yield enter
    for name in set(sys.modules) - known:
        del sys.modules[name]


@runtime_checkable
class Releasing(Protocol):
    """What a program may ask of a lock."""

    def acquire(self) -> bool: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


def answer(ask: Callable[[], object]) -> object:
    """Returns what comes of a question, or the error."""
    try:
        return ask()
    except Exception as error:
        return type(error), str(error)


# Locks


def about_a_lock(make: Callable[..., Any], older: Any) -> list[object]:
    """Returns what a program may find out about a lock, with another one that may be older than a film."""
    lock = make()
    asked: list[Callable[[], object]] = [
        lambda: lock.__class__,
        lambda: (isinstance(lock, type(older)), isinstance(older, type(lock)), type(lock) is type(make())),
        lambda: (isinstance(lock, Releasing), isinstance(lock, list)),
        lambda: repr(lock).split(" at ")[0],
        lambda: [name for name in dir(lock) if not name.startswith("__")],
        lambda: type(unittest.mock.create_autospec(lock).release).__name__,
        lambda: weakref.ref(lock)() is lock,
        lambda: hasattr(lock, "_acquire_restore"),
        lambda: copy.copy(lock),
        lambda: copy.deepcopy(lock),
        lambda: pickle.dumps(lock),
        lambda: lock.acquire(timeout=None),
        lambda: lock.acquire(timeout=-2),
        lambda: lock.acquire(False, 1),
        lambda: lock.acquire("yes"),
        lambda: lock.release(),
        lambda: (lock.acquire(), lock.release()),
        lambda: isinstance(make(1).__class__, type),
        lambda: inspect.isclass(make),
        lambda: make.__doc__,
        lambda: pickle.loads(pickle.dumps(make)) is make,
    ]
    return [answer(ask) for ask in asked]


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_a_lock_is_what_it_stands_in_for(name: str) -> None:
    """Its type, its errors, and all that it can be asked."""
    older = getattr(threading, name)()
    without = about_a_lock(getattr(threading, name), older)
    with xray():
        assert about_a_lock(getattr(threading, name), older) == without


def test_locks_of_two_films_are_of_one_type() -> None:
    """A program that compares types may have been filmed twice."""
    kinds = set()
    for _ in range(2):
        with xray():
            kinds.add(type(threading.Lock()))
    assert len(kinds) == 1


def test_what_a_program_says_of_the_type_of_locks_holds_for_all_of_them() -> None:
    """Whether it has asked one for its type that is watched, or one that is older, or a package's."""
    older = threading.Lock()
    makers: list[Callable[[], Any]] = [lambda: older, threading.Lock]
    for said_of in makers:
        with xray(), unittest.mock.patch.dict(copyreg.dispatch_table):
            copyreg.pickle(type(said_of()), lambda lock: "Lock")
            for lock in (older, threading.Lock()):
                assert type(lock) == type(older)  # noqa: E721
                assert copy.copy(lock) is lock


@pytest.mark.parametrize("make", ["RLock()", "Lock()", "Condition()._lock", "Event()._cond._lock"])
def test_an_installed_package_gets_locks_of_c(film: Film, module: Callable[..., Any], make: str) -> None:
    """Also by way of Python's library: trio takes such a lock in a signal handler."""
    code = f"import threading\ndef make():\n    return threading.{make}"
    package = module(types.ModuleType("package"), code, "/lib/site-packages/package.py")
    assert type(package.make()).__module__ == "_thread"


def test_a_lock_is_taken_while_a_thread_has_an_odd_name(film: Film) -> None:
    """The film wants to say which thread holds it. The program only wants the lock."""

    class Odd(threading.Thread):
        @property
        def name(self) -> str:
            raise ValueError("no name")

        @name.setter
        def name(self, name: str) -> None: ...

        def run(self) -> None:
            lock.acquire()
            held.set()
            over.wait(SOON)
            lock.release()

    lock, held, over = threading.Lock(), threading.Event(), threading.Event()
    holder = Odd()
    threading.Thread.start(holder)
    assert held.wait(SOON)
    assert not lock.acquire(timeout=0.001)
    over.set()
    threading.Thread.join(holder, SOON)
    assert not lock.locked()


def test_a_lock_can_be_taken_when_python_ends(tmp_path: Path) -> None:
    """By an object that is freed as one of the last, when modules have been emptied."""
    (tmp_path / "script.py").write_text(
        "import threading\n"
        "class Late:\n"
        "    def __init__(self): self.lock = threading.Lock()\n"
        "    def __del__(self):\n"
        "        with self.lock: self.lock.acquire(timeout=0.001)\n"
        "threading.late = Late()\n"
    )
    command = [sys.executable, "-m", "chatlib", "xray", "script.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SOON)
    assert result.returncode == 0
    assert "Exception ignored" not in result.stderr


# Functions, methods, poll objects


def about(thing: Any) -> list[object]:
    """Returns what a program may find out about a function."""
    names = ("__name__", "__qualname__", "__doc__", "__self__", "__text_signature__")
    asked: list[Callable[[], object]] = [
        *((lambda name=name: getattr(thing, name)) for name in names),
        lambda: inspect.signature(thing),
        lambda: inspect.isbuiltin(thing),
        lambda: inspect.isroutine(thing),
        lambda: inspect.isclass(thing),
        lambda: copy.copy(thing) is thing,
        lambda: pickle.loads(pickle.dumps(thing)) is thing,
        lambda: type(unittest.mock.create_autospec(thing)).__name__,
    ]
    return [answer(ask) for ask in asked]


def functions() -> dict[str, Any]:
    """Returns functions of C that are replaced during a film."""
    found = {"sleep": time.sleep, "select": select.select}
    return found | ({"poll": select.poll} if hasattr(select, "poll") else {})


def test_a_function_of_c_looks_like_one() -> None:
    """To `inspect`, `mock`, `pickle` and `copy`, and when it is printed."""
    plain = functions()
    without = {name: [repr(function), *about(function)] for name, function in plain.items()}
    with xray():
        assert {name: [repr(f), *about(f)] for name, f in functions().items()} == without
        assert functions() == plain
        assert {time.sleep: "a key"} == {plain["sleep"]: "a key"}


@pytest.mark.parametrize("name", ["recv", "sendall", "accept", "_real_close"])
def test_a_method_of_a_socket_can_be_pickled(film: Film, name: str) -> None:
    """By the name of its class, which it has inherited from C."""
    method = getattr(socket.socket, name)
    assert pickle.loads(pickle.dumps(method)) is method


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="of Linux")
def test_a_poll_object_is_what_it_stands_in_for() -> None:
    """Also one that is older than the film; and none can be copied."""

    def seen() -> list[object]:
        with select.epoll() as poller, select.epoll.fromfd(poller.fileno()) as same:
            known = isinstance(older, select.epoll), isinstance(poller, select.epoll), type(same) is plain
            named = [name for name in dir(poller) if not name.startswith("__")]
            return [known, poller.__class__, named, answer(lambda: copy.copy(poller)), poller.poll(0)]

    plain = select.epoll
    with select.epoll() as older:
        without = seen()
        with xray():
            assert seen() == without


# The program's modules


def test_a_name_that_a_program_makes_during_a_film_is_plain_afterwards(module: Callable[..., Any]) -> None:
    """Otherwise it could not be handed to another process, as it would not be `time.sleep`."""
    with xray():
        program = module(
            types.ModuleType("program"), "from time import sleep\nfrom threading import Lock as L"
        )
        assert program.sleep is time.sleep
    assert (program.sleep, program.L) == (time.sleep, threading.Lock)
    assert pickle.loads(pickle.dumps(program.sleep)) is time.sleep


def test_a_film_loads_no_module_that_is_to_be_loaded_late(tmp_path: Path) -> None:
    """Such a module is loaded as soon as it is asked for anything at all."""
    (tmp_path / "late.py").write_text("loaded = True\n")
    spec = importlib.util.spec_from_file_location("late", tmp_path / "late.py")
    assert spec and spec.loader
    spec.loader = importlib.util.LazyLoader(spec.loader)
    late = sys.modules["late"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(late)
    try:
        with xray():
            pass
    finally:
        del sys.modules["late"]
    assert "loaded" not in object.__getattribute__(late, "__dict__")


def test_a_module_that_cannot_be_changed_is_filmed(module: Callable[..., Any]) -> None:
    """A program may protect its names; the film fails neither when it begins nor when it ends."""

    class Fixed(types.ModuleType):
        def __setattr__(self, name: str, value: object) -> None:
            raise TypeError("fixed")

    program = module(Fixed("program"), "from time import sleep")
    with xray() as film:
        program.sleep(0.001)
    assert [span.call for span in film.spans] == ["sleep"]
    assert program.sleep is time.sleep


# Threads


def test_a_thread_that_threading_does_not_know_stays_unknown(film: Film) -> None:
    """A program may wait until it is alone; a dummy in the list of threads would never end."""
    done = _thread.allocate_lock()
    done.acquire()
    before = threading.active_count()

    def work() -> None:
        time.sleep(0.001)
        done.release()

    _thread.start_new_thread(work, ())
    assert done.acquire(timeout=SOON)
    assert threading.active_count() == before
    assert [(span.call, span.outcome) for span in film.spans if span.call == "sleep"] == [("sleep", "done")]


def test_a_handler_of_a_signal_may_wait_for_another_thread(film: Film) -> None:
    """It may have struck while its own thread was making a note: the other one must not wait for that."""
    with film._recorder.lock:
        other = threading.Thread(target=time.sleep, args=(0.001,))
        other.start()
        other.join(SOON)
        assert not other.is_alive()
    assert "sleep" in [span.call for span in film.spans if span.end]


def test_a_film_keeps_no_thread_alive(film: Film) -> None:
    """A program may leave it to Python to close the socket of a thread that has ended; its peer waits."""

    class Client(threading.Thread):
        def __init__(self, connection: socket.socket) -> None:
            super().__init__()
            self.connection = connection

        def run(self) -> None:
            time.sleep(0.001)

    here, there = socket.socketpair()
    with here, pytest.warns(ResourceWarning):
        client = Client(there)
        client.start()
        client.join()
        del client, there
        gc.collect()
        here.settimeout(SOON)
        assert here.recv(1) == b""


def test_a_film_keeps_no_lock_alive(film: Film) -> None:
    """Though it asks a lock who holds it, as long as a thread waits for it."""
    lock = threading.Lock()
    with lock:
        assert not lock.acquire(timeout=0.001)
    last = weakref.ref(lock)
    del lock
    gc.collect()
    assert last() is None


# What is the program's own


class Late(Exception):
    """What the handler of a signal raises, to make an end of a call."""


@pytest.fixture
def strike() -> Iterator[Callable[..., Any]]:
    """Lets a signal come just now, whose handler raises `Late`."""

    def handle(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGINT, handle)
    yield lambda *_: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def late_calls(strike: Any) -> dict[str, Callable[[], object]]:
    """Returns calls during which the signal comes while the film only makes a note."""
    thread = type("Odd", (threading.Thread,), {"name": property(strike, lambda *_: None)})()
    receiver = type("Odd", (socket.socket,), {"getpeername": strike})(type=socket.SOCK_DGRAM)
    receiver.settimeout(0.001)
    selector = type("Odd", (selectors.DefaultSelector,), {"get_map": strike})()
    return {
        "recv": lambda: receiver.recv(1),
        "select": lambda: selector.select(0),
        "join": lambda: threading.Thread.join(thread, 0),
    }


def test_no_function_runs_when_a_socket_is_freed(film: Film) -> None:
    """In it, what a handler raises would be lost: Python only prints it."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"x")
        here.recv(1)
        here.shutdown(socket.SHUT_RDWR)
        forgets = [reference.__callback__ for reference in weakref.getweakrefs(here)]
    assert forgets
    assert not any(isinstance(forget, types.FunctionType) for forget in forgets)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["recv", "select", "join"])
def test_what_a_handler_of_a_signal_raises_is_never_lost(film: Film, strike: Any, name: str) -> None:
    """Otherwise a program that so limits the time of a call would wait in it for ever."""
    with pytest.raises(Late):
        late_calls(strike)[name]()


def test_a_method_that_the_program_has_replaced_may_return_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was replaced before the film, by something that is no method of a socket."""
    for name in ("recv", "recvfrom", "accept", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda self, *_: None)
    monkeypatch.setattr(socket, "socketpair", lambda: None)
    with xray(), socket.socket(type=socket.SOCK_DGRAM) as odd:
        found = [
            odd.recv(1),
            odd.recvfrom(1),
            odd.accept(),
            odd.connect_ex(("127.0.0.1", 1)),
        ]
        assert found == [None] * 4
        assert socket.socketpair() is None


def test_a_film_asks_no_method_of_a_programs_own_thread(film: Film) -> None:
    """`is_alive` may be one that waits, or fails."""

    class Own(threading.Thread):
        def is_alive(self) -> bool:
            raise AssertionError("asked")

    own = Own(target=int)
    own.start()
    own.join()


def test_a_film_asks_no_property_of_what_a_selector_waits_for(film: Film) -> None:
    """One that is called `socket` may connect, or fail."""

    class Client:
        def __init__(self, connection: socket.socket) -> None:
            self.connection = connection

        def fileno(self) -> int:
            return self.connection.fileno()

        @property
        def socket(self) -> object:
            asked.append("socket")
            return None

    asked = list[str]()
    here, there = socket.socketpair()
    with here, there, selectors.DefaultSelector() as selector:
        selector.register(Client(here), selectors.EVENT_READ, (data := unittest.mock.MagicMock(),))
        assert selector.select(0) == []
    assert (asked, data.mock_calls, vars(data)["_mock_children"]) == ([], [], {})


def test_a_film_asks_no_mock_of_a_transport(film: Film) -> None:
    """Or else a test that says what it was asked for would fail."""

    async def main() -> None:
        reader = asyncio.StreamReader()
        reader.set_transport(transport)
        reading = asyncio.create_task(read(reader))
        await asyncio.sleep(0.001)
        reader.feed_data(b"x")
        await reading

    async def read(reader: asyncio.StreamReader) -> None:
        assert await reader.read(1) == b"x"

    transport = unittest.mock.Mock()
    asyncio.run(main())
    assert transport.mock_calls == []
    assert "read" in film.story()


def test_a_clock_that_a_program_has_replaced_is_its_own(film: Film) -> None:
    """As a test does that says what the next times will be: a film reads none of them."""
    with unittest.mock.patch("time.perf_counter", side_effect=[1.0, 2.0]):
        assert time.perf_counter() == 1.0
        time.sleep(0)
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(timeout=0.001)
        assert time.perf_counter() == 2.0
