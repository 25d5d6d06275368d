"""Schedules the cases: which must pass first, several at once, and a second look where time ran out."""

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import NamedTuple

from chatlib.checker.case import Case, Outcome, Verdict
from chatlib.checker.errors import Halted
from chatlib.checker.harness import timeouts
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.judge import Ruling, judged

GATES = ("delivery.reach", "delivery.answer")
"""What everything else builds on: where no line arrives, nothing else can be judged."""

LOOKS = 3
"""How often a case is looked at, at most."""

Progress = Callable[[Verdict, int, int], object]
"""Told of each verdict, how many there are, and how many there will be."""


class Seats(NamedTuple):
    """How many clients a server was seen not to serve at once."""

    refused: int
    look: int
    ruling: Ruling
    """What follows for a case that needs as many."""


class Runner:
    """Takes cases one by one, or several at once where servers do not disturb each other.

    Args:
        launcher: Starts the servers.
        dialect: What is spoken.
        progress: Told of each verdict.
    """

    def __init__(self, launcher: Launcher, dialect: Dialect, progress: Progress | None = None) -> None:
        self._launcher, self._dialect, self._progress = launcher, dialect, progress
        self._seats = Seats(1000, 0, Ruling(Outcome.SKIPPED))
        self._begun = set[str]()
        """Cases that have had a server."""
        self._done: dict[str, Verdict] = {}
        self._stuck = set[str]()
        """Cases that have failed in a look, as nothing came in time."""
        self._total = 0

    def run(self, cases: list[Case[Session]]) -> list[Verdict]:
        """Returns a verdict for each case, in their order. Blocks for seconds; Ctrl-C ends all at once.

        Raises:
            TargetError: The server does not start.
        """
        self._launcher.try_start()
        self._total = len(cases)
        fitting = [case for case in cases if self._fits(case)]
        gates = [case for case in fitting if case.id in GATES]
        others = [case for case in fitting if case.id not in GATES]
        self._take(gates)
        if any(self._done[gate.id].outcome is not Outcome.PASS for gate in gates):
            reason = f"nothing else can be judged before {gates[0].id} passes"
            for case in others:
                self._note(Verdict(case, Outcome.SKIPPED, reason=reason, blocked=True))
        else:
            self._take(others)
        return [self._done[case.id] for case in cases]

    def _fits(self, case: Case[Session]) -> bool:
        if self._dialect.name not in case.dialects:
            reason = f"this promise does not belong to the dialect {self._dialect.name}"
        elif missing := case.needs - self._launcher.target.offers:
            reason = f"not with this target: {min(missing, key=lambda need: need.name).value}"
        else:
            return True
        self._note(Verdict(case, Outcome.SKIPPED, reason=reason))
        return False

    def _take(self, cases: list[Case[Session]]) -> None:
        """Takes the cases, and again those of which one look does not say enough."""
        looks: dict[str, list[tuple[Verdict, bool]]] = {case.id: [] for case in cases}
        for look in range(LOOKS):
            for verdict, certain in self._looked_at(cases, look):
                looks[verdict.case.id].append((verdict, certain))
                if verdict.failure and not certain:
                    self._stuck.add(verdict.case.id)
                if not needs_another_look(looks[verdict.case.id]):
                    self._note(summed_up([verdict for verdict, _ in looks[verdict.case.id]]))
            cases = [case for case in cases if case.id not in self._done]

    def _looked_at(self, cases: list[Case[Session]], look: int) -> Iterator[tuple[Verdict, bool]]:
        """Yields verdicts as they come, and whether each is certain."""
        if self._launcher.target.workers == 1:
            yield from (self._look(case, look) for case in cases)
            return
        with ThreadPoolExecutor(self._launcher.target.workers, "checks") as pool:
            longest_first = sorted(cases, key=lambda case: -case.deadline)  # none is left alone at the end
            tasks = {pool.submit(self._look, case, look) for case in longest_first}
            try:
                while tasks:  # with a timeout: on Windows, a wait without one cannot be interrupted
                    done, tasks = wait(tasks, timeout=0.2, return_when=FIRST_COMPLETED)
                    yield from (task.result() for task in done)
            except BaseException:
                self._launcher.halt()  # first: leaving the block waits for what is under way
                pool.shutdown(cancel_futures=True)
                raise

    def _look(self, case: Case[Session], look: int) -> tuple[Verdict, bool]:
        start = time.monotonic()
        try:
            ruling = self._judged(case, look)
        except Halted:
            ruling = Ruling(Outcome.ERROR, reason="interrupted")
        except Exception:
            ruling = Ruling(Outcome.ERROR, reason=traceback.format_exc(limit=-4))
        seconds = time.monotonic() - start
        case = replace(case, hint=ruling.hint or case.hint)
        verdict = Verdict(case, ruling.outcome, ruling.failure, ruling.reason, ruling.blocked, seconds)
        return verdict, ruling.certain

    def _judged(self, case: Case[Session], look: int) -> Ruling:
        known = self._seats.ruling
        if case.seats >= self._seats.refused and (known.certain or look == self._seats.look):
            return known  # without a look: a server of one client at a time does not serve three
        waits = timeouts.measured(2 if look else 1)
        self._begun.add(case.id)
        is_first = self._begun == {case.id}
        hurried = replace(waits, turn=0.0) if case.crowded and not look else waits
        # A server that is stuck has let time pass, and nothing else. No film where its speed is what counts.
        films = case.id in self._stuck and not case.crowded and case.topic != "slow"
        ruling = judged(case, self._launcher, self._dialect, hurried, is_first, films)
        if hurried is not waits and ruling.certain and ruling.outcome is not Outcome.PASS:
            ruling = judged(case, self._launcher, self._dialect, waits, is_first)
        if not ruling.joined and case.seats <= self._seats.refused:  # as it is now: other threads look, too
            self._seats = Seats(case.seats, look, ruling)
        return ruling

    def _note(self, verdict: Verdict) -> None:
        self._done[verdict.case.id] = verdict
        if self._progress:
            self._progress(verdict, len(self._done), self._total)


def needs_another_look(looks: list[tuple[Verdict, bool]]) -> bool:
    """Whether a case has to be looked at once more.

    Once, with twice the patience, where only time has run out; where a gate fails, on which all others
    depend; and where chance may have decided. Then once more, if the two looks differ.
    """
    (first, certain), (last, _), case = looks[0], looks[-1], looks[0][0].case
    by_chance = case.chance and certain and (first.outcome is Outcome.FAIL or first.blocked)
    if len(looks) == 1:
        return not certain or by_chance or (case.id in GATES and first.outcome is Outcome.FAIL)
    return len(looks) < LOOKS and by_chance and last.outcome is not first.outcome


def summed_up(looks: list[Verdict]) -> Verdict:
    """Returns what most looks have shown, which is what the last one has: a third is taken if two differ.

    Where chance decides, that is said.
    """
    last = looks[-1]
    if len(looks) < LOOKS:
        return last
    if len({look.outcome for look in looks}) == LOOKS:
        reason = f"each of {LOOKS} runs ended in another way: chance decides"
        return replace(last, outcome=Outcome.SKIPPED, failure=None, reason=reason)
    if last.outcome is Outcome.PASS:
        other = next(verdict for verdict in looks if verdict.outcome is not last.outcome)
        what = "it failed" if other.failure else "it could not be judged"
        return replace(last, reason=f"in 1 of {LOOKS} runs {what}: chance decides")
    if last.failure:
        how_often = f"in {LOOKS - 1} of {LOOKS} runs"
        return replace(last, failure=last.failure._replace(actual=f"{how_often}, {last.failure.actual}"))
    return last
