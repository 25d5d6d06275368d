"""What the functions that take turns find around them: locks that can be seen, and no time that passes."""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from chatlib.schedules.errors import Unseen
from chatlib.schedules.locks import REAL_LOCK, REAL_RLOCK, Factory, Lock, RLock, Turn, seen_instead_of

Variable = tuple[str, object, Callable[[object], None]]
"""Its name, its value, and what gives it another one."""

MADE_OF_LOCKS = (threading.Condition, threading.Event, threading.Semaphore, threading.Barrier, queue.Queue)


@contextlib.contextmanager
def seen(turn: Turn, functions: Sequence[Callable[..., object]]) -> Iterator[None]:
    """While the block runs, threads that take turns make locks that can be seen, and sleep no time.

    A lock in a global or an outer variable of these functions is replaced meanwhile by one that can be seen.

    Raises:
        Unseen: There is a queue, an event or the like, which would go on being as the last order left it.
    """
    with contextlib.ExitStack() as stack:

        def replace(variables: Any, name: str, value: object) -> None:
            stack.callback(setattr, variables, name, getattr(variables, name))
            setattr(variables, name, value)

        for name, kind in ("Lock", Lock), ("RLock", RLock), ("_allocate_lock", Lock):
            replace(threading, name, Factory(turn, kind, getattr(threading, name)))
        # Every order is tried anyway: to let time pass changes nothing.
        replace(time, "sleep", _unless(turn, time.sleep, lambda seconds: None))
        replace(threading.Thread, "start", _unless(turn, threading.Thread.start, _refuse_to_start))
        for name, value, put in [each for function in functions for each in outer_variables(function)]:
            if isinstance(value, REAL_LOCK | REAL_RLOCK):
                stack.callback(put, value)
                put(seen_instead_of(value, turn))
            elif isinstance(value, MADE_OF_LOCKS) and any(mentions(function, name) for function in functions):
                raise Unseen(f"{name} was made outside: make it in what is shared, afresh for each order")
        yield


def _unless(turn: Turn, real: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that does something else in threads that take turns."""

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (other if turn.thread() else real)(*args, **kwargs)

    return call


def _refuse_to_start(thread: threading.Thread) -> None:
    raise Unseen(
        f"{thread.name} cannot be started here: its function must take turns as well, so name it, too"
    )


class Names:
    """What a program calls its locks: attributes of what is shared, global and outer variables.

    Args:
        shared: What the threads share.
        functions: What they do with it.
    """

    def __init__(self, shared: object, functions: Iterable[Callable[..., object]]) -> None:
        outer = [each for function in functions for each in outer_variables(function)]
        self._locks: dict[Lock, str] = {}
        self._conditions: list[tuple[str, threading.Condition]] = []
        for name, value, _ in [*attributes(shared), *outer]:
            self._add(name, value)
            for _, inner, _ in attributes(value):  # `mutex` of a Queue, `_cond` of an Event
                self._add(name, inner)

    def _add(self, name: str, value: object) -> None:
        if isinstance(value, threading.Condition):
            self._conditions.append((name, value))
            value = value._lock  # type: ignore[attr-defined]
        if isinstance(value, Lock):
            self._locks.setdefault(value, name)

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


def outer_variables(function: Any) -> Iterator[Variable]:
    """Gives what a function finds outside itself: all globals, as it may call others; variables around it."""
    function = getattr(function, "__func__", function)
    if isinstance(function, FunctionType):
        yield from attributes(function.__globals__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # an empty one: the variable has no value yet
                yield name, cell.cell_contents, functools.partial(setattr, cell, "cell_contents")


def mentions(function: Any, name: str) -> bool:
    """Returns whether a function uses an outer variable."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and name in code.co_names + code.co_freevars
