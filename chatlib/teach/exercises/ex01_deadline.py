"""Exercise 01: a call that waits, but not for ever."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.sandbox import Trial, shown

SLACK = 0.6
"""Seconds that a busy computer may take longer. If it takes even more, the step is taken again."""

ASLEEP = 0.3
"""Seconds for which it is looked what a wait costs."""

BUSY = 0.02
"""Seconds of processor time in that. A call that sleeps takes a thousandth, or one tick of a coarse clock
(16 ms on Windows); one that asks again and again takes all that it gets, on a busy computer a small part."""

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


def _receiving(
    expected: bytes | None,
    means: str,
    sends: bytes = b"",
    leaves: bool = False,
    late: float = 0.0,
    seconds: float = 0.3,
) -> str:
    does = f"sends {sends!r}" if sends else "leaves" if leaves else "does nothing"
    when = f" {late:g} s later" if late else ""
    return f"the other side {does}{when}; receive_within(sock, {seconds:g})"


@step(_receiving)
def receive(
    trial: Trial,
    expected: bytes | None,
    means: str,
    sends: bytes = b"",
    leaves: bool = False,
    late: float = 0.0,
    seconds: float = 0.3,
) -> None:
    """Calls the function on one end of a pair, after the other end has done something, or a moment later.

    Args:
        trial: What is tried out.
        expected: What it has to return.
        means: What that means, in words.
        sends: What the other end sends.
        leaves: Whether the other end is closed then.
        late: Seconds until the other end does so.
        seconds: The deadline.
    """

    def act() -> None:
        if sends:
            there.sendall(sends)
        if leaves:
            _hang_up(there)

    promise = f"it returns {expected!r}: {means}"
    with _pair() as (here, there):
        acting = threading.Timer(late, act)
        acting.start()
        if not late:
            acting.join()
        start = time.monotonic()
        result = trial.attempt(lambda: trial.answer(here, seconds), promise, rescue=lambda: _hang_up(there))
        took = time.monotonic() - start
        acting.join()
    if result != expected or type(result) is not type(expected):
        raise Broken(promise, f"it returned {shown(result)}")
    promise = f"it waits for {seconds:g} s"
    if expected is None and took < 0.7 * seconds:
        raise Broken(promise, "it returned much earlier: it did not wait")
    if expected is not None and took > late + SLACK:
        actual = "it went on waiting although it was there"
        raise Broken("it returns as soon as something arrives", actual, certain=False)
    if expected is None and took > seconds + SLACK:
        raise Broken(promise, "it waited much longer", certain=False)


@step(f"the other side does nothing; receive_within(sock, {ASLEEP:g}) waits")
def sleep(trial: Trial) -> None:
    """Calls the function, and sees what its wait costs."""
    promise = "while it waits, it takes no processor time"

    def used() -> float:
        before = time.thread_time()
        trial.answer(here, ASLEEP)
        return time.thread_time() - before

    with _pair() as (here, there):
        if trial.attempt(used, promise, rescue=lambda: _hang_up(there)) > BUSY:
            raise Broken(promise, "it was busy all the time: it asks again and again, instead of waiting")


CASES = (
    Case(
        "deadline.there",
        "What is there is returned",
        "If something has arrived, it is returned at once.",
        steps=(receive(b"hello", "that has come", sends=b"hello", seconds=1.0),),
        hint="sock.recv waits, and returns bytes: return them as they are. No sleep, no decode.",
        lesson=LESSON,
    ),
    Case(
        "deadline.nothing",
        "Nothing comes: None, and not for ever",
        "If nothing arrives in that time, it returns None.",
        steps=(receive(None, "nothing came in time"), receive(None, "nothing came in time", seconds=0.05)),
        hint="sock.settimeout(seconds) gives recv a deadline. Catch the TimeoutError it raises then.",
        lesson=LESSON,
    ),
    Case(
        "deadline.later",
        "What comes later ends the wait",
        "If something arrives while it waits, it is returned as soon as it is there.",
        steps=(receive(b"tick", "that has come", sends=b"tick", late=0.1, seconds=1.0),),
        hint="The wait must be that of recv, which wakes when something comes. A sleep sleeps on.",
        lesson=LESSON,
    ),
    Case(
        "deadline.left",
        'The other side has left: b""',
        'If the other side has left, it returns b"", at once. That is not the same as silence.',
        steps=(receive(b"", "the other side has left", leaves=True, seconds=1.0),),
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
