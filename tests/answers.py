"""Right and wrong answers to exercises are tried out here: with patience for all that has to happen."""

import ast
import contextlib
import functools
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import nbformat
import pytest
import refresh
from faults import SOON

import chatlib
from chatlib.checker.case import Case, Failure, Outcome, Step, Verdict
from chatlib.checker.harness import timeouts
from chatlib.checker.harness.session import Session
from chatlib.teach.exercises.catalogue import EXERCISES

SILENCE = 0.3
"""Seconds that are enough for a step in which a wrong server says nothing: it never will."""

over = threading.Event()
"""Set after each trial: then answers that never return do so after all."""
kept: list[socket.socket] = []
"""What wrong answers forget to close."""


def passes(number: str, answer: Any) -> None:
    """Tries out a right answer."""
    with _tidied():
        report = chatlib.exercise(number, answer)
    assert all(verdict.outcome is Outcome.PASS for verdict in report.verdicts), str(report)


def failure(number: str, answer: Any, failed: str, silent: str = "", silence: float = SILENCE) -> Failure:
    """Tries out a wrong answer; returns how the one case failed that was to fail: see `wrong`."""
    found = wrong(number, answer, failed, silent, silence).failure
    assert found
    return found


def wrong(number: str, answer: Any, failed: str, silent: str = "", silence: float = SILENCE) -> Verdict:
    """Tries out a wrong answer; returns the verdict of the case that was to fail, and no other did.

    Args:
        number: Of the exercise.
        answer: The answer.
        failed: The case; or `one or another`, where it is chance in which of them the mistake shows first.
        silent: The step in it in which a wrong server owes something that never comes. The check waits there
            for a moment, and anywhere else for half a minute: on a busy computer, too, it is this step that
            fails.
        silence: Seconds that it waits there.
    """
    wanted = failed.split(" or ")
    with _tidied(), pytest.MonkeyPatch.context() as patch:
        cases = EXERCISES[number].cases
        hurried = tuple(_hurried(case, silent, silence) if case.id in wanted else case for case in cases)
        patch.setitem(EXERCISES, number, replace(EXERCISES[number], cases=hurried))
        patch.setattr(timeouts, "measured", _patient)
        report = chatlib.exercise(number, answer)
    assert len(report.failed) == 1 and report.failed[0] in wanted, str(report)
    [verdict] = report.of(Outcome.FAIL)
    assert verdict.failure
    assert silent in ("", verdict.failure.step), str(report)
    return verdict


@functools.cache  # the solution of 08 runs hundreds of orders
def solved(number: str) -> dict[str, Any]:
    """Returns what the solution of an exercise defines, and the parts that stand after its check."""
    [path] = refresh.SOLUTIONS.glob(f"{number}_*.ipynb")
    names: dict[str, Any] = {}
    checked = False
    for cell in nbformat.read(path, as_version=4).cells:
        if "chatlib.exercise(" in cell.source:
            checked = True
        elif cell.cell_type == "code" and (
            not checked or "### BEGIN SOLUTION" in cell.source or _only_defines(cell.source)
        ):
            exec(cell.source, names)
    return names


def _only_defines(source: str) -> bool:
    return all(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in ast.parse(source).body)


def variant(number: str, **methods: Any) -> Any:
    """Returns the solution of an exercise, a class, with some methods of another kind."""
    name = EXERCISES[number].name
    return type(name, (solved(number)[name],), methods)


measured = timeouts.measured


def _patient(factor: float = 1.0) -> timeouts.Timeouts:
    usual = measured(factor)
    return replace(usual, patience=SOON, factor=SOON / timeouts.PATIENCE)


def _hurried(case: Case[Any], silent: str, silence: float) -> Case[Any]:
    def hurried(step: Step[Session]) -> Step[Session]:
        def run(session: Session) -> None:
            session.timeouts = replace(session.timeouts, patience=silence)
            step.run(session)

        return replace(step, run=run)

    return replace(case, steps=tuple(hurried(each) if str(each) == silent else each for each in case.steps))


@contextlib.contextmanager
def _tidied() -> Iterator[None]:
    """At the end every thread has ended, and every socket is closed, whatever an answer does."""
    over.clear()
    before = set(threading.enumerate())
    try:
        yield
    finally:
        over.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(SOON)
        while kept:
            kept.pop().close()
