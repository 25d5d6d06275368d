"""Exercise 08: a room that is right in all orders. Each wrong one fails the case about its mistake."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, passes, solved, variant

import chatlib
from chatlib.checker.case import Outcome
from chatlib.teach.exercises.sandbox import SLIP


def test_the_solution_of_08_passes() -> None:
    """In all orders."""
    passes("08", solved("08")["Room"])


def with_reentrant_lock(self: Any, seats: int) -> None:
    """Makes a lock that its thread may take again."""
    self.seats, self.names, self.lock = seats, [], threading.RLock()


def acquiring(self: Any, name: str) -> bool:
    """Is right as well, without `with`."""
    self.lock.acquire()
    try:
        if name in self.names or len(self.names) >= self.seats:
            return False
        self.names.append(name)
        return True
    finally:
        self.lock.release()


def looking_twice(self: Any, name: str) -> bool:
    """Looks before the lock as well, which does no harm."""
    if name in self.names:
        return False
    return acquiring(self, name)


def renaming_by_parts(self: Any, old: str, new: str) -> bool:
    """Lets one go, and the other one in: right only if the lock is held all the time."""
    if old not in self.names or new in self.names:
        return False
    self.leave(old)
    return bool(self.enter(new))


def renaming_within(self: Any, old: str, new: str) -> bool:
    """Holds the lock while it calls methods that take it."""
    with self.lock:
        return renaming_by_parts(self, old, new)


@pytest.mark.parametrize(
    "methods",
    [
        {"enter": acquiring},
        {"enter": looking_twice},
        {"__init__": with_reentrant_lock, "rename": renaming_within},
    ],
)
def test_other_right_rooms_pass(methods: dict[str, Callable[..., Any]]) -> None:
    """The check asks for no particular way."""
    passes("08", variant("08", **methods))


def unlocked(self: Any, name: str) -> bool:
    """Knows no lock."""
    if name in self.names or len(self.names) == self.seats:
        return False
    self.names.append(name)
    return True


def locked_add(self: Any, name: str) -> bool:
    """Protects what needs no lock."""
    if name in self.names or len(self.names) == self.seats:
        return False
    with self.lock:
        self.names.append(name)
    return True


def new_lock(self: Any, name: str) -> bool:
    """Takes a lock that no other thread can want."""
    with threading.Lock():
        return unlocked(self, name)


def counting_first(self: Any, name: str) -> bool:
    """Looks for a seat before it takes the lock."""
    if len(self.names) == self.seats:
        return False
    with self.lock:
        if name in self.names:
            return False
        self.names.append(name)
        return True


def keeping(self: Any, name: str) -> bool:
    """Does not give the lock back if it refuses."""
    self.lock.acquire()
    if name in self.names or len(self.names) == self.seats:
        return False
    self.names.append(name)
    self.lock.release()
    return True


def keeping_the_seats(self: Any, name: str) -> bool:
    """Forgets that there are seats."""
    with self.lock:
        if name in self.names:
            return False
        self.names.append(name)
        return True


def saying_nothing(self: Any, name: str) -> bool | None:
    """Returns None instead of False."""
    with self.lock:
        if name not in self.names and len(self.names) < self.seats:
            self.names.append(name)
            return True
    return None


def looping(self: Any, name: str) -> bool:
    """Waits for a seat, and so for ever."""
    while len(self.names) == self.seats:
        pass
    return acquiring(self, name)


def leaving_unlocked(self: Any, name: str) -> None:
    """Looks and removes, without the lock."""
    if name in self.names:
        self.names.remove(name)


def giving_away(self: Any) -> Any:
    """Gives the list itself away."""
    with self.lock:
        return self.names


def walking_unlocked(self: Any) -> list[str]:
    """Walks a list that may change."""
    found = []
    for name in self.names:
        found.append(name)  # noqa: PERF402
    return found


def text_for_number(self: Any, name: str) -> bool:
    """Adds a number to a text."""
    return bool(name + 1)  # type: ignore[operator]


WAITS_FOR_ITSELF = "No thread can go on: the thread waits for lock, which the thread holds."
BOTH = "enter('alice') 1 returned True.\nenter('alice') 2 returned True."


@pytest.mark.parametrize(
    ("methods", "failed", "sentence"),
    [
        ({"enter": keeping_the_seats}, "room.alone", "it returned True"),
        ({"enter": saying_nothing}, "room.alone", "it returned None"),
        ({"enter": keeping}, "room.alone", WAITS_FOR_ITSELF),
        ({"rename": renaming_within}, "room.alone", WAITS_FOR_ITSELF),
        ({"enter": looping}, "room.alone", "After 1,000 steps it has not ended. Its last line: "),
        ({"everyone": giving_away}, "room.alone", "everyone() returned [] then"),
        ({"enter": unlocked}, "room.same", BOTH),
        ({"enter": locked_add}, "room.same", BOTH),
        ({"enter": new_lock}, "room.same", BOTH),
        ({"enter": counting_first}, "room.seats", "At the end: seats = 1, names = ['alice', 'bob']."),
        ({"leave": leaving_unlocked}, "room.leave", "leave('alice') 2 ended with ValueError"),
        ({"rename": renaming_by_parts}, "room.rename", "At the end: seats = 2, names = ['carol']."),
        ({"everyone": walking_unlocked}, "room.everyone", "everyone() returned ['alice', 'bob']."),
    ],
)
def test_wrong_rooms_are_told_apart(
    methods: dict[str, Callable[..., Any]], failed: str, sentence: str
) -> None:
    """Each mistake is found by the case that is about it. It is said how many orders are wrong, and which."""
    wrong = failure("08", variant("08", **methods), failed)
    assert sentence in wrong.actual
    if failed != "room.alone":
        assert re.match(r"in \d+ of \d+ orders it is not so. The shortest of these:\n1\. \w+\(", wrong.actual)


LOCK = threading.Lock()


def with_a_global_lock(self: Any, name: str) -> bool:
    """Takes one lock for all rooms."""
    with LOCK:
        return unlocked(self, name)


@pytest.mark.parametrize(
    ("methods", "name"), [({"enter": with_a_global_lock}, "LOCK"), ({"guard": threading.RLock()}, "guard")]
)
def test_a_lock_for_all_rooms_is_refused(methods: dict[str, Any], name: str) -> None:
    """Of the class, or global: the scheduler could not see it, and it holds up rooms that share nothing."""
    wrong = failure("08", variant("08", **methods), "room.alone")
    assert wrong.actual == f"{name} is one lock for all rooms"


def test_a_slip_is_explained() -> None:
    """What a method raises is said with its line, and what Python means by it."""
    report = chatlib.exercise("08", variant("08", enter=text_for_number))
    [verdict] = report.of(Outcome.FAIL)
    assert verdict.failure and "the thread ended with TypeError: " in verdict.failure.actual
    assert verdict.case.hint == SLIP


def test_a_room_that_cannot_be_made_is_explained() -> None:
    """As Python says it."""

    def __init__(self: Any) -> None: ...

    wrong = failure("08", variant("08", __init__=__init__), "room.alone")
    assert "takes 1 positional argument but 2 were given" in wrong.actual


def test_what_the_scheduler_cannot_see_is_said() -> None:
    """In its own words."""

    def leave(self: Any, name: str) -> None:
        threading.Thread(target=self.names.remove, args=[name], name="another").start()

    wrong = failure("08", variant("08", leave=leave), "room.alone")
    assert wrong.actual.startswith("another cannot be started here: ")
