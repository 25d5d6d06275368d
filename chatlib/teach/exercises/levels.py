"""For an exercise with levels: which one a server reaches, and what is missing for the next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import takewhile
from typing import Any

from chatlib.checker.case import Case, Outcome, Verdict
from chatlib.checker.check import CROWD
from chatlib.checker.errors import TargetError
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.report import Report
from chatlib.checker.runner import Progress, Runner
from chatlib.checker.targets.resolve import target_of
from chatlib.descriptors import descriptors
from chatlib.teach.exercises.servers import unmade

Levels = Mapping[str, tuple[Case[Session], ...]]
"""From the lowest level to the highest: the promises that each asks for, on top of those before it."""


def missing(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Returns what stands in the way of a level: what was broken, or could not be judged."""
    return [
        verdict
        for verdict in verdicts
        if verdict.outcome is Outcome.ERROR or (verdict.counts and verdict.outcome is not Outcome.PASS)
    ]


def by_level(
    answer: Any, name: str, levels: Levels, dialect: Dialect, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """Takes the cases level by level: all of a level, but none above the first that is not reached.

    Blocks for seconds, and longer for a class, whose cases are taken one by one, than for a program.

    Args:
        answer: A server class, or the path of a program.
        name: What it is called.
        levels: Which cases belong to which level.
        dialect: What it speaks.
        progress: Told of each verdict.
    """
    verdicts: list[Verdict] = []
    barrier = ""  # the first level that is not reached
    try:
        # A level may connect 200 clients at once, and in a notebook their server is in the same process.
        with descriptors(CROWD, or_fewer=True), target_of(answer) as target, Launcher(target) as launcher:
            for level, cases in levels.items():
                if barrier:
                    verdicts += barred(cases, f"first reach the level {barrier}")
                    continue
                verdicts += Runner(launcher, dialect, progress).run(list(cases))
                barrier = level if missing(verdicts) else ""
    except TargetError as error:
        first, *others = (case for cases in levels.values() for case in cases)
        return unmade(first, name, error), *barred(others, f"first mend {first.id}")
    return tuple(verdicts)


def barred(cases: Iterable[Case[Session]], reason: str) -> list[Verdict]:
    """Returns what is said of cases that are not tried yet. A grader gives no points for them."""
    return [Verdict(case, Outcome.SKIPPED, reason=reason, blocked=True) for case in cases]


@dataclass(frozen=True)
class LevelReport(Report):
    """A report that also says which level was reached, and what is missing for the next one."""

    levels: Levels = field(default_factory=dict)

    @property
    def reached(self) -> tuple[str, ...]:
        """The levels that were reached, from the lowest up: each asks for all those before it as well."""
        return tuple(takewhile(lambda level: not missing(self._within(level)), self.levels))

    @property
    def level(self) -> str:
        """The highest of them; `none` if there is not even the first."""
        return self.reached[-1] if self.reached else "none"

    @property
    def standing(self) -> str:
        """The level that was reached and what is missing for the next one, in a few lines."""
        higher = [level for level in self.levels if level not in self.reached]
        if not higher:
            return f"Level reached: {self.level}, the highest. You have built it.{self._left_open}"
        lacking = missing(self._within(higher[0]))
        broken = [verdict for verdict in lacking if not verdict.blocked]
        width = max(len(verdict.case.id) for verdict in lacking)
        lines = [f"  {verdict.case.id:{width}}  {verdict.case.title}" for verdict in broken]
        if waiting := len(lacking) - len(broken):
            lines.append(f"  ({waiting} more cannot be judged before that)")
        advice = "Mend the first one, then check again: one cause often breaks several promises."
        return "\n".join(
            [
                f"Level reached: {self.level}.{self._left_open}",
                f"For the level {higher[0]} you still need:",
                *lines,
                advice,
            ]
        )

    @property
    def _left_open(self) -> str:
        """Names the cases that were not judged, although their level counts as reached."""
        verdicts = (verdict for level in self.reached for verdict in self._within(level))
        skipped = (verdict for verdict in verdicts if verdict.outcome is Outcome.SKIPPED)
        return "".join(f"\nNot judged: {verdict.case.id} ({verdict.reason})." for verdict in skipped)

    def _within(self, level: str) -> list[Verdict]:
        ids = {case.id for case in self.levels[level]}
        return [verdict for verdict in self.verdicts if verdict.case.id in ids]

    def __str__(self) -> str:
        return f"{super().__str__()}\n\n{self.standing}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.standing)}</pre>{super()._repr_html_()}"
