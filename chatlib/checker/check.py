"""A check from its call to its report, and all the cases that there are."""

import time
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from chatlib.checker.case import Case, Outcome, Verdict
from chatlib.checker.cases import (
    delivery,
    departures,
    framing,
    input,
    isolation,
    lifecycle,
    names,
    slow,
)
from chatlib.checker.discovery import discover
from chatlib.checker.harness.dialect import dialect_of
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.report import Report
from chatlib.checker.runner import GATES, Progress, Runner
from chatlib.checker.targets.resolve import target_of
from chatlib.descriptors import descriptors

CASES: tuple[Case[Session], ...] = (
    *delivery.CASES,
    *isolation.CASES,
    *framing.CASES,
    *input.CASES,
    *departures.CASES,
    *slow.CASES,
    *lifecycle.CASES,
    *names.CASES,
)
"""Every promise, in the order in which they are reported."""

CROWD = 4000
"""Sockets that a check may need at once, counted generously. (macOS grants a process 256 of everything.)"""


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
    """Finds out which promises a server keeps: `chatlib.check`, where the arguments are explained.

    Blocks for seconds; Ctrl-C ends it, and all it has started.

    Raises:
        TargetError: There is no such server, it does not start, or it speaks none of the dialects.
        ValueError: There is no such dialect or case.
    """
    found = target_of(target, port, lan)
    # Before anything starts: a mistake in the call should cost no time.
    spoken = None if dialect == "auto" else dialect_of(dialect, echo, name_first, prefix)
    cases = [cases] if isinstance(cases, str) else list(cases)
    chosen = chosen_cases(cases)
    start = time.monotonic()
    with descriptors(CROWD, or_fewer=True), found, Launcher(found) as launcher:
        spoken = spoken or discover(launcher)
        chosen = [case for case in chosen if spoken.name in case.dialects or case.id in cases]
        verdicts = tuple(Runner(launcher, spoken, progress).run(chosen))
        if dialect != "auto":
            verdicts = tuple(map(_doubting, verdicts))
    return Report(found.name, spoken, verdicts, dialect, time.monotonic() - start)


def _doubting(verdict: Verdict) -> Verdict:
    """Adds to a hint, where no line arrives at all, that the server may speak another dialect."""
    # A case that is not among ours has got a hint from the server's own words.
    if verdict.case not in CASES or verdict.case.id not in GATES or verdict.outcome is not Outcome.FAIL:
        return verdict
    hint = f"{verdict.case.hint} (Another dialect? Try auto.)"
    return replace(verdict, case=replace(verdict.case, hint=hint))


def chosen_cases(names: list[str]) -> list[Case[Session]]:
    """Returns the cases of these ids and topics, or all.

    Raises:
        ValueError: There is no such case.
    """
    topics = list(dict.fromkeys(case.topic for case in CASES))
    known = [*topics, *(case.id for case in CASES)]
    for name in names:
        if name not in known:
            meant = "".join(f" (did you mean {close}?)" for close in get_close_matches(name, known, 1))
            where = f"the topics are {', '.join(topics)}; python -m chatlib check --list prints all cases"
            raise ValueError(f"there is no case {name!r}{meant}: {where}")
    return [case for case in CASES if not names or case.id in names or case.topic in names]
