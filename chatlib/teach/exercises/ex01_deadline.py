"""Exercise 01: a call that waits, but not for ever."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.exercise import Exercise, is_function
from chatlib.teach.exercises.sandbox import Trial, shown

FAR = 1.2
"""Seconds of a deadline, where something comes long before."""

SLACK = 0.5
"""Seconds after which a call is late: by a timer of ours, which a busy computer holds up like the call."""

ASLEEP = 0.3
"""Seconds for which it is looked what a wait costs."""

BUSY = 0.02 if os.name == "nt" else 0.002
"""Seconds of processor time in that. A call that sleeps takes a tenth of a millisecond, or on Windows perhaps
one tick of 16 ms; one that asks again and again takes all that it gets, on a busy computer a small part."""

LESSON = "01 A call that waits"


@contextlib.contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def _hang_up(end: socket.socket) -> None:
    """Wakes a thread that waits for something from the other side."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _timer(seconds: float) -> Iterator[Callable[[], bool]]:
    """Yields what says whether so much time has passed since the block was entered."""
    timer = threading.Timer(seconds, int)
    timer.start()
    try:
        yield lambda: not timer.is_alive()
    finally:
        timer.cancel()
        timer.join()


def _receiving(expected: bytes, means: str, sends: bytes = b"", late: float = 0.0) -> str:
    when = f" {late:g} s later" if late else ""
    does = f"sends {sends!r}" if sends else "ends sending"
    return f"the other side {does}{when}; receive_within(sock, {FAR:g})"


@step(_receiving)
def receive(trial: Trial, expected: bytes, means: str, sends: bytes = b"", late: float = 0.0) -> None:
    """Calls the function on one end of a pair; the other end does something just before, or meanwhile.

    Args:
        trial: What is tried out.
        expected: What it has to return.
        means: What that means, in words.
        sends: What the other end sends; it ends sending if that is nothing.
        late: Seconds until the other end does so.
    """
    promise = f"it returns {expected!r}: {means}"
    with _pair() as (here, there), _timer(late + SLACK) as over:
        acting = threading.Timer(late, lambda: there.sendall(sends) if sends else _hang_up(there))
        acting.start()
        if not late:
            acting.join()
        try:
            found, is_late = trial.attempt(
                lambda: (trial.answer(here, FAR), over()), promise, rescue=lambda: _hang_up(there)
            )
        finally:
            acting.join()
    _compare(found, expected, promise)
    if is_late:
        actual = "it went on waiting, although the bytes were there"
        raise Broken("it returns as soon as something arrives", actual, certain=False)


@step("the other side does nothing; receive_within(sock, {seconds:g})")
def give_up(trial: Trial, seconds: float) -> None:
    """Calls the function where nothing comes: it has to wait for `seconds`, and not for much longer."""

    def timed() -> tuple[object, float, bool]:
        start = time.monotonic()  # here, as it may take a while until this thread begins
        return trial.answer(here, seconds), time.monotonic() - start, over()

    promise = "it returns None: nothing came in time"
    with _pair() as (here, there), _timer(seconds + SLACK) as over:
        found, waited, is_late = trial.attempt(timed, promise, rescue=lambda: _hang_up(there))
    _compare(found, None, promise)
    if waited < 0.7 * seconds:
        raise Broken(f"it waits for {seconds:g} s", "it returned much earlier: it did not wait")
    if is_late:
        raise Broken(f"it waits for {seconds:g} s", "it waited much longer", certain=False)


def _compare(found: object, expected: bytes | None, promise: str) -> None:
    if found != expected or type(found) is not type(expected):  # an empty bytearray equals b"", too
        raise Broken(promise, f"it returned {shown(found)}")


@step(f"the other side does nothing; receive_within(sock, {ASLEEP:g}) waits")
def sleep(trial: Trial) -> None:
    """Calls the function, and sees what its wait costs."""
    with _pair() as (here, there):
        must_sleep(trial, lambda: trial.answer(here, ASLEEP), rescue=lambda: _hang_up(there))


def must_sleep(trial: Trial, wait: Callable[[], object], rescue: Callable[[], object]) -> None:
    """Calls a function that waits in vain, and sees how much processor time it takes.

    Raises:
        Broken: It asks again and again.
    """
    promise = "while it waits, it takes no processor time"

    def used() -> float:
        before = time.thread_time()
        wait()
        return time.thread_time() - before

    if trial.attempt(used, promise, rescue=rescue) > BUSY:
        actual = "it was busy all the time: it asks again and again, instead of waiting"
        raise Broken(promise, actual, certain=False)


CASES = (
    Case(
        "deadline.there",
        "What is there is returned",
        "If something has arrived, it is returned at once.",
        steps=(receive(b"hello", "that has come", sends=b"hello"),),
        hint="sock.recv waits, and returns bytes: return them as they are. No sleep, no decode.",
        lesson=LESSON,
    ),
    Case(
        "deadline.nothing",
        "Nothing comes: None, and not for ever",
        "If nothing arrives in that time, it returns None.",
        steps=(give_up(0.3), give_up(0.05)),
        hint="sock.settimeout(seconds) gives recv a deadline. Catch the TimeoutError it raises then.",
        lesson=LESSON,
    ),
    Case(
        "deadline.later",
        "What comes later ends the wait",
        "If something arrives while it waits, it is returned as soon as it is there.",
        steps=(receive(b"tick", "that has come", sends=b"tick", late=0.1),),
        hint="The wait must be that of recv, which wakes when something comes. A sleep sleeps on.",
        lesson=LESSON,
    ),
    Case(
        "deadline.left",
        'The other side sends no more: b""',
        'If the other side sends no more, it returns b"", at once. That is not the same as silence.',
        steps=(receive(b"", "the other side sends no more"),),
        hint='recv itself returns b"" then. `if not data` cannot tell that from None.',
        lesson=LESSON,
    ),
    Case(
        "deadline.asleep",
        "It sleeps while it waits",
        "While it waits, it takes no processor time.",
        steps=(sleep(),),
        hint="No loop is needed: one recv with a deadline waits, and the operating system wakes it.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="a deadline of one's own",
    name="receive_within",
    takes="the function itself, without brackets",
    fits=is_function,
    cases=CASES,
    lesson=LESSON,
)
