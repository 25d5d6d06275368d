"""Takes the cases. Each has a server of its own, where servers can be started."""

import contextlib
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple

from chatlib.checker.case import Case, Failure, Outcome, Verdict
from chatlib.checker.cases.lifecycle import DESCRIPTORS
from chatlib.checker.discovery import discover
from chatlib.checker.errors import Broken, Halted, TargetError, Unjudged
from chatlib.checker.harness import timeouts
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.session import Stage
from chatlib.checker.targets.target import Instance, Need, Target

GATES = ("delivery.reach", "delivery.answer")
"""What everything else builds on: where no line arrives, nothing else can be judged."""

DISCOVERED_WITHIN = 60.0
"""Seconds: far more than two clients need, also on a computer that is busy."""

Progress = Callable[[Verdict, int, int], object]


class Ruling(NamedTuple):
    """What one look at a server has shown."""

    outcome: Outcome
    failure: Failure | None = None
    reason: str = ""
    blocked: bool = False
    certain: bool = True
    """False if it is only that nothing came in time."""


class Runner:
    """Takes cases one by one, or several at once where servers do not disturb each other.

    Args:
        target: What servers are started from.
        progress: Told of each verdict.
    """

    def __init__(self, target: Target, progress: Progress | None = None) -> None:
        self._target, self._progress = target, progress
        self._halted = threading.Event()
        self._lock = threading.Lock()
        self._running: set[Instance] = set()
        # A server that runs already may be checked twice at the same time: nobody should have the same name.
        self._numbers = 0 if Need.START in target.offers else random.randrange(100, 900)
        self._seats = 1000, Ruling(Outcome.SKIPPED)
        """How many clients it was seen not to serve at once, and what that means for other cases."""
        self._done: dict[str, Verdict] = {}
        self._total = 0

    def discovered(self) -> Dialect | None:
        """Finds out what the server speaks, by talking to it; None if it says nothing. Blocks for seconds.

        Raises:
            TargetError: It does not start.
        """
        with self._guarded():
            return discover(self._stage_for)

    def run(self, cases: list[Case], dialect: Dialect) -> list[Verdict]:
        """Returns a verdict for each case, in their order. Blocks for seconds; Ctrl-C ends all at once.

        Raises:
            TargetError: The server does not start.
        """
        with self._guarded():
            self._try_start()
            self._total = len(cases)
            fitting = [case for case in cases if self._fits(case, dialect)]
            gates = [case for case in fitting if case.id in GATES]
            others = [case for case in fitting if case.id not in GATES]
            self._all(gates, dialect)
            if any(self._done[gate.id].outcome is not Outcome.PASS for gate in gates):
                reason = f"nothing else can be judged before {gates[0].id} passes"
                for case in others:
                    self._note(Verdict(case, Outcome.SKIPPED, reason=reason, blocked=True))
            else:
                self._all(others, dialect)
        return [self._done[case.id] for case in cases]

    def _try_start(self) -> None:
        """Starts a server and ends it: one that does not start at all breaks no promise.

        Raises:
            TargetError: It does not start.
        """
        self._discard(self._start())

    def _all(self, cases: list[Case], dialect: Dialect) -> None:
        """Takes the cases. Where only time has run out, takes them again, with twice the patience."""
        again = [verdict.case for verdict, certain in self._taken(cases, dialect) if not certain]
        for verdict, certain in self._taken(again, dialect, doubled=True):
            if not certain:
                self._note(verdict)

    def _taken(
        self, cases: list[Case], dialect: Dialect, doubled: bool = False
    ) -> Iterator[tuple[Verdict, bool]]:
        """Yields verdicts as they come, and whether each is certain; those that are have been noted."""
        if self._target.workers == 1:
            for case in cases:
                yield self._judge(case, dialect, doubled)
            return
        with ThreadPoolExecutor(self._target.workers, "checks") as pool:
            tasks = {pool.submit(self._judge, case, dialect, doubled) for case in cases}
            try:
                while tasks:
                    done, tasks = wait(tasks, timeout=0.2, return_when=FIRST_COMPLETED)
                    yield from (task.result() for task in done)
            except BaseException:
                self._halt()
                pool.shutdown(cancel_futures=True)
                raise

    def _note(self, verdict: Verdict) -> None:
        with self._lock:  # or progress would be told in the wrong order
            self._done[verdict.case.id] = verdict
            if self._progress:
                self._progress(verdict, len(self._done), self._total)

    def _fits(self, case: Case, dialect: Dialect) -> bool:
        if dialect.name not in case.dialects:
            reason = f"this promise does not belong to the dialect {dialect.name}"
        elif missing := case.needs - self._target.offers:
            reason = f"not with this target: {min(missing, key=lambda need: need.name).value}"
        else:
            return True
        self._note(Verdict(case, Outcome.SKIPPED, reason=reason))
        return False

    def _judge(self, case: Case, dialect: Dialect, doubled: bool) -> tuple[Verdict, bool]:
        """Returns the verdict, and whether it is certain."""
        start = time.monotonic()
        patience = timeouts.measured().doubled() if doubled else timeouts.measured()
        try:
            ruling = self._shortcut(case, patience) or self._take(case, dialect, patience)
        except Halted:
            ruling = Ruling(Outcome.ERROR, reason="interrupted")
        except Exception:
            ruling = Ruling(Outcome.ERROR, reason=traceback.format_exc(limit=-4))
        seconds = time.monotonic() - start
        verdict = Verdict(case, ruling.outcome, ruling.failure, ruling.reason, ruling.blocked, seconds)
        if ruling.certain:
            self._note(verdict)
        return verdict, ruling.certain

    def _shortcut(self, case: Case, patience: timeouts.Pace) -> Ruling | None:
        """Returns what is known without a look: who cannot serve two at once cannot serve three."""
        seats, ruling = self._seats
        return ruling if case.seats >= seats and (ruling.certain or not patience.is_doubled) else None

    def _take(self, case: Case, dialect: Dialect, patience: timeouts.Pace) -> Ruling:
        """Starts a server and takes the steps of one case on it."""
        limits = {"descriptors": DESCRIPTORS} if Need.LIMITS in case.needs else {}
        try:
            deadline = case.deadline * (2 if patience.is_doubled else 1)
            stage = self._stage(dialect, patience, deadline, **limits)
        except TargetError as error:
            return Ruling(Outcome.SKIPPED, reason=f"it could not be started: {error}", blocked=True)
        try:
            return self._steps_taken(case, stage)
        except Unjudged as unjudged:
            reason, blocked = str(unjudged), unjudged.blocked
            return Ruling(Outcome.SKIPPED, reason=reason, blocked=blocked, certain=unjudged.certain)
        finally:
            self._leave(stage)

    def _steps_taken(self, case: Case, stage: Stage) -> Ruling:
        done: list[str] = []
        for step in (*case.given, *case.steps):
            try:
                step.run(stage)
            except Broken as broken:
                if len(done) < len(case.given):
                    return self._blocked(case, broken, not done, broken.certain or stage.pace.is_doubled)
                actual = stage.explain(broken.actual)
                if hasattr(self._target, "kept"):
                    stage.pause(stage.pace.quiet)  # whoever is only on its way should not be seen waiting
                told = stage.instance.waiting(), stage.instance.said()
                failure = Failure(tuple(done), str(step), broken.expected, actual, *told)
                return Ruling(Outcome.FAIL, failure, certain=broken.certain)
            done.append(str(step))
        return self._aftermath(case, stage, done)

    def _aftermath(self, case: Case, stage: Stage, done: list[str]) -> Ruling:
        """Who sees the end of a connection may have seen the end of the server."""
        within = stage.pace.quiet if any(peer.end for peer in stage.room.peers) else 0.0
        if case.ends or not (ended := stage.instance.ended(within)):
            return Ruling(Outcome.PASS)
        *done, last = done
        return Ruling(
            Outcome.FAIL,
            Failure(tuple(done), last, "the server still runs", ended, (), stage.instance.said()),
        )

    def _blocked(self, case: Case, broken: Broken, joining: bool, certain: bool) -> Ruling:
        reason = f"before that, {broken.actual}"
        if self._done and hasattr(self._target, "kept"):
            reason += " (is a list outside the class left over from an earlier case?)"
        ruling = Ruling(Outcome.SKIPPED, reason=reason, blocked=True, certain=certain)
        if joining and case.seats <= self._seats[0]:
            self._seats = case.seats, ruling
        return ruling

    @contextlib.contextmanager
    def _stage_for(self, dialect: Dialect) -> Iterator[Stage]:
        stage = self._stage(dialect, timeouts.measured(), DISCOVERED_WITHIN)
        try:
            yield stage
        finally:
            self._leave(stage)

    def _stage(self, dialect: Dialect, patience: timeouts.Pace, deadline: float, **limits: int) -> Stage:
        self._numbers += 1
        number = self._numbers
        instance = self._start(**limits)
        over = time.monotonic() + deadline
        try:
            return Stage(self._target, instance, dialect, patience, number, self._halted, over)
        except BaseException:
            self._discard(instance)
            raise

    def _start(self, **limits: int) -> Instance:
        if self._halted.is_set():
            raise Halted
        instance = self._target.start(**limits)
        self._running.add(instance)
        return instance

    def _leave(self, stage: Stage) -> None:
        stage.room.close(politely=Need.START not in self._target.offers)
        self._discard(stage.instance)

    def _discard(self, instance: Instance) -> None:
        instance.discard()
        self._running.discard(instance)

    def _halt(self) -> None:
        self._halted.set()
        for instance in list(self._running):
            instance.discard()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Watches over what programs use, and ends them all if this is interrupted."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                for instance in list(self._running):
                    if hasattr(instance, "guard"):
                        instance.guard()

        thread = threading.Thread(target=watch, name="guards programs", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            self._halt()
            raise
        finally:
            over.set()
            thread.join(1.0)
