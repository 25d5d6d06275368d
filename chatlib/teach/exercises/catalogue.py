"""The exercises: what each takes, and how it is tried out."""

import socketserver
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatlib.checker.case import Case, Failure, Outcome, Verdict
from chatlib.checker.harness.dialect import DIALECTS, Dialect
from chatlib.checker.report import Report
from chatlib.checker.targets.capture import overheard
from chatlib.teach.exercises import (
    ex01_deadline,
    ex02_servers,
    ex04_lines,
    ex06_diagnosis,
    ex10_coroutines,
    ex11_processes,
    ex12_choice,
)
from chatlib.teach.exercises.sandbox import Trial, in_turn, left_out, shown, tried, unwritten


class Subject(Dialect):
    """What a report is about, if it is about no conversation."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    title: str
    name: str
    """What the answer is called in the notebook."""
    takes: str
    """What kind of thing that is, in words."""
    fits: Callable[[Any], bool]
    """Whether something is of that kind."""
    cases: tuple[Case[Any], ...]
    lesson: str
    serves: Callable[[Any], ex02_servers.Make] | None = None
    """Makes something to check of an answer, if that is a server."""
    dialect: str = ""


def _is_class(*methods: str) -> Callable[[Any], bool]:
    return lambda answer: isinstance(answer, type) and all(hasattr(answer, method) for method in methods)


def _is_function(answer: Any) -> bool:
    return callable(answer) and not isinstance(answer, type)


def _is_dict(answer: Any) -> bool:
    return isinstance(answer, dict)


def _is_tcp_server(answer: Any) -> bool:
    return isinstance(answer, type) and issubclass(answer, socketserver.TCPServer)


EXERCISES = {
    "01": Exercise(
        "a deadline of one's own",
        "receive_within",
        "the function itself, without brackets",
        _is_function,
        ex01_deadline.CASES,
        "01 A call that waits",
    ),
    "02": Exercise(
        "answer in upper case",
        "Shouting",
        "the handler class itself, without brackets",
        _is_class("handle"),
        ex02_servers.IN_TURN,
        "02 One at a time",
        ex02_servers.handler_served,
        "shout",
    ),
    "03": Exercise(
        "a thread for each",
        "ThreadedServer",
        "the server class itself, a kind of TCPServer, without brackets",
        _is_tcp_server,
        ex02_servers.AT_ONCE,
        "03 A thread for each",
        ex02_servers.shouting,
        "shout",
    ),
    "04": Exercise(
        "lines from a stream",
        "Lines",
        "the class itself, with a method feed, without brackets",
        _is_class("feed"),
        ex04_lines.CASES,
        "04 The stream lies",
    ),
    "05": Exercise(
        "a group chat",
        "GroupChat",
        "the server class itself, without brackets",
        _is_class("serve_forever", "shutdown", "server_close"),
        ex02_servers.TOGETHER,
        "05 Group chat by hand",
        ex02_servers.as_it_is,
        "lines",
    ),
    "06": Exercise(
        "what is the matter with these servers?",
        "diagnosis",
        'a dict, like {"A": ..., "B": ..., "C": ...}',
        _is_dict,
        ex06_diagnosis.CASES,
        "02 One at a time, 03 A thread for each, 05 Group chat by hand",
    ),
    "09": Exercise(
        "one thread for all",
        "OneThread",
        "the server class itself, without brackets",
        _is_class("serve_forever", "shutdown", "server_close"),
        ex02_servers.BY_ONE,
        "09 Nobody waits",
        ex02_servers.as_it_is,
        "shout",
    ),
    "10": Exercise(
        "one call that blocks",
        "AsyncChat",
        "the server class itself, without brackets",
        _is_class("serve_forever", "shutdown", "server_close"),
        ex10_coroutines.CASES,
        "10 async and await",
        ex10_coroutines.with_archive,
        "lines",
    ),
    "11": Exercise(
        "a pool of processes",
        "Counting",
        "the server class itself, without brackets",
        _is_class("serve_forever", "shutdown", "server_close", "close_pool"),
        ex11_processes.CASES,
        "11 Processes",
        ex11_processes.with_hall,
        "shout",
    ),
    "12": Exercise(
        "which one should it be?",
        "choose",
        "the function itself, without brackets",
        _is_function,
        ex12_choice.CASES,
        "12 Measure and choose",
    ),
}


def report_on(number: str, answer: Any) -> Report:
    """Tries out an answer: see `chatlib.exercise`."""
    key = str(number).zfill(2)
    if key not in EXERCISES:
        raise ValueError(f"there is no exercise {number!r}: those are {', '.join(EXERCISES)}")
    task = EXERCISES[key]
    subject = Subject(f"exercise {key}: {task.title}")
    begun = _begun(task, answer)
    if begun.outcome is Outcome.FAIL:
        return Report(task.name, subject, (begun, *left_out(task.cases, begun.case.id)))
    return Report(task.name, subject, _tried(task, answer))


def _tried(task: Exercise, answer: Any) -> tuple[Verdict, ...]:
    if task.serves:
        return ex02_servers.served(task.serves(answer), task.name, task.cases, DIALECTS[task.dialect])
    with overheard() as kept:  # it may print without end
        trial = Trial(answer, kept)
        if task.fits is _is_dict:  # what is said of one patient says nothing of the next
            return tuple(tried(case, trial) for case in task.cases)
        return in_turn(task.cases, lambda case: tried(case, trial))


def _begun(task: Exercise, answer: Any) -> Verdict:
    """Says whether there is something to be tried out."""
    case: Case[Any] = Case(
        "exercise.begun",
        "Something has been written",
        f"The check takes {task.name}: {task.takes}.",
        steps=(),
        hint="Have you run the cell above, with your code in it? Then run this one again.",
        lesson=task.lesson,
    )
    expected = actual = ""
    if not task.fits(answer):
        expected, actual = f"{task.name}: {task.takes}", f"it was given {shown(answer)}"
    elif left := unwritten(answer):
        expected, where = "your code, where it says YOUR CODE HERE", ", ".join(left)
        actual = f"nothing has been written yet in {where}: raise NotImplementedError is still there"
    if not expected:
        return Verdict(case, Outcome.PASS)
    return Verdict(case, Outcome.FAIL, Failure((), "your answer is looked at", expected, actual))
