"""Who waits: a thread, or a task of an event loop; and by which number it is known."""

import itertools
import os
import sys
import threading
from threading import get_ident
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary, ref

_numbers: WeakKeyDictionary["Waiter", int] = WeakKeyDictionary()
_unknown: WeakValueDictionary[int, "WatchedThread"] = WeakValueDictionary()
"""Threads that `threading` does not know, by ident."""

_main = threading.main_thread().ident

_counter = itertools.count(1)
_numbering = threading.RLock()  # reentrant, for the same reason as a recorder's lock


class Waiter(Protocol):
    """What can wait: a thread, or a task of an event loop."""

    @property
    def name(self) -> str:
        """What it is called."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""


class WatchedThread:
    """The thread that makes a call, or another. Does not keep it alive: it may be waited for to be freed.

    One that `threading` does not know stays unknown to it. To ask for the current thread would enter a dummy,
    and a program that waits until all threads but one have gone would wait for that.
    """

    def __init__(self, ident: int = 0) -> None:
        self._ident = ident or get_ident()
        thread = _thread_of(self._ident)
        self._thread = ref(thread) if thread else lambda: None
        self._name = f"Thread-{self._ident}"
        self.number = number_of(thread or self)
        if thread is None:
            _unknown[self._ident] = self

    @classmethod
    def of(cls, ident: int) -> "WatchedThread":
        """Returns another thread: one that `threading` does not know is the same each time."""
        return (None if _thread_of(ident) else _unknown.get(ident)) or cls(ident)

    @property
    def native_id(self) -> int | None:
        """Its number in the system, if that is known."""
        thread = self._thread()
        return thread.native_id if thread else None

    @property
    def name(self) -> str:
        """Its name, as long as it has one that may change; then the last that was seen."""
        if thread := self._thread():
            self._name = thread.name
        return self._name

    def is_alive(self) -> bool:
        """Whether it has not ended. Python 3.11 denies that after Ctrl-C in `join`, but lists the thread."""
        if (thread := self._thread()) is None:
            return self._ident in sys._current_frames()
        return thread.is_alive() or thread in threading.enumerate()


def _thread_of(ident: int) -> threading.Thread | None:
    if ident == _main:  # gevent and eventlet give it another
        return threading.main_thread()
    return next((thread for thread in threading.enumerate() if thread.ident == ident), None)


def reference(waiter: Waiter) -> str:
    """Returns how a subject refers to a thread, or to a task."""
    name = waiter.name.replace("\0", "")
    return f"\0{number_of(waiter)} {name}\0"


def number_of(waiter: Waiter) -> int:
    """Returns the same number each time, the smaller the earlier a thread was started.

    Python lists threads in that order. All that are alive are numbered together, so it does not matter which
    of them is the first to be seen in a call.
    """
    with _numbering:
        _number(*threading.enumerate(), waiter)
        return _numbers[waiter]


def _number(*waiters: Waiter) -> None:
    """Gives a number to those that have none."""
    for one in waiters:
        if one not in _numbers:
            _numbers[one] = next(_counter)


_retired: set[int] = set()
_forked = False


def retire() -> None:
    """Notes that this thread does no more of the program's, and only waits for the others to end."""
    _retired.add(number_of(threading.current_thread()))


def has_forked() -> bool:
    """Whether a process was forked by this one: it may still have the same connections."""
    return _forked


def living() -> frozenset[int]:
    """Returns the numbers of the program's threads that are alive now; none of a thread that only watches."""
    with _numbering:
        threads = threading.enumerate()
        _number(*threads)
        known = {thread.ident: _numbers[thread] for thread in threads}
    unknown = sys._current_frames().keys() - known.keys() - {get_ident()}
    found = {*known.values(), *(WatchedThread.of(ident).number for ident in unknown)}
    return frozenset(found - _retired)


def looker() -> int:
    """Returns the number of this thread; 0 if `threading` does not know it, as those that only watch."""
    thread = _thread_of(get_ident())
    return number_of(thread) if thread else 0


def _begin_anew() -> None:
    """In a forked process no thread is left that could hold the lock, and would release it."""
    global _numbering, _main
    _numbering, _main = threading.RLock(), threading.main_thread().ident


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew, after_in_parent=_note_fork)
