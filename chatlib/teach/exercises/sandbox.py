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
from chatlib.kill_thread import end_by_force
from chatlib.own_code import FOLDERS

Result = TypeVar("Result")

LOOK = 0.05
"""Seconds between two looks at a call, on a computer that has nothing else to do."""
WAITS = 30
"""At how many looks a call may be found waiting. That is 1.5 s, and no exercise asks for more than a third of
a second. It is counted and not timed: where other programs hold a call up, they hold up the looks, too."""
IDLE = 0.1
"""A call that has had less than this share of the processor between two looks waits."""
EFFORT = 120
"""How much a call may compute, as a multiple of `_reference`. (Seconds would be fewer on a slow computer.)"""
ATTEMPTS = 3
"""How often a step is taken in which the clock was against an answer: once or twice may be chance."""

SLIPS = (TypeError, NameError, AttributeError)
"""What Python itself says best."""
SLIP = (
    "Python says what does not fit: a name, how many arguments, or one kind of value where another belongs."
)

_NOT_THEIRS = (str(Path(os.__file__).resolve().parent) + os.sep, *FOLDERS)


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

        Blocks until the call returns, or has waited or computed for too long: for about two seconds, and for
        longer on a busy computer.

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
            except BaseException as error:  # also SystemExit: an `exit()` is told as well
                errors.append(error)

        thread = threading.Thread(target=call, name="the exercise", daemon=True)
        thread.start()
        # A thread lives on for a moment after its call has returned: what counts is that there is a result.
        try:
            has_returned = _returns(thread)
        except BaseException:  # an interrupted kernel would go on computing
            rescue()
            _stop(thread)
            raise
        if not has_returned and not results and not errors:
            where = place_of(sys._current_frames().get(thread.ident or 0))
            rescue()
            # What it waited for may be over now. Let it end by itself: ended by force, it could keep a lock.
            thread.join(10 * LOOK)
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


def tried(case: Case[Trial], trial: Trial) -> Verdict:
    """Takes one case."""
    start, done = time.monotonic(), list[str]()
    trial.remark = ""
    for step in case.steps:
        if broken := _broken(step, trial):
            said = last_lines("".join(list(trial.kept)))
            failure = Failure(tuple(done), str(step), broken.expected, broken.actual, said=said)
            case = replace(case, hint=broken.hint or case.hint)
            return Verdict(case, Outcome.FAIL, failure, seconds=time.monotonic() - start)
        done.append(str(step))
    return Verdict(case, Outcome.PASS, reason=trial.remark, seconds=time.monotonic() - start)


def _broken(step: Step[Trial], trial: Trial) -> Broken | None:
    """Takes a step, and again where only the clock was against it. Returns how the promise was broken."""
    found: Broken | None = None
    for _ in range(ATTEMPTS):
        try:
            step.run(trial)
        except Broken as broken:
            found = broken
            if found.certain:
                break
        else:
            return None
    return found


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
    """Returns which functions of an answer still have `raise NotImplementedError` in them; or which entries
    of a dictionary are empty, if all are."""
    if isinstance(answer, dict):
        return [] if any(answer.values()) else list(answer)
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

    How long either takes depends on the computer, and on what else runs there. So waiting is counted in
    looks, and computing is measured in processor time, and compared with a piece of work that is done here.
    Each look adds to one of them: a call that goes on for ever is always found.
    """
    allowed, computed, waited = EFFORT * _reference(), 0.0, 0
    while thread.is_alive() and computed <= allowed and waited < WAITS:
        began, before = time.monotonic(), time.process_time()
        thread.join(LOOK)
        used = time.process_time() - before
        computed += used
        waited += used < IDLE * (time.monotonic() - began)
    return not thread.is_alive()


@functools.cache
def _reference() -> float:
    """Returns the seconds of processor time in which this computer writes 10,000 lines."""
    before = time.process_time()
    for number in range(10_000):
        print("line", number, file=io.StringIO())
    # On Windows the clock of processor time ticks every 16 ms: the difference may be nothing.
    return max(time.process_time() - before, 0.005)


def _stop(thread: threading.Thread) -> str:
    """Ends a thread that goes on for ever. Returns what is to be done if that cannot be."""
    for _ in range(WAITS):  # a bare `except:` in its loop takes the first for an error of its own
        end_by_force(thread)
        thread.join(LOOK)
        if not thread.is_alive():
            return ""
    return " (and it runs on: choose Kernel → Restart Kernel)"
