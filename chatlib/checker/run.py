"""Runs the cases against a target. Each has a server of its own, where servers can be started."""

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from chatlib.checker import (
    cases_delivery,
    cases_departures,
    cases_framing,
    cases_input,
    cases_isolation,
    cases_lifecycle,
    cases_names,
    cases_slow,
    pace,
)
from chatlib.checker.case import Broken, Case, Failure, Need, Outcome, Unjudged, Verdict
from chatlib.checker.dialect import Dialect, dialect_of
from chatlib.checker.discovery import discover
from chatlib.checker.overhear import overheard
from chatlib.checker.report import Report
from chatlib.checker.room import Halted
from chatlib.checker.stage import Stage
from chatlib.checker.target import Instance, Target, TargetError, target_of

CASES: tuple[Case, ...] = (
    *cases_delivery.CASES,
    *cases_isolation.CASES,
    *cases_framing.CASES,
    *cases_input.CASES,
    *cases_departures.CASES,
    *cases_slow.CASES,
    *cases_lifecycle.CASES,
    *cases_names.CASES,
)
"""Every promise, in the order in which they are reported."""

GATES = ("delivery.reach", "delivery.answer")
"""What everything else builds on: where no line arrives, nothing else can be judged."""

Progress = Callable[[Verdict, int, int], object]


def check(
    target: Any,
    dialect: str = "lines",
    *,
    cases: Iterable[str] = (),
    echo: bool | None = None,
    name_first: bool | None = None,
    prefix: bool | None = None,
    port: int = 0,
    lan: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Finds out which promises a server keeps. Blocks for some seconds; Ctrl-C ends it, and all it has started.

    Args:
        target: A server class, or a function that makes a server from an address: it is served in a background
            thread of this process. The path of a script, or a command as a list of words with `{port}` in it: it
            is run as a program, and killed at the end. `HOST:PORT`, or a server that runs.
        dialect: What it should speak: `raw`, `lines`, `shout` or `budget-chat`; or `auto`, to find that out.
        cases: Which promises, by id (`framing.split`) or topic (`framing`); all that apply, if none are given.
        echo: Whether a sender hears itself (`raw` and `lines` only).
        name_first: Whether the first line is a name.
        prefix: Whether something stands before each line.
        port: Where a program always listens, if it cannot be told its port.
        lan: True to let a server of your own on another computer be attacked.
        progress: Called after each case with its verdict, how many are done, and how many there are.

    Returns:
        A report: what a notebook shows, and a text, JSON or JUnit XML.

    Raises:
        TargetError: There is no such server, or it does not start. The message says why.
        ValueError: There is no such dialect or case.
    """
    found = target_of(target, port, lan)
    if dialect != "auto":
        dialect_of(dialect, echo, name_first, prefix)  # a mistake should be told before anything starts
    chosen = chosen_cases(cases)
    with contextlib.closing(found), _listening(found):
        runner = Runner(found, progress)
        spoken = runner.discovered() if dialect == "auto" else dialect_of(dialect, echo, name_first, prefix)
        if not cases:
            chosen = [case for case in chosen if spoken.name in case.dialects]
        return Report(found.name, spoken, tuple(runner.run(chosen, spoken)), asked=dialect)


def chosen_cases(names: Iterable[str]) -> list[Case]:
    """Returns the cases of these ids and topics, or all.

    Raises:
        ValueError: There is no such case.
    """
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if not any(name in (case.id, case.topic) for case in CASES):
            topics = ", ".join(dict.fromkeys(case.topic for case in CASES))
            raise ValueError(f"there is no case {name!r}: the topics are {topics}")
    return [case for case in CASES if not names or case.id in names or case.topic in names]


@contextlib.contextmanager
def _listening(target: Target) -> Iterator[None]:
    """Takes in what a server in this process prints."""
    if not hasattr(target, "kept"):
        yield
        return
    with overheard() as kept:
        target.kept = kept
        yield


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
        self._running: set[Any] = set()
        self._numbers = 0
        self._done: dict[str, Verdict] = {}
        self._unmet: dict[Any, str] = {}
        """First steps, and what became of them in this pass: many cases begin with the same."""
        self._total = 0

    def discovered(self) -> Dialect:
        """Finds out what the server speaks, by talking to it."""
        with self._guarded():
            return discover(self._stage_for)

    def run(self, cases: list[Case], dialect: Dialect) -> list[Verdict]:
        """Returns a verdict for each case, in their order. KeyboardInterrupt ends everything at once."""
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
                    self._note(Verdict(case, Outcome.SKIPPED, reason=reason))
            else:
                self._all(others, dialect)
        return [self._done[case.id] for case in cases]

    def _try_start(self) -> None:
        """Whether it starts at all is not the fault of any case."""
        self._discard(self._start())

    def _all(self, cases: list[Case], dialect: Dialect) -> None:
        """Takes the cases. Where only time has run out, takes them again, with twice the patience."""
        again = [verdict.case for verdict, certain in self._taken(cases, dialect) if not certain]
        for verdict, _ in self._taken(again, dialect, doubled=True):
            self._note(verdict)

    def _taken(
        self, cases: list[Case], dialect: Dialect, doubled: bool = False
    ) -> Iterator[tuple[Verdict, bool]]:
        """Yields verdicts as they come, and whether each is certain; those that are have been noted."""
        self._unmet.clear()
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
        try:
            patience = pace.measured().doubled() if doubled else pace.measured()
            outcome, failure, reason, certain = self._take(case, dialect, patience)
        except Halted:
            outcome, failure, reason, certain = Outcome.ERROR, None, "interrupted", True
        except Exception:
            outcome, failure, reason, certain = Outcome.ERROR, None, traceback.format_exc(limit=-4), True
        verdict = Verdict(case, outcome, failure, reason, time.monotonic() - start)
        if certain:
            self._note(verdict)
        return verdict, certain

    def _take(
        self, case: Case, dialect: Dialect, patience: pace.Pace
    ) -> tuple[Outcome, Failure | None, str, bool]:
        if case.given and (reason := self._unmet.get(case.given[0])):
            return Outcome.SKIPPED, None, reason, False
        limits = {"descriptors": 64} if Need.LIMITS in case.needs else {}
        try:
            stage = self._stage(dialect, patience, case.deadline, **limits)
        except TargetError as error:
            return Outcome.SKIPPED, None, f"it could not be started: {error}", True
        done: list[str] = []
        step: Any = None
        try:
            for step in case.given:
                step.run(stage)
                done.append(str(step))
            for step in case.steps:
                step.run(stage)
                done.append(str(step))
        except Unjudged as unjudged:
            return Outcome.SKIPPED, None, str(unjudged), True
        except Broken as broken:
            if len(done) < len(case.given):
                reason = f"before that, {broken.actual}"
                if not done and not broken.certain:
                    self._unmet[case.given[0]] = reason
                return Outcome.SKIPPED, None, reason, broken.certain
            failure = Failure(
                tuple(done),
                str(step),
                broken.expected,
                broken.actual,
                stage.instance.waiting(),
                stage.instance.said(),
            )
            return Outcome.FAIL, failure, "", broken.certain
        finally:
            self._leave(stage)
        return Outcome.PASS, None, "", True

    @contextlib.contextmanager
    def _stage_for(self, dialect: Dialect) -> Iterator[Stage]:
        stage = self._stage(dialect, pace.measured(), 10.0)
        try:
            yield stage
        finally:
            self._leave(stage)

    def _stage(self, dialect: Dialect, patience: pace.Pace, deadline: float, **limits: int) -> Stage:
        self._numbers += 1
        number = self._numbers
        instance = self._start(**limits)
        try:
            return Stage(
                self._target, instance, dialect, patience, number, self._halted, time.monotonic() + deadline
            )
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
