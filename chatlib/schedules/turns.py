"""Real threads that take turns: each stops before every step, and goes on when it is chosen."""

import _thread
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from chatlib.kill_thread import end_by_force
from chatlib.schedules.errors import Abandoned, Unseen
from chatlib.schedules.locks import Lock
from chatlib.schedules.run import Choose, Run, Step
from chatlib.schedules.stops import (
    Grain,
    Spot,
    monitored_instructions,
    trace_instructions,
    trace_lines,
)
from chatlib.schedules.surroundings import Names, seen

STUCK_AFTER = 10.0
"""Seconds after which a step that does not end is given up: it waits for something that is not seen here."""

LONGEST = 1000
"""Steps after which an order is taken for one that never ends."""

PUSHES = 100
"""How often a thread is told to end that goes on. A bare `except` in a loop may swallow that many times."""


class Worker:
    """One thread that takes turns.

    Args:
        name: What the thread is called.
        work: What it does.
        turns: The scheduler.
    """

    def __init__(self, name: str, work: Callable[[], object], turns: "Turns") -> None:
        self.name, self._work, self._turns = name, work, turns
        self.spot = Spot("", 0)
        """Before which step it has stopped."""
        self.waits_for: Lock | None = None
        self.may_give_up = False
        """Whether its wait has a time limit: then that may be over at any moment."""
        self.has_ended = self.is_stuck = False
        self.error: BaseException | None = None
        # Not a lock of `threading`: those are replaced just now. It is taken, so that the thread waits.
        self._baton = _thread.allocate_lock()
        self._baton.acquire()
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
        if not self._turns.hand_over(self):
            self._baton.acquire()
        if self._turns.over:
            raise Abandoned

    def _run(self) -> None:
        self._baton.acquire()
        try:
            self._turns.enter(self)
            self._give_back()
            self._work()
        except BaseException as error:  # also SystemExit: it ends the thread, and is told
            self.error = None if isinstance(error, Abandoned) else error
        finally:
            self.has_ended = True
            self._turns.hand_over(self)


class Turns:
    """The scheduler of one order. It has no thread of its own: the one that stops wakes the next one.

    Args:
        make: Makes what the threads share.
        functions: What each thread does with it.
        names: What the threads are called.
        grain: Whether a thread stops before each line, or before each instruction of the interpreter.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        functions: Sequence[Callable[[Any], object]],
        names: Sequence[str],
        grain: Grain = "lines",
    ) -> None:
        self._make, self._functions, self._grain = make, functions, grain
        self.over = self.is_scheduling = False
        self.back = _thread.allocate_lock()
        """Released by the thread after which no other goes on."""
        self.back.acquire()
        self._choose: Choose | None = None
        self._turn: Worker | None = None
        self._ready: list[Worker] = []
        self._steps, self._choices = list[Step](), list[tuple[int, int]]()
        self._failure: BaseException | None = None
        self._shared: Any = None
        self._names = Names(None, ())
        self._begun_at = Spot("", 0)
        self._maker = 0
        self._idents: dict[int, Worker] = {}
        self._workers = [
            Worker(name, functools.partial(self._work, function), self)
            for name, function in zip(names, functions, strict=True)
        ]

    def run(self, choose: Choose) -> Run:
        """Runs one order. Blocks for about a millisecond, and for as long as the steps themselves take.

        Raises:
            Unseen: A step does not end within seconds, or does what is not seen here.
        """
        try:
            for worker in self._workers:
                worker.thread.start()
            with seen(self, self._functions), self._stops():
                self._maker = _thread.get_ident()
                self._shared = self._make()
                self._maker = 0
                # All are traced before any begins; then each comes as far as its first step.
                for worker in (*self._workers, *self._workers):
                    self._give(worker)
                try:
                    return self._take_turns(choose)
                finally:
                    self._end()
        finally:
            self._end()

    def thread(self) -> object:
        """Returns what runs this code: a worker, or `make`; None in other threads."""
        ident = _thread.get_ident()
        return self if ident == self._maker else self._idents.get(ident)

    def enter(self, worker: Worker) -> None:
        """Notes in which thread a worker runs: the calling one. From now on it stops before each step."""
        self._idents[_thread.get_ident()] = worker
        if self._grain == "lines":
            trace_lines(worker.stop)
        elif sys.version_info < (3, 12):
            trace_instructions(worker.stop)

    def _stops(self) -> contextlib.AbstractContextManager[None]:
        if self._grain == "lines" or sys.version_info < (3, 12):
            return contextlib.nullcontext()  # each thread is traced by itself

        def stop(spot: Spot) -> None:
            if worker := self._idents.get(_thread.get_ident()):
                worker.stop(spot)

        return monitored_instructions(stop)

    def _work(self, function: Callable[[Any], object]) -> None:
        function(self._shared)

    def hand_over(self, worker: Worker) -> bool:
        """Wakes the thread whose turn it is after this worker's. Returns whether that is the same one.

        Runs in the worker's thread: where it goes on itself, no other thread has to wake up in between.
        """
        following = None
        if self._choose and not self.over:
            self.is_scheduling = True
            try:
                self._note_step(worker)
                following = self._next(self._choose)
            except BaseException as error:  # for the thread that waits for all
                self._failure = error
            finally:
                self.is_scheduling = False
        if following is not worker:
            if following:
                following.go_on()
            else:
                with contextlib.suppress(RuntimeError):  # released already, as Ctrl-C has cut a turn short
                    self.back.release()
        return following is worker

    def _note_step(self, worker: Worker) -> None:
        if isinstance(worker.error, Unseen):
            raise worker.error
        waits_for = self._names.of(worker.waits_for) if worker.waits_for else ""
        held = {name: getattr(holder, "name", "") for name, holder in self._names.held().items()}
        self._steps.append(Step(worker.name, self._begun_at, waits_for, held))

    def _next(self, choose: Choose) -> Worker | None:
        """Returns the thread whose turn it is; None if the order has come to its end."""
        self._ready = [worker for worker in self._workers if not worker.has_ended and worker.is_ready]
        if not self._ready or len(self._steps) == LONGEST:
            return None
        chosen = choose([worker.name for worker in self._ready])
        if chosen is None:
            return None
        self._choices.append((chosen, len(self._ready)))
        self._turn = self._ready[chosen]
        self._begun_at = self._turn.spot
        return self._turn

    def _take_turns(self, choose: Choose) -> Run:
        self._names = Names(self._shared, self._functions)
        self._choose = choose
        if first := self._next(choose):
            first.go_on()
            self._wait(first)
        if self._failure:
            raise self._failure
        alive = [worker for worker in self._workers if not worker.has_ended]
        return Run(
            tuple(self._steps),
            tuple(self._choices),
            self._shared,
            {worker.name: worker.error for worker in self._workers if worker.error},
            tuple(worker.name for worker in self._ready),
            len(self._steps) == LONGEST,
            {worker.name: self._names.of(worker.waits_for) for worker in alive if worker.waits_for},
            {worker.name: worker.spot for worker in alive},
        )

    def _wait(self, worker: Worker) -> None:
        """Waits until no thread goes on any more; all the while, some step must come to its end."""
        seen_steps = -1
        while not self.back.acquire(timeout=1.0 if self.over else STUCK_AFTER):
            worker = self._turn or worker
            if self.over or len(self._steps) == seen_steps:
                worker.is_stuck = True
                line = f"line {worker.spot.line}, which is {worker.spot.source!r}"
                why = "it computes, or waits for what cannot be seen here"
                raise Unseen(
                    f"{worker.name} has not come to the end of {line}, in {STUCK_AFTER:.0f} s: {why}"
                )
            seen_steps = len(self._steps)

    def _give(self, worker: Worker) -> None:
        """Wakes a thread, and waits until it has stopped, or ended."""
        if not worker.has_ended:
            worker.go_on()
            self._wait(worker)

    def _end(self) -> None:
        """Ends threads that have not: those of a deadlock, or all if something went wrong."""
        self.over = True
        for worker in self._workers:
            if worker.thread.ident is None:  # the system had no thread left
                continue
            if not worker.has_ended and not worker.is_stuck:
                self._turn = worker
                with contextlib.suppress(Unseen):
                    self._give(worker)
            worker.thread.join(0.0 if worker.is_stuck else STUCK_AFTER)
            for _ in range(PUSHES * worker.thread.is_alive()):
                end_by_force(worker.thread)  # it has swallowed `Abandoned`, or computes without end
                worker.thread.join(0.01)
