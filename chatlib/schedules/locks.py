"""Locks that a scheduler can see: a thread that would block gives its turn back instead.

`Condition`, `Event`, `Semaphore`, `Barrier` and `queue.Queue` are Python on top of these two locks, so they
need no code here. What C waits for by itself (`queue.SimpleQueue`, a socket) stays unseen.
"""

import _thread
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from chatlib.film.record.find_line import origin


class Turn(Protocol):
    """Says whose turn it is."""

    def thread(self) -> Any:
        """Returns what runs this code, if it may only see these locks; None otherwise.

        A thread that takes turns has a `clock`, in seconds, and methods: `block(lock, may_give_up)` gives its
        turn back, and `reach_lock(frame)` may do so before it takes a lock for the code of that frame.
        """

    def block(self, lock: "Lock", may_give_up: bool) -> None:
        """Is called in other threads, which have no turn to give back."""

    def refuse(self, why: str) -> None:
        """Ends it all with an error."""


class Lock:
    """In place of `threading.Lock`. Its holder is known, and any thread may release it, as with Python's own.

    Args:
        turn: Says which thread acquires.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.holder: Any = None
        """The thread that has acquired it."""
        self.count = 0
        """How often its holder has acquired it: 1 at most, but for an `RLock`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock. Where Python's own would block, the turn goes to another thread.

        A time limit may expire at any moment, so it does whenever its thread is given a turn and the lock is
        not free: both endings are among the orders.
        """
        thread = self._turn.thread()
        if thread:
            thread.reach_lock(sys._getframe(1))
        while not self.is_free_for(thread):
            if not blocking:
                return False
            (thread or self._turn).block(self, may_give_up=timeout >= 0)
            if timeout >= 0 and not self.is_free_for(thread):
                if thread:  # `Condition` looks at the clock. A little more than that: sums are not exact
                    thread.clock += timeout + 1e-3
                return False
        self.holder, self.count = thread, self.count + 1
        return True

    def is_free_for(self, thread: object) -> bool:
        """Returns whether a thread could take it without waiting."""
        return self.count == 0

    def release(self) -> None:
        """Gives the lock back.

        Raises:
            RuntimeError: It is not held.
        """
        if self.count == 0:
            raise RuntimeError("release unlocked lock")
        self.count -= 1
        if self.count == 0:
            self.holder = None

    def locked(self) -> bool:
        """Returns whether a thread holds it."""
        return self.count > 0

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    """In place of `threading.RLock`: its holder may take it again."""

    def is_free_for(self, thread: object) -> bool:
        return self.count == 0 or self.holder is thread

    def release(self) -> None:
        if self.count and not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        super().release()

    # What `Condition` asks of a lock that can be held more than once.

    def _is_owned(self) -> bool:
        return self.count > 0 and self.holder is self._turn.thread()

    def _release_save(self) -> int:
        count, self.count, self.holder = self.count, 0, None
        return count

    def _acquire_restore(self, count: int) -> None:
        self.acquire()
        self.count = count


class Factory:
    """In place of `threading.Lock` and its like: makes locks that are seen, for threads that take turns.

    Other threads of the process get real locks, and so do installed packages, whose code is part of one step:
    with one of these, Jupyter's `print` would wait for a thread that takes no turns.
    """

    def __init__(self, turn: Turn, kind: type[Lock], real: Callable[[], Any]) -> None:
        self._turn, self._kind, self._real = turn, kind, real

    def __call__(self) -> Any:
        if not self._turn.thread():
            return self._real()
        frame: FrameType | None = sys._getframe(1)
        while frame and origin(frame.f_code.co_filename) == "library":
            frame = frame.f_back
        is_seen = frame is not None and origin(frame.f_code.co_filename) != "foreign"
        return self._kind(self._turn) if is_seen else self._real()


REAL_LOCK, REAL_RLOCK = _thread.LockType, _thread.RLock


def seen_instead_of(real: Any, turn: Turn) -> Lock | None:
    """Returns a lock that stands in for a real one; None if that is taken."""
    if not real.acquire(blocking=False):
        return None
    real.release()
    if not isinstance(real, REAL_RLOCK):
        return Lock(turn)
    return None if real._is_owned() else RLock(turn)  # type: ignore[attr-defined]
