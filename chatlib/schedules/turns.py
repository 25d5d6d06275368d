"""Real threads that take turns: each stops before every step, and goes on when it is chosen."""

import _thread
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chatlib.kill_thread import end_by_force
from chatlib.schedules.errors import Abandoned, Unseen
from chatlib.schedules.locks import Lock
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

Choose = Callable[[Sequence[str]], int | None]
"""Given the names of the threads that can go on, returns the place of one; None if none is to go on."""


class Step(NamedTuple):
    """One turn of one thread: what it did until it stopped again."""

    thread: str
    spot: Spot
    waits_for: str
    """The lock that it found taken; empty if it came to its next step."""
    held: Mapping[str, str]
    """After the step: who holds which lock, from the lock's name to the thread's."""


class Run(NamedTuple):
    """One order, run until its end or until no thread was chosen any more."""

    steps: tuple[Step, ...]
    choices: tuple[tuple[int, int], ...]
    """For each step: the place of the thread that was chosen, and how many could go on."""
    shared: Any
    """What the threads share, as it is now."""
    errors: Mapping[str, BaseException]
    """What threads have raised."""
    ready: tuple[str, ...]
    """The threads that could go on."""
    is_cut: bool
    """Whether it was cut after `LONGEST` steps."""
    waits: Mapping[str, str]
    """The lock for which each of the others waits that have not ended."""
    next_spots: Mapping[str, Spot]
    """Before which step each thread has stopped that has not ended."""


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
        self._baton.release()

    def block(self, lock: Lock, may_give_up: bool) -> None:
        """Gives the turn back, in its own thread: it cannot go on before the lock is free. Blocks."""
        self.waits_for, self.may_give_up = lock, may_give_up
        self._give_back()
        self.waits_for = None

    def stop(self, spot: Spot) -> None:
        """Gives the turn back, in its own thread, which has come to its next step. Blocks."""
        if not self._turns.over:  # what ends the thread passes through lines that clean up
            self.spot = spot
            self._give_back()

    def _give_back(self) -> None:
        if not self._turns.over:
            self._turns.back.release()
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
            with contextlib.suppress(RuntimeError):  # released already, as Ctrl-C has cut a turn short
                self._turns.back.release()


class Turns:
    """The scheduler of one order: it wakes one thread, and sleeps until that thread has stopped again.

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
        self.over = False
        self.back = _thread.allocate_lock()
        """Released by the thread that gives its turn back."""
        self.back.acquire()
        self._shared: Any = None
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

    def _take_turns(self, choose: Choose) -> Run:
        steps, choices = list[Step](), list[tuple[int, int]]()
        names = Names(self._shared, self._functions)
        while ready := [worker for worker in self._workers if not worker.has_ended and worker.is_ready]:
            chosen = choose([worker.name for worker in ready]) if len(steps) < LONGEST else None
            if chosen is None:
                break
            worker, spot = ready[chosen], ready[chosen].spot
            self._give(worker)
            choices.append((chosen, len(ready)))
            waits_for = names.of(worker.waits_for) if worker.waits_for else ""
            held = {name: getattr(holder, "name", "") for name, holder in names.held().items()}
            steps.append(Step(worker.name, spot, waits_for, held))
        alive = [worker for worker in self._workers if not worker.has_ended]
        return Run(
            tuple(steps),
            tuple(choices),
            self._shared,
            {worker.name: worker.error for worker in self._workers if worker.error},
            tuple(worker.name for worker in ready),
            len(steps) == LONGEST,
            {worker.name: names.of(worker.waits_for) for worker in alive if worker.waits_for},
            {worker.name: worker.spot for worker in alive},
        )

    def _give(self, worker: Worker) -> None:
        """Gives a thread its turn, and waits until it gives it back."""
        if worker.has_ended:
            return
        worker.go_on()
        if not self.back.acquire(timeout=1.0 if self.over else STUCK_AFTER):
            worker.is_stuck = True
            line = f"line {worker.spot.line}, which is {worker.spot.source!r}"
            why = "it computes, or waits for what cannot be seen here"
            raise Unseen(f"{worker.name} has not come to the end of {line}, in {STUCK_AFTER:.0f} s: {why}")
        if isinstance(worker.error, Unseen):
            raise worker.error

    def _end(self) -> None:
        """Ends threads that have not: those of a deadlock, or all if something went wrong."""
        self.over = True
        for worker in self._workers:
            if worker.thread.ident is None:  # the system had no thread left
                continue
            if not worker.has_ended and not worker.is_stuck:
                with contextlib.suppress(Unseen, RuntimeError):  # Ctrl-C came before it took its turn
                    self._give(worker)
            worker.thread.join(0.0 if worker.is_stuck else STUCK_AFTER)
            for _ in range(PUSHES * worker.thread.is_alive()):
                end_by_force(worker.thread)  # it has swallowed `Abandoned`, or computes without end
                worker.thread.join(0.01)
