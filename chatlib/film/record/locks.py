"""Locks that know which thread has taken them last: those of Python are objects of C, which cannot be asked.

The factories `Lock` and `RLock` are replaced while a film runs; a lock that was made before stays as it is,
and so does one that an installed package makes. One that was made during a film stays watched for its life:
then nothing is noted, but it costs a call in Python.
"""

import sys
import threading
from typing import Any

from chatlib.film.record.call import Call
from chatlib.film.record.find_line import origin
from chatlib.film.record.harmless import harmless
from chatlib.film.record.recorder import enter, leave, recorders
from chatlib.film.record.stand_ins import StandIn, stand_in
from chatlib.film.record.waiters import reference


def _acquire(by_with: bool) -> Any:
    """Returns the method that takes a lock, and notes whether by a `with` block, which releases it itself."""

    def acquire(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock, like that of C. If it has to wait, that is a call in the film.

        It is tried first without waiting: a lock that is free, as most are, costs no note.
        """
        taken, call = False, None
        try:
            may_wait = (blocking is True and timeout == -1) or self._may_wait(blocking, timeout)
            taken = self._original.acquire(False) if may_wait else False
            if not taken:
                call = self._begin(timeout) if may_wait else None
                taken = self._original.acquire(blocking, timeout)
            if taken:  # not current_thread(): in a thread that has just begun, that waits for a lock
                self._holder, self._by_with = self._get_ident(), by_with
            if call:
                leave(call, outcome="done" if taken else "timeout")
            return bool(taken)
        except BaseException:
            # The race: Ctrl-C, when the lock was taken already, but the `with` block has not begun. In C both
            # are one step. Here the lock would stay taken for ever, as no other code would release it.
            if taken:
                self._original.release()
            if call:
                leave(call, outcome="interrupted")
            raise

    return acquire


class WatchedLock(StandIn):
    """A lock that is made while a film runs."""

    __slots__ = ("_by_with", "_holder")
    # A lock may be taken when Python ends. Then modules are empty, and only the class still has these.
    _get_ident, _longest = staticmethod(threading.get_ident), threading.TIMEOUT_MAX

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        self._holder, self._by_with = 0, False

    acquire, __enter__ = _acquire(by_with=False), _acquire(by_with=True)

    @property
    def __exit__(self) -> Any:
        return self._original.__exit__  # of C: Ctrl-C cannot strike between its call and the release

    @property
    def _acquire_restore(self) -> Any:
        own = self._original._acquire_restore  # a plain lock has none

        def take_back(state: Any) -> None:
            own(state)  # as a condition does after it has waited: its thread holds the lock again
            self._holder = self._get_ident()

        return take_back

    def _may_wait(self, blocking: Any, timeout: Any) -> bool:
        """Whether these are right arguments. If not, the error is C's own."""
        right = isinstance(blocking, int) and isinstance(timeout, int | float)
        return right and bool(blocking) and (timeout == -1 or 0 < timeout <= self._longest)

    def _begin(self, timeout: float) -> Call | None:
        """Begins a call, if the program itself has asked for the lock, and not something that uses it.

        Or if it is that of a logging handler: who writes to a log may wait long for another that does.
        """
        if not recorders:
            return None
        caller = sys._getframe(1).f_back
        if caller and caller.f_code is threading.Condition.__enter__.__code__:
            caller = caller.f_back
        if caller is None or (
            origin(caller.f_code.co_filename) != "user" and caller.f_globals.get("__name__") != "logging"
        ):
            return None
        call = None
        with harmless:  # the name of a thread may be a property of the program's
            call = enter("acquire", subject=self._said(), depth=3)
        if call:
            call.endless = timeout == -1
            call.now = self._now  # asked again at each look: the holder may change while a thread waits
        return call

    def _said(self) -> str:
        holders = (thread for thread in threading.enumerate() if thread.ident == self._holder)
        return f"the lock that {next(map(reference, holders), 'somebody')} holds"

    def _now(self) -> dict[str, Any]:
        return {"subject": self._said(), "owned": self._by_with or hasattr(self._original, "_is_owned")}


def watched_lock(original: Any) -> Any:
    """Stands in for `Lock` and `RLock`."""
    return stand_in(WatchedLock, original)
