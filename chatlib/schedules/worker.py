"""One thread that takes turns: it stops before every step, and goes on when it is chosen."""

import _thread
import contextlib
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from chatlib.schedules.errors import Abandoned
from chatlib.schedules.locks import Lock
from chatlib.schedules.stops import Spot, is_watched


class Scheduler(Protocol):
    """Says whose turn it is."""

    over: bool
    is_scheduling: bool

    def enter(self, worker: "Worker") -> object:
        """Lets the calling thread stop before each step, from now on. Returns its tracer, if any."""

    def leave(self, worker: "Worker") -> None:
        """Forgets the calling thread, which ends."""

    def hand_over(self, worker: "Worker") -> bool:
        """Wakes the thread whose turn it is after this worker's. Returns whether that is the same one."""

    def refuse(self, why: str) -> None:
        """Ends the search, as what it would find is not so."""


class Worker:
    """One thread that takes turns.

    Args:
        name: What the thread is called.
        work: What it does.
        turns: The scheduler.
    """

    def __init__(self, name: str, work: Callable[[], object], turns: Scheduler) -> None:
        self.name, self._work, self._turns = name, work, turns
        self.spot = Spot("", 0)
        """Before which step it has stopped."""
        self.waits_for: Lock | None = None
        self.may_give_up = False
        """Whether its wait has a time limit: then that may be over at any moment."""
        self.clock = 0.0
        """Seconds that it has slept, or waited in vain: none of them passes really."""
        self.has_ended = self.is_stuck = False
        self.error: BaseException | None = None
        # Not a lock of `threading`: those are replaced just now. It is taken, so that the thread waits.
        self._baton = _thread.allocate_lock()
        self._baton.acquire()
        self._tracer: object = None
        self._has_taken_one = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_ready(self) -> bool:
        """Whether a turn would bring it further."""
        return self.waits_for is None or self.may_give_up or self.waits_for.is_free_for(self)

    def go_on(self) -> None:
        """Wakes the thread for one step."""
        with contextlib.suppress(RuntimeError):  # it is awake, as Ctrl-C has cut a turn short
            self._baton.release()

    def block(self, lock: Lock, may_give_up: bool) -> None:
        """Gives the turn back, in its own thread: it cannot go on before the lock is free. Blocks."""
        self.waits_for, self.may_give_up = lock, may_give_up
        self._give_back()
        self.waits_for = None

    def reach_lock(self, frame: FrameType | None) -> None:
        """Stops before the second lock that one line takes: in between, another thread may take that one."""
        if frame and frame.f_code is threading.Condition.__enter__.__code__:
            frame = frame.f_back
        if frame and is_watched(frame.f_code):
            if self._has_taken_one:
                self.stop(self.spot)
            self._has_taken_one = True

    def stop(self, spot: Spot) -> None:
        """Gives the turn back, in its own thread, which has come to its next step. Blocks."""
        # What ends the thread passes through lines that clean up; and the scheduler itself takes no turns.
        if not (self._turns.over or self._turns.is_scheduling):
            self.spot = spot
            self._give_back()

    def _give_back(self) -> None:
        """Goes on at once if it is this thread's turn again; else blocks until it is."""
        if self._turns.over:
            raise Abandoned
        self._has_taken_one = False
        self._check_tracer()
        if not self._turns.hand_over(self):
            self._baton.acquire()
        if self._turns.over:
            raise Abandoned

    def _check_tracer(self) -> None:
        if self._tracer and sys.gettrace() is not self._tracer:
            why = "a recursion too deep, `breakpoint` or `sys.settrace`"
            self._turns.refuse(
                f"{self.name} is not seen any more: something has switched tracing off ({why})"
            )

    def _run(self) -> None:
        self._baton.acquire()
        try:
            self._tracer = self._turns.enter(self)
            self._give_back()
            self._work()
            self._check_tracer()
        except BaseException as error:  # also SystemExit: it ends the thread, and is told
            self.error = None if isinstance(error, Abandoned) else error
        finally:
            self.has_ended = True
            self._turns.leave(self)
            self._turns.hand_over(self)
