"""What a search for orders refuses, survives and puts back: it claims no count that is not so."""

import bdb
import contextlib
import dataclasses
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any
from xml.etree import ElementTree

import pytest
from faults import environment

import chatlib
from chatlib.schedules.errors import Unrepeatable, Unseen


class Room:
    """What the threads share."""

    def __init__(self) -> None:
        self.names: list[object] = []
        self.lock, self.items = threading.Lock(), queue.Queue[int]()


def add(room: Room) -> None:
    """One step."""
    room.names.append("alice")


def add_locked(room: Any) -> None:
    """With a lock, wherever that was made."""
    with room.lock:
        room.names.append("alice")


# What is refused


def generates(room: Room) -> Iterator[int]:
    """Runs only if its values are asked for."""
    room.names.append("alice")
    yield 1


async def awaits(room: Room) -> None:
    """Runs only in an event loop."""
    room.names.append("alice")


def starts_in_secret(room: Room) -> None:
    """Catches the error that says so."""
    try:
        threading.Thread(target=add, args=(room,)).start()
    except Exception:
        room.names.append("alice")


def switches_tracing_off(room: Room) -> None:
    """As a debugger does that is started in the middle."""
    sys.settrace(None)
    room.names.append("alice")
    room.names.append("bob")


def too_deep(room: Room) -> None:
    """Catches the error of a recursion without end."""

    def again(room: Room) -> None:
        return again(room)

    try:
        again(room)
    except RecursionError:
        room.names.append("alice")


def searches(room: Room) -> None:
    """A search in a search."""
    chatlib.orders(Room, add, add)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (generates, "generates returned a generator, of which no line has run"),
        (awaits, "awaits returned a coroutine, of which no line has run"),
        (starts_in_secret, "cannot be started here"),
        (switches_tracing_off, "switches_tracing_off is not seen any more"),
        (too_deep, "too_deep calls itself too deeply"),
        (searches, "cannot be started here"),
    ],
)
def test_what_is_not_seen_is_refused(function: Callable[[Room], object], words: str) -> None:
    """Also where the program catches every error."""
    with pytest.raises(Unseen, match=words):
        chatlib.orders(Room, function, add)
    assert chatlib.orders(Room, add, add).count == 2


def test_state_that_outlives_an_order_is_noticed() -> None:
    """Although it changes no path through the program: the count would be of no program at all."""
    number = [0]

    def increase(room: Room) -> None:
        n = number[0]
        number[0] = n + 1

    with pytest.raises(Unrepeatable):
        chatlib.orders(Room, increase, increase, right=lambda room: number[0] == 2)


def test_a_wait_outside_the_functions_is_refused() -> None:
    """In `make` and in `right` no other thread would ever give a lock back."""

    def make() -> Room:
        room = Room()
        room.lock.acquire()
        room.lock.acquire()
        return room

    with pytest.raises(Unseen, match="in `make` no code can wait"):
        chatlib.orders(make, add, add)
    with pytest.raises(Unseen, match="as in `right`"):
        chatlib.orders(Room, lambda room: room.lock.acquire(), add, right=lambda room: room.lock.__enter__())
    assert chatlib.orders(Room, add_locked, add, right=lambda room: room.lock.acquire(timeout=1)).wrong == 0


def test_nonsense_is_refused() -> None:
    """No order would be run; or all would be called wrong, for want of a word."""
    with pytest.raises(ValueError, match="not 0"):
        chatlib.orders(Room, add, add, limit=0)
    with pytest.raises(ValueError, match="right returned None"):
        chatlib.orders(Room, add, add, right=lambda room: room.names.clear())


@pytest.mark.parametrize("steps", ["lines", "instructions"])
def test_an_error_of_the_reader_comes_through(steps: Any) -> None:
    """Of `make` and of `right`; nothing is left behind."""

    def fails(*_: object) -> Any:
        raise ZeroDivisionError

    before = threading.enumerate(), threading.Lock, time.sleep
    with pytest.raises(ZeroDivisionError):
        chatlib.orders(fails, add, add, steps=steps)
    with pytest.raises(ZeroDivisionError):
        chatlib.orders(Room, add, add, right=fails, steps=steps)
    assert (threading.enumerate(), threading.Lock, time.sleep) == before


# What is seen rightly


def test_a_function_without_lines_is_one_step() -> None:
    """One of C, and one of Python's library: each has its turn as the others have."""
    found = chatlib.orders(list, lambda names: names.append(1), list.clear, right=lambda names: names == [])
    assert (found.count, found.wrong) == (2, 1)
    assert "  clear" in str(found)
    assert chatlib.orders(queue.Queue, queue.Queue.get, lambda items: items.put(1)).right == 2


def test_to_ask_whether_a_list_is_empty_is_an_instruction_of_its_own() -> None:
    """The list that was found may be emptied before that, while there is another one in its place."""

    def make() -> Room:
        room = Room()
        room.names.append("alice")
        return room

    def asks(room: Room) -> None:
        if room.names:
            room.items = queue.Queue(1)

    def replaces(room: Room) -> None:
        old = room.names
        room.names = ["bob"]
        old.clear()

    found = chatlib.orders(
        make, asks, replaces, right=lambda room: room.items.maxsize == 1, steps="instructions"
    )
    assert found.wrong and found.right and found.is_all
    assert chatlib.orders(make, asks, replaces, right=lambda room: room.items.maxsize == 1).wrong == 0


def test_a_time_limit_is_over_once() -> None:
    """Also where Python's library counts down: then it is over, and nothing is waited for again."""

    def gets(room: Room) -> None:
        with contextlib.suppress(queue.Empty):
            room.names.append(room.items.get(timeout=1))

    found = chatlib.orders(Room, gets, lambda room: room.items.put(1), right=lambda room: room.names == [1])
    assert set(found.counts) == {"right", "wrong"} and found.is_all


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, threading.Condition])
def test_a_line_that_takes_two_locks_is_two_steps(kind: Callable[[], Any]) -> None:
    """Crosswise they are a deadlock on one line as well as on two."""

    def make() -> dict[str, Any]:
        return {"a": kind(), "b": kind()}

    def forth(shared: dict[str, Any]) -> None:
        with shared["a"], shared["b"]:
            pass

    def back(shared: dict[str, Any]) -> None:
        with shared["b"], shared["a"]:
            pass

    found = chatlib.orders(make, forth, back)
    assert found.deadlocks and found.right and found.is_all and not found.wrong
    assert chatlib.orders(make, forth, forth).deadlocks == 0


@dataclasses.dataclass
class Early:
    """Knows the real `Lock`, from the time when the class was made."""

    lock: Any = dataclasses.field(default_factory=threading.Lock)
    names: list[str] = dataclasses.field(default_factory=list)


class Imported:
    """Knows it by its own name."""

    def __init__(self) -> None:
        self.lock, self.names = Lock(), list[str]()


class OfTheClass:
    """All its objects have the same one."""

    lock = threading.Lock()

    def __init__(self) -> None:
        self.names = list[str]()


@pytest.mark.parametrize("make", [Early, Imported, OfTheClass])
def test_a_lock_is_seen_wherever_it_was_made(make: type) -> None:
    """And put back: it is Python's own afterwards."""
    before = vars(OfTheClass)["lock"], Lock
    assert chatlib.orders(make, add_locked, add_locked).count == 6
    assert (vars(OfTheClass)["lock"], Lock) == before


PACKAGE = """
def flush(jobs):
    done = threading.Event()
    jobs.put(done.set)
    assert done.wait(60)
"""


def test_an_installed_package_may_wait_for_a_thread_of_its_own() -> None:
    """As `print(flush=True)` does in a notebook: it is part of a step, and adds none."""
    jobs = queue.SimpleQueue[Any]()
    thread = threading.Thread(target=lambda: [job() for job in iter(jobs.get, None)])
    thread.start()
    names: dict[str, Any] = {"threading": threading}
    exec(compile(PACKAGE, str(Path(pytest.__file__).with_name("flushing.py")), "exec"), names)

    def prints(room: Room) -> None:
        names["flush"](jobs)
        room.names.append("alice")

    try:
        assert chatlib.orders(Room, prints, add).count == 3
    finally:
        jobs.put(None)
        thread.join()


def crosswise(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Returns a function that takes two locks."""

    def takes(shared: Any) -> None:
        with first(shared):  # noqa: SIM117
            with second(shared):
                pass

    return takes


def test_each_lock_has_a_name_of_its_own() -> None:
    """In a list, and in an object of an object: who holds which is told rightly."""

    def make() -> dict[str, Any]:
        return {"forks": [threading.Lock(), threading.Lock()], "room": Room()}

    one, two = (
        crosswise(lambda shared: shared["forks"][0], lambda shared: shared["room"].lock),
        crosswise(lambda shared: shared["room"].lock, lambda shared: shared["forks"][0]),
    )
    found = chatlib.orders(make, one, two)
    assert found.shortest and found.shortest.why == (
        "No thread can go on: takes 1 waits for room.lock, which takes 2 holds; "
        "takes 2 waits for forks[0], which takes 1 holds."
    )


def test_a_thread_that_never_stops_takes_no_minutes() -> None:
    """An order without end counts for a hundred: the search ends, and says what it does not know."""

    def never_stops(room: Room) -> None:
        while True:
            try:
                room.names.clear()
            except BaseException:
                continue

    found = chatlib.orders(Room, never_stops, add, limit=200)
    assert found.counts["endless"] == found.count <= 4 and not found.is_all


# What is put back


def test_a_debugger_sees_its_lines_before_and_after() -> None:
    """With one in the calling thread, and with a tracer for new threads."""

    class Debugger(bdb.Bdb):
        lines = 0

        def user_line(self, frame: Any) -> None:
            self.lines += 1
            self.set_step()

    debugger, before = Debugger(), (sys.gettrace(), threading.gettrace(), threading.enumerate())
    threading.settrace(lambda *_: None)
    debugger.set_trace()
    try:
        found = chatlib.orders(Room, add, add_locked)
        assert sys.gettrace() == debugger.trace_dispatch and debugger.lines
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])
    assert found.count == 4
    assert (sys.gettrace(), threading.gettrace(), threading.enumerate()) == before


def test_searches_in_two_threads_do_not_disturb_each_other() -> None:
    """What each replaces belongs to the whole process: they take turns, too."""
    before, counts = (threading.Lock, threading.Thread.start, time.sleep), list[int]()

    def search() -> None:
        counts.extend(chatlib.orders(Room, add_locked, add_locked).count for _ in range(20))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [6] * 60
    assert (threading.Lock, threading.Thread.start, time.sleep) == before


def test_a_film_around_a_search_changes_nothing() -> None:
    """Both replace `threading.Lock`."""
    before = threading.Lock
    with chatlib.xray():
        watched = threading.Lock
        assert chatlib.orders(Room, add_locked, add_locked).count == 6
        assert threading.Lock is watched
    assert threading.Lock is before


INTERRUPTED = """
import _thread, signal, sys, threading, time, chatlib

class Room:
    def __init__(self):
        self.lock, self.n = threading.Lock(), 0

def interrupts(room):
    with room.lock:
        room.n += 1
        seen.append(1)
        if len(seen) == 5:
            _thread.interrupt_main()
        room.n += 1

def waits(room):
    with room.lock:
        room.n += 1

seen = []
signal.signal(signal.SIGINT, signal.default_int_handler)
before = threading.Lock, threading.RLock, threading.Thread.start, time.sleep, threading.enumerate()
try:
    chatlib.orders(Room, interrupts, waits, waits, steps=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
print(before == (threading.Lock, threading.RLock, threading.Thread.start, time.sleep, threading.enumerate()))
seen = [1] * 9
print(chatlib.orders(Room, waits, waits).count)
"""


@pytest.mark.parametrize("steps", ["lines", "instructions"])
def test_ctrl_c_ends_a_search_and_all_is_put_back(steps: str) -> None:
    """In the middle of an order, while one thread holds a lock and another may wait for it."""
    command = [sys.executable, "-c", INTERRUPTED, steps]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["interrupted", "True", "6"]


# What is told


def test_odd_words_make_a_picture_all_the_same() -> None:
    """Letters of any script, a line that is too long, and an error of several lines with what XML forbids."""

    def 挨拶する(room: Room) -> None:
        room.names.append(
            "こんにちは、皆さん。お元気ですか。今日はとても良い天気ですね。散歩に行きましょう。"
        )

    def fails(room: Room) -> None:
        raise ValueError("one\ntwo\x00\x1b" + "and more " * 200)

    found = chatlib.orders(Room, 挨拶する, fails)
    picture = found._repr_mimebundle_()["image/svg+xml"]
    root = ElementTree.fromstring(picture)
    assert "\n" not in picture and float(root.attrib["width"]) < 2500
    assert "挨拶する" in [element.text for element in root.iter()]
