"""Tries out what a learner has written: it may raise, never return, print a book, or return nonsense."""

import functools
import inspect
import io
import linecache
import os
import reprlib
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from chatlib.checker.case import Case, Context, Failure, Outcome, Step, Verdict
from chatlib.checker.errors import Broken
from chatlib.checker.targets.capture import last_lines
from chatlib.checker.targets.kill_thread import end_by_force
from chatlib.own_code import FOLDER

Result = TypeVar("Result")

PATIENCE = 1.5
"""Seconds for which a call may wait: no exercise asks for more than a third of a second."""
EFFORT = 120
"""How much a call may compute, as a multiple of `_reference`. (Seconds would be fewer on a slow computer.)"""
LONGEST = 15.0
"""Seconds after which even a call that still computes has to return: on a computer that is busy otherwise."""
ATTEMPTS = 3
"""How often a step is taken that came too early or too late: a busy computer may do that once, or twice."""

SLIPS = (TypeError, NameError, AttributeError)
"""What Python itself says best."""
SLIP = "Python says what does not fit: a name, how many arguments, or text (str) where bytes belong."

_NOT_THEIRS = (str(Path(os.__file__).resolve().parent) + os.sep, FOLDER)


class Trial:
    """What is tried out: the steps of an exercise run on it, as those of a server do on a session.

    Args:
        answer: What the learner has written.
        kept: Takes in what it prints.
    """

    def __init__(self, answer: Any, kept: deque[str]) -> None:
        self.answer, self.kept = answer, kept
        self.remark = ""
        """What a step has to say although all is well."""

    def attempt(
        self, work: Callable[[], Result], expected: str, rescue: Callable[[], object] = lambda: None
    ) -> Result:
        """Calls what the learner has written, in a thread of its own.

        Blocks until the call returns; for about two seconds if it does not, and longer on a busy computer.

        Args:
            work: The call.
            expected: What it should do, for the case that it does something else.
            rescue: Called when it does not return: may end what it waits for.

        Raises:
            Broken: It has raised an exception, or has not returned. The message says where.
        """
        results: list[Result] = []
        errors: list[BaseException] = []

        def call() -> None:
            try:
                results.append(work())
            except BaseException as error:  # also SystemExit: whoever writes `exit()` is told so
                errors.append(error)

        thread = threading.Thread(target=call, name="the exercise", daemon=True)
        thread.start()
        # Also when time is up: a thread lives on for a moment after its call has returned.
        if not _returns(thread) and not results and not errors:
            where = place_of(sys._current_frames().get(thread.ident or 0))
            rescue()
            raise Broken(expected, f"it did not return: it was still {where}{_stop(thread)}")
        if errors:
            raise Broken(expected, told(errors[0]), hint=SLIP if isinstance(errors[0], SLIPS) else "")
        return results[0]


def in_turn(cases: Sequence[Case[Context]], take: Callable[[Case[Context]], Verdict]) -> tuple[Verdict, ...]:
    """Takes the cases one by one, as far as the first that fails: one thing at a time is mended."""
    verdicts: list[Verdict] = []
    for case in cases:
        if any(each.outcome in (Outcome.FAIL, Outcome.ERROR) for each in verdicts):
            return *verdicts, *left_out(cases[len(verdicts) :], verdicts[-1].case.id)
        verdicts.append(take(case))
    return tuple(verdicts)


def left_out(cases: Sequence[Case[Any]], failed: str) -> tuple[Verdict, ...]:
    """Returns what is said of the cases after the one that has failed: why, but only once."""
    return tuple(
        Verdict(case, Outcome.SKIPPED, reason="" if number else f"first mend {failed}")
        for number, case in enumerate(cases)
    )


def tried(case: "Case[Trial]", trial: Trial) -> Verdict:
    """Takes one case."""
    start, done = time.monotonic(), list[str]()
    trial.remark = ""
    for step in case.steps:
        try:
            _take(step, trial)
        except Broken as broken:
            said = last_lines("".join(list(trial.kept)))
            failure = Failure(tuple(done), str(step), broken.expected, broken.actual, said=said)
            case = replace(case, hint=broken.hint or case.hint)
            return Verdict(case, Outcome.FAIL, failure, seconds=time.monotonic() - start)
        done.append(str(step))
    return Verdict(case, Outcome.PASS, reason=trial.remark, seconds=time.monotonic() - start)


def _take(step: "Step[Trial]", trial: Trial) -> None:
    """Takes a step, and once more if it went wrong by the clock only: this thread may have been held up."""
    for left in reversed(range(ATTEMPTS)):
        try:
            step.run(trial)
            return
        except Broken as broken:
            if broken.certain or not left:
                raise


def shown(value: object) -> str:
    """Returns a value as a program would write it, and not without end."""
    short = reprlib.Repr()
    short.maxother = short.maxstring = short.maxlist = 60
    try:
        return short.repr(value)
    except Exception:  # its __repr__ is the learner's, too
        return f"a {type(value).__name__}"


def told(error: BaseException) -> str:
    """Says of an exception what it was, and in which line of the learner's it arose."""
    sentence = traceback.format_exception_only(error)[-1].strip()
    own = [place for place in traceback.extract_tb(error.__traceback__) if _theirs(place.filename)]
    if not own:
        return f"it raised {sentence}"
    return f"it raised {sentence}, in line {own[-1].lineno}: {own[-1].line}"


def place_of(frame: FrameType | None) -> str:
    """Says in which line of the learner's a thread is."""
    while frame and not _theirs(frame.f_code.co_filename):
        frame = frame.f_back
    if not frame:
        return "at work"
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"in line {frame.f_lineno}: {line}"


def unwritten(answer: Any) -> list[str]:
    """Returns which functions of an answer still have `raise NotImplementedError` in them."""
    inside = vars(answer).items() if isinstance(answer, type) else [(getattr(answer, "__name__", ""), answer)]
    functions = {name: inspect.unwrap(value) for name, value in inside if callable(value)}
    return [
        name
        for name, function in functions.items()
        if _mentions(getattr(function, "__code__", None), "NotImplementedError")
    ]


def _mentions(code: CodeType | None, name: str) -> bool:
    if code is None:
        return False
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return name in code.co_names or any(_mentions(each, name) for each in inner)


def _theirs(file: str) -> bool:
    return not file.startswith((*_NOT_THEIRS, "<frozen"))


def _returns(thread: threading.Thread) -> bool:
    """Waits for a call to return. False if it waits for too long, or computes too much.

    How long a computation takes depends on the computer, and on what else runs there; so it is measured in
    processor time, and compared with a piece of work that is done here.
    """
    allowed, began, used = EFFORT * _reference(), time.monotonic(), time.process_time()
    while thread.is_alive():
        thread.join(0.05)
        passed, worked = time.monotonic() - began, time.process_time() - used
        waits = worked < 0.1 * passed
        if worked > allowed or passed > (PATIENCE if waits else LONGEST):
            return not thread.is_alive()
    return True


@functools.cache
def _reference() -> float:
    """Returns the seconds of processor time in which this computer writes 10,000 lines."""
    before = time.process_time()
    for number in range(10_000):
        print("line", number, file=io.StringIO())
    return time.process_time() - before


def _stop(thread: threading.Thread) -> str:
    """Ends a thread that goes on for ever. Returns what is to be done if that cannot be."""
    for _ in range(3):  # a bare `except:` in its loop takes the first for an error of its own
        end_by_force(thread)
        thread.join(0.1)
        if not thread.is_alive():
            return ""
    return " (and it runs on: choose Kernel → Restart Kernel)"
