"""Locks that know who has taken them last: those of Python are objects of C, which cannot be asked."""

import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from chatlib.film.record.callers import origin
from chatlib.film.record.recorder import Call, enter, leave, recorders, reference


class WatchedLock:
    """A lock that is made while somebody watches."""

    _make: Callable[[], Any]

    def __init__(self) -> None:
        self._lock = self._make()
        self._holder = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock, like that of C. If it has to wait, that is a call in the film."""
        taken, call = False, None
        try:
            possible = timeout == -1 or 0 <= timeout <= threading.TIMEOUT_MAX
            taken = self._lock.acquire(False) if blocking and possible else False
            if not taken:
                call = self._begin() if blocking and possible else None
                taken = self._lock.acquire(blocking, timeout)
            if taken:  # not current_thread(): in a thread that has just begun, that waits for a lock
                self._holder = threading.get_ident()
            if call:
                leave(call, outcome="done" if taken else "timeout")
            return bool(taken)
        except BaseException:  # Ctrl-C, when it was taken already: nobody else would release it
            if taken:
                self._lock.release()
            if call:
                leave(call, outcome="interrupted")
            raise

    __enter__ = acquire

    @property
    def __exit__(self) -> Any:
        return self._lock.__exit__  # of C, which Ctrl-C does not interrupt

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._lock.__reduce_ex__(protocol)  # fails, as a lock cannot be copied

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._lock, name)
        return functools.partial(self._take_back, own) if name == "_acquire_restore" else own

    def _take_back(self, restore: Callable[[Any], None], state: Any) -> None:
        restore(state)  # as a condition does after it has waited
        self._holder = threading.get_ident()

    def _begin(self) -> Call | None:
        if not recorders or not _is_meant(sys._getframe(1).f_back):
            return None
        call = enter("acquire", subject=self._said(), depth=3)
        if call:
            call.now = self._said
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


def _is_meant(caller: FrameType | None) -> bool:
    """Whether a program has asked for the lock, and not something larger that it is a part of."""
    if caller and caller.f_code is threading.Condition.__enter__.__code__:
        caller = caller.f_back
    return caller is not None and origin(caller.f_code.co_filename) == "user"
