"""All exercises by number, and the report on an answer."""

from typing import Any

from chatlib.checker.case import Case, Failure, Outcome, Verdict
from chatlib.checker.harness.dialect import DIALECTS, Dialect
from chatlib.checker.report import Report
from chatlib.checker.runner import Progress
from chatlib.checker.targets.capture import overheard
from chatlib.teach.exercises import (
    ex01_deadline,
    ex02_handler,
    ex03_threads,
    ex04_lines,
    ex05_chat,
    ex06_diagnosis,
    ex06b_outbox,
    ex07_endings,
    ex08_room,
    ex09_loop,
    ex10_coroutines,
    ex11_processes,
    ex12_choice,
    ex13_duplicates,
    ex14_capstone,
)
from chatlib.teach.exercises.exercise import Exercise
from chatlib.teach.exercises.levels import LevelReport, by_level
from chatlib.teach.exercises.sandbox import Trial, in_turn, left_out, shown, tried, unwritten
from chatlib.teach.exercises.servers import served

EXERCISES = {
    "01": ex01_deadline.EXERCISE,
    "02": ex02_handler.EXERCISE,
    "03": ex03_threads.EXERCISE,
    "04": ex04_lines.EXERCISE,
    "05": ex05_chat.EXERCISE,
    "06": ex06_diagnosis.EXERCISE,
    "06b": ex06b_outbox.EXERCISE,
    "07": ex07_endings.EXERCISE,
    "08": ex08_room.EXERCISE,
    "09": ex09_loop.EXERCISE,
    "10": ex10_coroutines.EXERCISE,
    "11": ex11_processes.EXERCISE,
    "12": ex12_choice.EXERCISE,
    "13": ex13_duplicates.EXERCISE,
    "14": ex14_capstone.EXERCISE,
}


NOT_BEGUN = "exercise.begun"
"""The case that fails where there is no answer to try out yet."""


class Subject(Dialect):
    """What a report is about, if it is about no conversation."""

    def __str__(self) -> str:
        return self.name


class Trying(Report):
    """A report for the learner whose answer it is about."""

    @property
    def summary(self) -> str:
        """One line: that all is well, or that nothing was tried, or how many passed and failed."""
        if NOT_BEGUN in self.failed:
            return "Nothing was tried yet."
        if all(verdict.outcome is Outcome.PASS for verdict in self.verdicts):
            which = f"All {len(self.verdicts)}" if len(self.verdicts) > 1 else "It"
            return f"{which} passed. Well done! What comes next stands below."
        return super().summary


def report_on(number: str, answer: Any, progress: Progress | None = None) -> Report:
    """Tries out an answer: see `chatlib.exercise`."""
    key = str(number).zfill(2)
    if key not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}: those are {', '.join(EXERCISES)}")
    task = EXERCISES[key].part_for(answer)
    subject = Subject(f"exercise {key}: {task.title}")
    begun = _begun(task, answer)
    if begun.outcome is Outcome.FAIL:
        return Trying(task.name, subject, (begun, *left_out(task.cases, begun.case.id)))
    if task.levels:
        verdicts = by_level(answer, task.name, task.levels, DIALECTS[task.dialect], progress)
        return LevelReport(task.name, subject, verdicts, levels=task.levels)
    return Trying(task.name, subject, _verdicts(task, answer))


def _begun(task: Exercise, answer: Any) -> Verdict:
    """Says whether there is something to be tried out."""
    case: Case[Any] = Case(
        NOT_BEGUN,
        "Something has been written",
        f"The check takes {task.name}: {task.takes}.",
        steps=(),
        hint="Have you run the cell above, with your code in it? Then run this one again.",
        lesson=task.lesson,
    )
    if not task.fits(answer):
        expected, actual = f"{task.name}: {task.takes}", f"it was given {shown(answer)}"
    elif left := unwritten(answer):
        expected, where = "your code, where it says YOUR CODE HERE", ", ".join(left)
        actual = f"nothing has been written yet in {where}"
        actual += ": raise NotImplementedError is still there" if callable(answer) else ""
    else:
        return Verdict(case, Outcome.PASS)
    return Verdict(case, Outcome.FAIL, Failure((), "your answer is looked at", expected, actual))


def _verdicts(task: Exercise, answer: Any) -> tuple[Verdict, ...]:
    if task.serves:
        return served(task.serves(answer), task.name, task.cases, DIALECTS[task.dialect])
    with overheard() as kept:  # it may print without end
        trial = Trial(answer, kept)
        if task.independent:
            return tuple(tried(case, trial) for case in task.cases)
        return in_turn(task.cases, lambda case: tried(case, trial))
