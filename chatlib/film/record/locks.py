"""Locks that know which thread has taken them last: those of Python are objects of C, which cannot be asked.

The factories `Lock` and `RLock` are replaced while a film runs; a lock that was made before stays as it is.
One that was made during a film stays watched for its life: then nothing is noted, but it costs a call in
Python.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

from chatlib.film.record.callers import origin
from chatlib.film.record.recorder import Call, enter, leave, recorders, reference


class WatchedLock:
    """A lock that is made while a film runs."""

    _make: Callable[[], Any]

    def __init__(self) -> None:
        self._lock = self._make()
        self._holder = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock, like that of C. If it has to wait, that is a call in the film.

        It is tried first without waiting: a lock that is free, as most are, costs no note.
        """
        taken, call = False, None
        try:
            possible = timeout == -1 or 0 <= timeout <= threading.TIMEOUT_MAX  # if not, the error is C's own
            taken = self._lock.acquire(False) if blocking and possible else False
            if not taken:
                call = self._begin() if blocking and possible else None
                taken = self._lock.acquire(blocking, timeout)
            if taken:  # not current_thread(): in a thread that has just begun, that waits for a lock
                self._holder = threading.get_ident()
            if call:
                leave(call, outcome="done" if taken else "timeout")
            return bool(taken)
        except BaseException:
            # The race: Ctrl-C, when the lock was taken already, but the `with` block has not begun. In C both
            # are one step. Here the lock would stay taken for ever, as no other code would release it.
            if taken:
                self._lock.release()
            if call:
                leave(call, outcome="interrupted")
            raise

    __enter__ = acquire

    @property
    def __exit__(self) -> Any:
        return self._lock.__exit__  # of C: Ctrl-C cannot strike between its call and the release

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._lock.__reduce_ex__(protocol)  # fails, as a lock cannot be copied

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._lock, name)
        if name != "_acquire_restore":
            return own

        def take_back(state: Any) -> None:
            own(state)  # as a condition does after it has waited: its thread holds the lock again
            self._holder = threading.get_ident()

        return take_back

    def _begin(self) -> Call | None:
        """Begins a call, if the program itself has asked for the lock, and not something that uses it."""
        caller = sys._getframe(1).f_back
        if caller and caller.f_code is threading.Condition.__enter__.__code__:
            caller = caller.f_back
        if not recorders or caller is None or origin(caller.f_code.co_filename) != "user":
            return None
        call = enter("acquire", subject=self._said(), depth=3)
        if call:
            call.now = self._said  # asked again at each look: the holder may change while a thread waits
        return call

    def _said(self) -> str:
        holders = (thread for thread in threading.enumerate() if thread.ident == self._holder)
        return f"the lock that {next(map(reference, holders), 'somebody')} holds"


def watched_lock(original: Any) -> type:
    """Stands in for `Lock` and `RLock`."""
    return named_like(original, type("WatchedLock", (WatchedLock,), {"_make": staticmethod(original)}))


def named_like(original: Any, kind: type) -> type:
    """Lets a class be pickled as what it stands in for, by the name under which programs know that."""
    lock = {"allocate_lock": "Lock", "lock": "Lock", "RLock": "RLock"}.get(original.__name__)
    name = lock or original.__name__
    kind.__module__ = "threading" if lock else original.__module__
    kind.__qualname__ = kind.__name__ = name
    return kind
