"""Thirty small programs whose ends are known by reasoning: ten right, ten that race, ten that can deadlock.

Each count of orders is the same on every version of Python. Where no thread waits it is that of the ways to
shuffle two decks: of two threads with two lines each, 4! / (2! 2!) = 6.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

import chatlib


class Shared:
    """What the threads of each program share."""

    def __init__(self) -> None:
        self.n, self.log = 0, list[object]()
        self.one, self.two, self.again = threading.Lock(), threading.Lock(), threading.RLock()
        self.news, self.there = threading.Condition(), threading.Event()
        self.seats, self.key = threading.Semaphore(2), threading.Semaphore(1)
        self.meet = threading.Barrier(2)
        self.items, self.box = queue.Queue[int](), queue.Queue[int](1)
        self.numbers, self.letters = self._numbers(), ["a"]

    def _numbers(self) -> Iterator[int]:
        yield 1
        yield 2

    def increase_by(self, much: int) -> None:
        """Takes the lock twice, which this one allows."""
        with self.again:
            self._write(self.n + much)

    def _write(self, n: int) -> None:
        with self.again:
            self.n = n

    def look(self) -> None:
        """Takes the lock, and the method that it calls does so, too: this one does not allow that."""
        with self.one:
            self._note()

    def _note(self) -> None:
        with self.one:
            self.log.append(self.n)


class Program(NamedTuple):
    """Functions, what is right when they have ended, and how many orders there are."""

    orders: int
    bad: int
    """How many of them do not end right."""
    functions: tuple[Callable[[Shared], object], ...]
    right: Callable[[Shared], bool]


def is_two(shared: Shared) -> bool:
    """Returns whether both threads have increased the number."""
    return shared.n == 2


def anything(shared: Shared) -> bool:
    """For programs that are right whenever they end."""
    return True


# Right in all orders


def append_twice(shared: Shared) -> None:
    """Each line is whole by itself, and their order does not matter."""
    shared.log.append("a")
    shared.log.append("b")


def increase_locked(shared: Shared) -> None:
    """Reads and writes under the same lock."""
    with shared.one:
        n = shared.n
        shared.n = n + 1


def increase_by_method(shared: Shared) -> None:
    """A lock that its holder may take again."""
    shared.increase_by(1)


def write_then_set(shared: Shared) -> None:
    """Tells of the number when it is there."""
    shared.n = 2
    shared.there.set()


def wait_then_read(shared: Shared) -> None:
    """Reads the number when it has been told of it."""
    shared.there.wait()
    shared.log.append(shared.n)


def write_and_notify(shared: Shared) -> None:
    """Changes what others wait for under the lock of the condition."""
    with shared.news:
        shared.n = 2
        shared.news.notify()


def wait_while_zero(shared: Shared) -> None:
    """Looks again whenever it is woken."""
    with shared.news:
        while shared.n == 0:
            shared.news.wait()
        shared.log.append(shared.n)


def increase_with_key(shared: Shared) -> None:
    """A semaphore for one is a lock."""
    shared.key.acquire()
    n = shared.n
    shared.n = n + 1
    shared.key.release()


def note_meet_note(name: str) -> Callable[[Shared], None]:
    """Returns a function that writes, waits for the other thread, and reads."""

    def meets(shared: Shared) -> None:
        shared.log.append(name)
        shared.meet.wait()
        shared.n += {"a", "b"} <= {*shared.log}

    return meets


def put_both(shared: Shared) -> None:
    """There is room for one: the second has to wait."""
    shared.box.put(1)
    shared.box.put(2)


def get_both(shared: Shared) -> None:
    """Waits for each."""
    shared.log.append(shared.box.get())
    shared.log.append(shared.box.get())


def behind_a_lock() -> Callable[[Shared], None]:
    """Returns a function with a lock of its own, which both threads find outside."""
    lock = threading.Lock()

    def increases(shared: Shared) -> None:
        with lock:
            n = shared.n
            shared.n = n + 1

    return increases


def count_down(much: int) -> Iterator[int]:
    """Each thread has a generator of its own."""
    while much:
        yield much
        much -= 1


def log_countdown(shared: Shared) -> None:
    """Runs through its own generator."""
    shared.log.extend(count_down(1))


def both_locks(shared: Shared) -> None:
    """Everywhere in the same order."""
    with shared.one:  # noqa: SIM117
        with shared.two:
            shared.n += 1


RIGHT = {
    "appending": Program(6, 0, (append_twice, append_twice), lambda shared: len(shared.log) == 4),
    "one lock": Program(8, 0, (increase_locked, increase_locked), is_two),
    "a lock taken again": Program(66, 0, (increase_by_method, increase_by_method), is_two),
    "an event": Program(3, 0, (write_then_set, wait_then_read), lambda shared: shared.log == [2]),
    "a condition": Program(10, 0, (write_and_notify, wait_while_zero), lambda shared: shared.log == [2]),
    "a semaphore": Program(8, 0, (increase_with_key, increase_with_key), is_two),
    "a barrier": Program(18, 0, (note_meet_note("a"), note_meet_note("b")), is_two),
    "a queue": Program(8, 0, (put_both, get_both), lambda shared: shared.log == [1, 2]),
    "a generator": Program(21, 0, (log_countdown, append_twice), lambda shared: len(shared.log) == 3),
    "locks in one order": Program(10, 0, (both_locks, both_locks), is_two),
}


# Races


def increase(shared: Shared) -> None:
    """Between the two lines another thread may write."""
    n = shared.n
    shared.n = n + 1


def take_if_any(shared: Shared) -> None:
    """Checks, then takes what may be gone by then."""
    if shared.letters:
        shared.letters.pop()


def increase_locked_apart(shared: Shared) -> None:
    """The lock is given back in between."""
    with shared.one:
        n = shared.n
    with shared.one:
        shared.n = n + 1


def increase_with(lock: str) -> Callable[[Shared], None]:
    """Returns a function that uses this lock: another one than the other thread."""

    def increases(shared: Shared) -> None:
        with getattr(shared, lock):
            n = shared.n
            shared.n = n + 1

    return increases


def set_then_write(shared: Shared) -> None:
    """Tells of the number before it is there."""
    shared.there.set()
    shared.n = 2


def wait_once(shared: Shared) -> None:
    """Does not look whether it was woken, or its time was over."""
    with shared.news:
        if shared.n == 0:
            shared.news.wait(timeout=60)
        shared.log.append(shared.n)


def increase_with_seat(shared: Shared) -> None:
    """A semaphore for two keeps neither thread out."""
    shared.seats.acquire()
    n = shared.n
    shared.n = n + 1


def take_next(shared: Shared) -> None:
    """A generator that both threads use: one of them may find it running."""
    shared.log.append(next(shared.numbers))


def read_before_meeting(shared: Shared) -> None:
    """Reads too early: the barrier is behind it."""
    shared.log.append(shared.n)
    shared.meet.wait()


def write_before_meeting(shared: Shared) -> None:
    """What the other one should wait for."""
    shared.n = 2
    shared.meet.wait()


def give_up_if_taken(shared: Shared) -> None:
    """Does not wait for the lock, and then does nothing."""
    if shared.one.acquire(blocking=False):
        increase(shared)
        shared.one.release()


RACES = {
    "read and write": Program(6, 4, (increase, increase), is_two),
    "check and take": Program(6, 4, (take_if_any, take_if_any), anything),
    "a lock given back between": Program(21, 12, (increase_locked_apart, increase_locked), is_two),
    "a lock each": Program(70, 36, (increase_with("one"), increase_with("two")), is_two),
    "set too early": Program(6, 2, (set_then_write, wait_then_read), lambda shared: shared.log == [2]),
    "a wait that is not looked after": Program(
        21, 5, (write_and_notify, wait_once), lambda shared: shared.log == [2]
    ),
    "a semaphore for two": Program(20, 12, (increase_with_seat, increase_with_seat), is_two),
    "one generator": Program(4, 2, (take_next, take_next), anything),
    "a barrier too late": Program(
        6, 3, (write_before_meeting, read_before_meeting), lambda shared: shared.log == [2]
    ),
    "a lock not waited for": Program(10, 8, (give_up_if_taken, give_up_if_taken), is_two),
}


# Deadlocks


def one_then_two(shared: Shared) -> None:
    """Takes two locks."""
    with shared.one:  # noqa: SIM117
        with shared.two:
            pass


def two_then_one(shared: Shared) -> None:
    """The other way round."""
    with shared.two:  # noqa: SIM117
        with shared.one:
            pass


def look_by_method(shared: Shared) -> None:
    """Waits for itself."""
    shared.look()


def nothing(shared: Shared) -> None:
    """Leaves the other thread alone."""
    shared.log.append("nothing")


def put_if_none(shared: Shared) -> None:
    """The other thread may have taken the only item meanwhile."""
    if shared.items.empty():
        shared.items.put(1)


def get_two(shared: Shared) -> None:
    """Waits for more than there may ever be."""
    shared.log += [shared.items.get(), shared.items.get()]


def notify_only(shared: Shared) -> None:
    """Wakes a thread that waits now: one that comes later has missed it."""
    with shared.news:
        shared.news.notify()


def wait_only(shared: Shared) -> None:
    """Waits, even if it was told before."""
    with shared.news:
        shared.news.wait()


def set_then_clear(shared: Shared) -> None:
    """The event is set for a moment only."""
    shared.there.set()
    shared.there.clear()


def wait_for_event(shared: Shared) -> None:
    """May come too early or too late."""
    shared.there.wait()


def meet_if_even(shared: Shared) -> None:
    """May find that the other thread has changed the number: then one of them waits alone."""
    if shared.n % 2 == 0:
        shared.n += 1
        shared.meet.wait()


def take_both_seats(shared: Shared) -> None:
    """Each may hold one of the two, and wait for the other."""
    shared.seats.acquire()
    shared.seats.acquire()
    shared.seats.release(2)


def get_under_lock(shared: Shared) -> None:
    """Waits for an item, and keeps the lock that the other thread needs to put one."""
    with shared.one:
        shared.items.get()


def put_under_lock(shared: Shared) -> None:
    """Needs that lock."""
    with shared.one:
        shared.items.put(1)


def return_without_release(shared: Shared) -> None:
    """Leaves by a way on which the lock is not given back, if it comes first."""
    shared.one.acquire()
    shared.n += 1
    if shared.n == 1:
        return
    shared.one.release()


def again_then_one(shared: Shared) -> None:
    """Crosswise with a lock that may be taken again."""
    with shared.again:  # noqa: SIM117
        with shared.one:
            pass


def one_then_again(shared: Shared) -> None:
    """The other way round."""
    with shared.one:  # noqa: SIM117
        with shared.again:
            pass


DEADLOCKS = {
    "crosswise": Program(22, 4, (one_then_two, two_then_one), anything),
    "taken again": Program(5, 5, (look_by_method, nothing), anything),
    "crosswise with an RLock": Program(22, 4, (again_then_one, one_then_again), anything),
    "one item too few": Program(44, 6, (put_if_none, put_if_none, get_two), anything),
    "told too early": Program(7, 3, (notify_only, wait_only), anything),
    "an event for a moment": Program(4, 1, (set_then_clear, wait_for_event), anything),
    "alone at a barrier": Program(16, 4, (meet_if_even, meet_if_even), anything),
    "a seat each": Program(8, 4, (take_both_seats, take_both_seats), anything),
    "a lock kept in a wait": Program(5, 2, (get_under_lock, put_under_lock), anything),
    "never given back": Program(8, 8, (return_without_release, return_without_release), anything),
}


# Judged


@pytest.mark.parametrize("name", RIGHT)
def test_all_orders_of_a_right_program_end_right(name: str) -> None:
    """Each of them was run, and none is blamed."""
    count, _, functions, right = RIGHT[name]
    found = chatlib.orders(Shared, *functions, right=right)
    assert (found.count, found.right, found.is_all, found.shortest) == (count, count, True, None)


@pytest.mark.parametrize("name", RACES)
def test_some_orders_of_a_race_end_wrong(name: str) -> None:
    """Some end right: so one run may hide it. None of them is a deadlock."""
    count, bad, functions, right = RACES[name]
    found = chatlib.orders(Shared, *functions, right=right)
    assert (found.count, found.wrong, found.deadlocks, found.is_all) == (count, bad, 0, True)
    assert 0 < bad < count and found.shortest and found.shortest.ending in ("wrong", "error")


@pytest.mark.parametrize("name", DEADLOCKS)
def test_a_deadlock_is_found_and_all_else_is_right(name: str) -> None:
    """It is said which thread waits for what."""
    count, bad, functions, right = DEADLOCKS[name]
    found = chatlib.orders(Shared, *functions, right=right)
    assert (found.count, found.wrong, found.deadlocks, found.is_all) == (count, 0, bad, True)
    assert bad and found.shortest and " waits for " in found.shortest.why
    assert "a lock" not in found.shortest.why.replace("lock_", "")  # all have names
