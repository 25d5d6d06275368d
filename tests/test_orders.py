"""Every order in which threads can take turns: how many there are, how they end, and what is not seen."""

import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

import chatlib
from chatlib.schedules import turns
from chatlib.schedules.errors import Unrepeatable, Unseen


class Room:
    """What the threads of a chat share."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lock, self.other = threading.Lock(), threading.Lock()


def is_right(room: Room) -> bool:
    """Returns whether alice was admitted once."""
    return room.names == ["alice"]


def look_and_add(room: Room) -> bool:
    """Checks, then adds: between the two, another thread may check, too."""
    if "alice" in room.names:
        return False
    room.names.append("alice")
    return True


def lock_around_add(room: Room) -> bool:
    """The lock protects a line that needs none."""
    if "alice" in room.names:
        return False
    with room.lock:
        room.names.append("alice")
    return True


def lock_around_both(room: Room) -> bool:
    """The lock is held from the look to the addition."""
    with room.lock:
        if "alice" in room.names:
            return False
        room.names.append("alice")
        return True


def lock_then_other(room: Room) -> None:
    """One of two that take two locks crosswise."""
    with room.lock:  # noqa: SIM117
        with room.other:
            pass


def other_then_lock(room: Room) -> None:
    """The other one."""
    with room.other:  # noqa: SIM117
        with room.lock:
            pass


@pytest.mark.parametrize(
    ("functions", "count", "wrong", "deadlocks"),
    [
        ((look_and_add, look_and_add), 18, 12, 0),
        ((lock_around_add, lock_around_add), 102, 90, 0),
        ((lock_around_both, lock_around_both), 10, 0, 0),
    ],
)
def test_a_name_is_admitted_twice_in_some_orders(
    functions: tuple[Callable[[Room], object], ...], count: int, wrong: int, deadlocks: int
) -> None:
    """Without a lock, with one in the wrong place, and with one around both: the same numbers every time."""
    for _ in range(2):
        found = chatlib.orders(Room, *functions, right=is_right)
        assert (found.count, found.wrong, found.deadlocks) == (count, wrong, deadlocks)
        assert found.right == count - wrong and found.is_all


def test_two_locks_taken_crosswise_are_a_deadlock_in_some_orders() -> None:
    """It is told which thread waits for which lock, and which one holds that."""
    found = chatlib.orders(Room, lock_then_other, other_then_lock)
    assert (found.count, found.wrong, found.deadlocks) == (22, 0, 4)
    assert found.shortest and found.shortest.ending == "deadlock"
    assert str(found).endswith(
        "No thread can go on: lock_then_other waits for other, which other_then_lock holds; "
        "other_then_lock waits for lock, which lock_then_other holds."
    )


def test_the_shortest_order_that_ends_wrong_is_told_line_by_line() -> None:
    """A column for each thread, a line for each turn, and what was shared at the end."""
    assert str(chatlib.orders(Room, look_and_add, look_and_add, right=is_right)).splitlines() == [
        "There are 18 orders of look_and_add 1 and look_and_add 2: 6 end right, 12 end wrong.",
        "The shortest that ends wrong:",
        "",
        "   look_and_add 1              look_and_add 2",
        '1  if "alice" in room.names:',
        '2                              if "alice" in room.names:',
        '3  room.names.append("alice")',
        "4  return True",
        '5                              room.names.append("alice")',
        "6                              return True",
        "At the end: names = ['alice', 'alice'].",
    ]


class Counter:
    """A number."""

    def __init__(self) -> None:
        self.n = 0


def increase(counter: Counter) -> None:
    """One line, and several instructions."""
    counter.n += 1


def test_one_line_is_one_step_unless_instructions_are_asked_for() -> None:
    """Then it is seen that `+=` reads, adds and writes."""

    def is_two(counter: Counter) -> bool:
        return counter.n == 2

    by_line = chatlib.orders(Counter, increase, increase, right=is_two)
    assert (by_line.count, by_line.wrong) == (2, 0)
    found = chatlib.orders(Counter, increase, increase, right=is_two, steps="instructions")
    assert (found.count, found.wrong) == (20, 18)
    assert "LOAD_ATTR n  (in counter.n += 1)" in str(found)


def test_more_orders_than_the_limit_are_tried_by_chance_and_that_is_said() -> None:
    """The same seed chooses the same; nothing is claimed of those that were not run."""
    found = chatlib.orders(Room, lock_around_add, lock_around_add, right=is_right, limit=20, seed=7)
    again = chatlib.orders(Room, lock_around_add, lock_around_add, right=is_right, limit=20, seed=7)
    assert not found.is_all and 20 < found.count <= 40
    assert found == again
    assert "of more; some were chosen by chance (seed 7)" in found.sentence
    assert found.sentence.endswith("How the others end is not known.")
    assert chatlib.orders(Room, look_and_add, look_and_add, limit=18).is_all


# What threads wait for


class Box:
    """A place for items, and news of them."""

    def __init__(self) -> None:
        self.items = queue.Queue[str](1)
        self.news = threading.Condition()
        self.there = threading.Event()
        self.heard: list[str] = []


def test_a_queue_an_event_and_a_condition_are_seen() -> None:
    """A thread that waits for one gets no turn before it may go on; in every order it does."""

    def puts(box: Box) -> None:
        box.items.put("one")
        box.there.set()
        with box.news:
            box.heard.append("news")
            box.news.notify()

    def gets(box: Box) -> None:
        box.heard.append(box.items.get())
        box.there.wait()
        with box.news:
            box.news.wait_for(lambda: "news" in box.heard)

    found = chatlib.orders(Box, puts, gets, right=lambda box: sorted(box.heard) == ["news", "one"])
    assert found.right == found.count > 2


@pytest.mark.parametrize("name", ["items", "news", "there"])
def test_a_wait_for_what_never_comes_is_a_deadlock_with_its_name(name: str) -> None:
    """Although no thread holds anything."""
    waits: dict[str, Callable[[Box], object]] = {
        "items": lambda box: box.items.get(),
        "there": lambda box: box.there.wait(),
        "news": lambda box: box.news.__enter__() and box.news.wait(),
    }

    def waiting(box: Box) -> None:
        waits[name](box)

    def other(box: Box) -> None:
        box.heard.append("nothing")

    found = chatlib.orders(Box, waiting, other)
    assert found.deadlocks == found.count
    assert found.shortest and found.shortest.why == f"No thread can go on: waiting waits for {name}."


def test_a_wait_with_a_time_limit_may_be_over_or_not() -> None:
    """Both are among the orders, and none of them takes that long."""

    def patient(room: Room) -> None:
        if room.lock.acquire(timeout=3600.0):
            room.names.append("patient")
            room.lock.release()

    def holds(room: Room) -> None:
        with room.lock:
            time.sleep(3600.0)

    found = chatlib.orders(Room, patient, holds, right=lambda room: room.names == ["patient"])
    assert found.right and found.wrong and not found.deadlocks


OUTER = threading.Lock()


def test_a_lock_outside_is_seen_and_put_back() -> None:
    """As a global, and in a closure; afterwards it is Python's own again."""
    inner = threading.Lock()
    before = OUTER, inner

    def locks(room: Room) -> None:
        with OUTER, inner:
            if "alice" not in room.names:
                room.names.append("alice")

    assert chatlib.orders(Room, locks, locks, right=is_right).wrong == 0
    assert (OUTER, inner) == before and not OUTER.locked() and not inner.locked()


# What is not seen is said


EVENT = threading.Event()


def test_an_event_that_outlives_an_order_is_refused() -> None:
    """It would be set in the second order."""
    with pytest.raises(Unseen, match="EVENT was made outside"):
        chatlib.orders(Room, lambda room: EVENT.wait(), lambda room: EVENT.set())


names = threading.Lock()


def test_a_lock_that_is_taken_is_refused_where_it_is_used() -> None:
    """An attribute of the same name is another thing."""
    with names:
        with pytest.raises(Unseen, match="names is taken already before an order begins"):
            chatlib.orders(Room, lambda room: names.acquire(), look_and_add)
        assert chatlib.orders(Room, lambda room: room.names.clear(), look_and_add).count > 1


def test_a_thread_that_a_function_starts_is_refused() -> None:
    """It would run whenever it likes."""

    def starts(room: Room) -> None:
        threading.Thread(target=room.names.clear, name="the third").start()

    with pytest.raises(Unseen, match="the third cannot be started here"):
        chatlib.orders(Room, starts, look_and_add)


def test_what_waits_in_c_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of C gives no turn back. Its thread ends when it can."""
    monkeypatch.setattr(turns, "STUCK_AFTER", 0.5)
    unseen = queue.SimpleQueue[int]()

    def waits(room: Room) -> None:
        room.names.append("here")
        unseen.get()

    with pytest.raises(Unseen, match=r"which is 'unseen.get\(\)', in 0 s: it computes, or waits"):
        chatlib.orders(Room, waits, look_and_add)
    unseen.put(1)


def test_chance_and_what_outlives_an_order_are_noticed() -> None:
    """The count would be of no program at all."""
    chance = random.Random(1)

    def dice(room: Room) -> None:
        if chance.random() < 0.5:
            room.names.append("alice")
            room.names.append("bob")

    with pytest.raises(Unrepeatable, match="the same order ran differently"):
        chatlib.orders(Room, dice, dice, dice)


def test_one_function_is_no_program() -> None:
    """Nothing to take turns with."""
    with pytest.raises(ValueError, match="two functions or more"):
        chatlib.orders(Room, look_and_add)


# How it ends


def test_an_error_in_a_thread_is_an_end_of_its_own() -> None:
    """It is told which thread raised what."""

    def adds(room: Room) -> None:
        room.names.append("alice")

    def removes(room: Room) -> None:
        room.names.remove("alice")

    found = chatlib.orders(Room, adds, removes)
    assert (found.count, found.right, found.wrong) == (2, 1, 1)
    assert found.shortest and found.shortest.ending == "error"
    assert "removes ended with ValueError: list.remove(x)" in found.shortest.why


def test_an_order_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that polls goes on as long as it alone is chosen."""
    monkeypatch.setattr(turns, "LONGEST", 30)

    def polls(room: Room) -> None:
        while not room.names:
            pass

    def adds(room: Room) -> None:
        room.names.append("alice")

    found = chatlib.orders(Room, polls, adds, limit=50)
    assert found.counts["endless"] >= 1 and found.right >= 1


def test_three_threads_take_turns() -> None:
    """As many orders as there are ways to shuffle three decks."""

    def twice(room: Room) -> None:
        room.names.append("one")
        room.names.append("two")

    assert chatlib.orders(Room, twice, twice, twice).count == 90  # 6! / (2! 2! 2!)


def cleans_up(room: Room) -> None:
    """Ends in several lines when it is abandoned."""
    try:
        lock_then_other(room)
    finally:
        room.names.append("clean")
        room.names.append("clean")


@pytest.mark.parametrize("steps", ["lines", "instructions"])
def test_nothing_is_left_behind(steps: Any) -> None:
    """No thread, no patch, and the tracer that was there; also after deadlocks."""
    before = threading.enumerate(), threading.Lock, threading.RLock, threading.Thread.start, time.sleep
    tracer = sys.gettrace()
    found = chatlib.orders(Room, cleans_up, other_then_lock, steps=steps, limit=40)
    assert found.deadlocks
    after = threading.enumerate(), threading.Lock, threading.RLock, threading.Thread.start, time.sleep
    assert after == before
    assert sys.gettrace() is tracer


def test_a_tracer_that_was_there_goes_on() -> None:
    """A debugger sees the lines of the caller before and after."""
    seen = list[int]()

    def tracer(frame: Any, event: str, argument: Any) -> Any:
        seen.append(frame.f_lineno)
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        found = chatlib.orders(Room, look_and_add, look_and_add, right=is_right)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert (found.count, found.wrong) == (18, 12)
    assert seen


def test_a_thread_that_swallows_everything_is_ended() -> None:
    """A bare `except` in a loop also catches what is to end it."""

    def stubborn(room: Room) -> None:
        while True:
            try:
                with room.lock, room.other:
                    return
            except BaseException:
                continue

    found = chatlib.orders(Room, stubborn, other_then_lock, limit=10)
    assert found.deadlocks
    assert not [thread for thread in threading.enumerate() if thread.name == "stubborn"]


# The picture, and the view


def test_the_picture_has_a_lane_for_each_thread_and_a_bar_for_each_lock() -> None:
    """One line of well-formed SVG."""
    found = chatlib.orders(Room, lock_then_other, other_then_lock)
    picture = found._repr_mimebundle_()["image/svg+xml"]
    assert "\n" not in picture
    texts = [element.text for element in ElementTree.fromstring(picture).iter()]
    for text in ("lock_then_other", "other_then_lock", "waits for other", "lock_then_other holds lock"):
        assert text in texts, text
    assert found.shortest and found.shortest._repr_mimebundle_()["image/svg+xml"] == picture


def test_the_reader_is_the_scheduler() -> None:
    """Buttons give turns and take them back. None is disabled: what cannot go on is told so."""
    pytest.importorskip("ipywidgets")
    from chatlib.views.scheduler import Scheduler

    view = Scheduler(chatlib.orders(Room, lock_then_other, other_then_lock))
    buttons = {button.description: button for row in view.children[1:3] for button in row.children}
    assert "is a deadlock" in view.children[3].value
    buttons["lock_then_other goes on"].click()
    assert view.children[3].value.startswith("lock_then_other cannot go on: it waits for other")
    buttons["begin again"].click()
    buttons["one turn back"].click()  # there is none
    assert view.children[3].value.startswith("lock_then_other comes to: with room.lock:")
    for name in ("lock_then_other", "other_then_lock", "lock_then_other", "other_then_lock"):
        buttons[f"{name} goes on"].click()
    assert "is a deadlock" in view.children[3].value
    buttons["one turn back"].click()
    assert "lock_then_other waits for other" in view.children[3].value
    buttons["lock_then_other goes on"].click()
    assert "cannot go on" in view.children[3].value and "lock_then_other waits for" in view.children[3].value
    assert not any(button.disabled for button in buttons.values())
    buttons["the shortest that ends badly"].click()
    assert "is a deadlock" in view.children[3].value
    assert set(view._repr_mimebundle_()) >= {"image/svg+xml", "text/plain"}
    view.close()
