"""Real threads that take turns: each stops before every step, and goes on when it is chosen."""

import _thread
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from chatlib.kill_thread import end_by_force
from chatlib.schedules.errors import Unseen
from chatlib.schedules.run import Choose, Run, Step
from chatlib.schedules.stops import (
    Grain,
    Spot,
    has_steps,
    monitor_instructions,
    trace_instructions,
    trace_lines,
)
from chatlib.schedules.surroundings import Names, Surroundings, attributes
from chatlib.schedules.worker import Worker

STUCK_AFTER = 10.0
"""Seconds after which a step that does not end is given up: it waits for something that is not seen here."""

LONGEST = 1000
"""Steps after which an order is taken for one that never ends."""

PUSHES = 100
"""How often a thread is told to end that goes on. A bare `except` in a loop may swallow that many times."""


ONE_AT_A_TIME = _thread.allocate_lock()
"""Held while an order runs: it replaces what belongs to the whole process, as `threading.Lock`."""


def twice(act: Callable[[], None]) -> None:
    """Does something again when it is done: Ctrl-C may have cut it short the first time."""
    try:
        act()
    finally:
        act()


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
        self.clock = 0.0
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
        self._surroundings = Surroundings(self, (make, *functions))
        self._end_monitoring: Callable[[], None] | None = None
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
            with ONE_AT_A_TIME:
                try:
                    self._begin()
                    return self._take_turns(choose)
                finally:
                    try:
                        twice(self._end)
                    finally:
                        twice(self._put_back)
        finally:
            self._end()  # if Ctrl-C came before an order could begin

    def _begin(self) -> None:
        self._surroundings.replace()
        if self._grain == "instructions" and sys.version_info >= (3, 12):
            self._end_monitoring = monitor_instructions(self._stop)
        self._maker = _thread.get_ident()
        self._shared = self._make()
        self._surroundings.see_locks(attributes(self._shared))
        self._maker = 0
        # All are traced before any begins; then each comes as far as its first step.
        for worker in (*self._workers, *self._workers):
            self._give(worker)

    def thread(self) -> object:
        """Returns what runs this code: a worker, or `make`; None in other threads."""
        ident = _thread.get_ident()
        return self if ident == self._maker else self._idents.get(ident)

    def block(self, lock: object, may_give_up: bool) -> None:
        """Is called where `make`, `right` or a thread that takes no turns would wait for a lock of these.

        Raises:
            Unseen: It would wait for ever.
        """
        if not may_give_up:
            where = "in `make`" if self.thread() else "outside the functions that take turns, as in `right`"
            self.refuse(f"a lock is taken already, and {where} no code can wait until it is given back")

    def reach_lock(self, frame: object) -> None:
        """Is called where `make` takes a lock: it is alone."""

    def refuse(self, why: str) -> None:
        """Ends the search, as what it would find is not so. Kept: the program may catch what is raised.

        Raises:
            Unseen: Always.
        """
        self._failure = Unseen(why)
        raise self._failure

    def enter(self, worker: Worker) -> object:
        """Notes in which thread a worker runs: the calling one. From now on it stops before each step."""
        self._idents[_thread.get_ident()] = worker
        if self._grain == "lines":
            return trace_lines(worker.stop)
        return trace_instructions(worker.stop) if sys.version_info < (3, 12) else None

    def leave(self, worker: Worker) -> None:
        """Forgets a thread: the system may give its number to the next one, which takes no turns."""
        del self._idents[_thread.get_ident()]

    def _stop(self, spot: Spot) -> None:
        if worker := self._idents.get(_thread.get_ident()):
            worker.stop(spot)

    def _work(self, function: Callable[[Any], object]) -> None:
        worker = self._idents[_thread.get_ident()]
        if not has_steps(function):  # then its call is one
            worker.stop(Spot("", 0, call=worker.name))
        made = function(self._shared)
        if inspect.iscoroutine(made) or inspect.isgenerator(made) or inspect.isasyncgen(made):
            if not inspect.isasyncgen(made):  # else Python warns that it was never awaited
                made.close()
            self.refuse(f"{worker.name} returned a {type(made).__name__}, of which no line has run")

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
            except RecursionError:
                self._failure = Unseen(f"{worker.name} calls itself too deeply to be seen")
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
        if self._failure:
            raise self._failure
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
        self._names = Names(self._shared, (self._make, *self._functions))
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

    def _put_back(self) -> None:
        if self._end_monitoring:
            self._end_monitoring()
        self._surroundings.put_back()

    def _end(self) -> None:
        """Ends threads that have not: those of a deadlock, or all if something went wrong."""
        self.over = True
        for worker in self._workers:
            if worker.thread.ident is None:  # the system had no thread left; or Ctrl-C came: it is to end
                worker.go_on()
                continue
            if not worker.has_ended and not worker.is_stuck:
                self._turn = worker
                with contextlib.suppress(Unseen):
                    self._give(worker)
            worker.thread.join(0.0 if worker.is_stuck else STUCK_AFTER)
            for _ in range(PUSHES * worker.thread.is_alive()):
                end_by_force(worker.thread)  # it has swallowed `Abandoned`, or computes without end
                worker.thread.join(0.01)
