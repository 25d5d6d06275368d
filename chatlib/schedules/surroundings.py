"""What the functions that take turns find around them: locks that can be seen, and no time that passes."""

import contextlib
import dis
import functools
import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from chatlib.schedules.errors import Unseen
from chatlib.schedules.locks import REAL_LOCK, REAL_RLOCK, Factory, Lock, RLock, Turn, seen_instead_of

Variable = tuple[str, object, Callable[[object], None]]
"""Its name, its value, and what gives it another one."""

MADE_OF_LOCKS = (threading.Condition, threading.Event, threading.Semaphore, threading.Barrier, queue.Queue)

MANY = 100
"""Parts of one thing that are looked at, in search of locks."""


class Surroundings:
    """Lets threads that take turns make locks that can be seen, and sleep no time.

    A lock in a global or an outer variable of their functions is replaced by one that can be seen, and so is
    `Lock` itself, if they have imported it.

    Args:
        turn: The scheduler.
        functions: What runs.
    """

    def __init__(self, turn: Turn, functions: Sequence[Callable[..., object]]) -> None:
        self._turn, self._functions = turn, functions
        self._others = dict[int, object]()
        """What is in place of something, by the identity of that."""
        self._undo = list[Callable[[], None]]()

    def replace(self) -> None:
        """Replaces all that threads can find before `make` has run.

        Raises:
            Unseen: There is a queue, an event or the like, which would go on being as the last order left it;
                or a lock that is taken.
        """
        for name, kind in ("Lock", Lock), ("RLock", RLock), ("_allocate_lock", Lock):
            real = getattr(threading, name)
            self._others[id(real)] = Factory(self._turn, kind, real)
            self._put(threading, name, self._others[id(real)])
        self._replace_time()
        start = threading.Thread.start
        self._put(threading.Thread, "start", _unless(self._turn, start, _refusal(self._turn)))
        outer = outer_variables(self._functions)
        for name, value, _ in outer:
            if isinstance(value, MADE_OF_LOCKS) and self._is_mentioned(name):
                raise Unseen(f"{name} was made outside: make it in what is shared, afresh for each order")
        self.see_locks(outer)

    def see_locks(self, variables: Iterable[Variable]) -> None:
        """Replaces locks in variables by locks that can be seen, one and the same by one.

        Raises:
            Unseen: One is taken already.
        """
        for name, value, put in variables:
            if isinstance(value, REAL_LOCK | REAL_RLOCK) and id(value) not in self._others:
                lock = seen_instead_of(value, self._turn)
                if lock is None and self._is_mentioned(name):
                    raise Unseen(f"{name} is taken already before an order begins")
                self._others[id(value)] = lock
            if other := self._others.get(id(value)):
                self._undo.append(functools.partial(put, value))
                put(other)

    def put_back(self) -> None:
        """Undoes all of it. May be called again: Ctrl-C may cut it short."""
        for undo in reversed(self._undo):
            undo()

    def _replace_time(self) -> None:
        # Its clock goes on by what a thread would have slept or waited. None of that passes really.
        def sleep(seconds: float) -> None:
            self._turn.thread().clock += seconds

        def clock() -> float:
            return float(self._turn.thread().clock)

        self._others[id(time.sleep)] = _unless(self._turn, time.sleep, sleep)
        self._put(time, "sleep", self._others[id(time.sleep)])
        # What `Condition`, `Semaphore` and `Queue` reckon a time limit with: it is the same in each run.
        self._put(threading, "_time", _unless(self._turn, time.monotonic, clock))
        self._put(queue, "time", _unless(self._turn, time.monotonic, clock))

    def _put(self, variables: Any, name: str, value: object) -> None:
        self._undo.append(functools.partial(setattr, variables, name, getattr(variables, name)))
        setattr(variables, name, value)

    def _is_mentioned(self, name: str) -> bool:
        return any(mentions(function, name) for function in self._functions)


def _unless(turn: Turn, real: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that does something else in threads that take turns."""

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (other if turn.thread() else real)(*args, **kwargs)

    return call


def _refusal(turn: Turn) -> Callable[[threading.Thread], None]:
    def refuse(thread: threading.Thread) -> None:
        why = "its function must take turns as well, so name it, too"
        turn.refuse(f"{thread.name} cannot be started here: {why}")

    return refuse


class Names:
    """What a program calls its locks: attributes of what is shared, global and outer variables.

    Args:
        shared: What the threads share.
        functions: What they do with it.
    """

    def __init__(self, shared: object, functions: Iterable[Callable[..., object]]) -> None:
        self._locks: dict[Lock, str] = {}
        self._conditions: list[tuple[str, threading.Condition]] = []
        self._look_into("", shared, 3)
        for name, value, _ in outer_variables(functions):
            self._look_into(name, value, 1)

    def _look_into(self, name: str, value: object, depth: int) -> None:
        if isinstance(value, threading.Condition):
            self._conditions.append((name, value))
            value = value._lock  # type: ignore[attr-defined]
        if isinstance(value, Lock):
            while name in self._locks.values() and value not in self._locks:
                name += "'"  # another one of this name: a global, say, and an attribute
            self._locks.setdefault(value, name)
        elif depth:
            for inner, part in itertools.islice(parts_of(name, value), MANY):
                self._look_into(inner, part, depth - 1)

    def of(self, lock: Lock) -> str:
        """Returns the name of a lock; that of its condition or event, if a thread waits there for news."""
        # `Condition.wait` makes a lock for each wait, and takes it twice.
        found = (name for name, each in self._conditions if lock in each._waiters)  # type: ignore[attr-defined]
        return self._locks.get(lock) or next(found, "a lock")

    def held(self) -> Mapping[str, Any]:
        """Returns who holds which lock now, by its name."""
        return {name: lock.holder for lock, name in self._locks.items() if lock.holder}


def attributes(thing: object) -> list[Variable]:
    """Returns what an object or a dictionary holds."""
    found = thing if isinstance(thing, dict) else getattr(thing, "__dict__", None)
    if not isinstance(found, dict):  # of a class, say
        return []
    return [(str(name), value, functools.partial(found.__setitem__, name)) for name, value in found.items()]


def parts_of(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Gives what is in something, and what a reader calls it: `forks[0]`, `account.lock`."""
    if isinstance(value, list | tuple):
        yield from ((f"{name}[{place}]", part) for place, part in enumerate(value))
    elif isinstance(value, dict) and name:
        yield from ((f"{name}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, MADE_OF_LOCKS):  # `mutex` of a Queue, `_cond` of an Event: the whole has a name
        yield from ((name, part) for part in vars(value).values())
    elif not isinstance(value, ModuleType | type):
        yield from ((f"{name}.{inner}".strip("."), part) for inner, part, _ in attributes(value))


def outer_variables(functions: Iterable[Any]) -> list[Variable]:
    """Returns what functions find outside: all globals, as they may call others; variables around them."""
    found, modules = list[Variable](), set[int]()

    def add_globals(variables: dict[str, Any]) -> None:
        if id(variables) not in modules:  # most functions of a program have the same
            modules.add(id(variables))
            found.extend(attributes(variables))

    for function in (getattr(each, "__func__", each) for each in functions):
        if (
            isinstance(function, type) and function.__module__ in sys.modules
        ):  # what is shared is of this class
            add_globals(vars(sys.modules[function.__module__]))
            for name, value in list(vars(function).items()):
                found.append((name, value, functools.partial(setattr, function, name)))
        if isinstance(function, FunctionType):
            add_globals(function.__globals__)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                with contextlib.suppress(ValueError):  # an empty one: the variable has no value yet
                    found.append(
                        (name, cell.cell_contents, functools.partial(setattr, cell, "cell_contents"))
                    )
    return found


def mentions(function: Any, name: str) -> bool:
    """Returns whether a function uses an outer variable. (An attribute of that name is another thing.)"""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and any(
        step.argval == name and (step.opname == "LOAD_GLOBAL" or name in code.co_freevars)
        for step in dis.get_instructions(code)
    )
