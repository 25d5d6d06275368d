"""Exercise 07: how has the other side ended? Its stretch part is a heartbeat: `ex07_heartbeat`."""

import socket
import time
from collections.abc import Callable

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises import ex07_heartbeat
from chatlib.teach.exercises.ex01_deadline import must_sleep
from chatlib.teach.exercises.ex07_connection import PATIENCE, connection, reset, wake
from chatlib.teach.exercises.exercise import Exercise, is_function
from chatlib.teach.exercises.sandbox import Trial, shown

QUIET = 0.3
"""Seconds in which nothing comes, after which the other side counts as silent."""

LAST_WORDS = b"so long\n" * 500
"""More than one `recv(1024)` takes."""

LESSON = "07 Goodbyes"


def _half_close(end: socket.socket) -> None:
    end.shutdown(socket.SHUT_WR)


WAYS: dict[str, Callable[[socket.socket], object]] = {
    "closes": socket.socket.close,
    "half-closes": _half_close,
    "resets the connection": reset,
    "does nothing": lambda end: None,
}
"""What the other side can do."""

MEANS = {
    "closed": "it sends no more",
    "reset": "the connection is broken off",
    "silent": f"nothing has come for {QUIET:g} s",
}
"""What an answer has to return, and why."""


@step(
    lambda does, expected, words=b"": (
        f"the other side {'says something, then ' if words else ''}{does}; ending(sock)"
    )
)
def end(trial: Trial, does: str, expected: str, words: bytes = b"") -> None:
    """Ends a connection in one of the `WAYS`, after some last words, and asks how it has ended."""
    promise = f"it returns {expected!r}: {MEANS[expected]}"

    def timed() -> tuple[object, float]:
        start = time.monotonic()  # here, as it may take a while until this thread begins
        return trial.answer(here), time.monotonic() - start

    with connection() as (here, there):
        there.sendall(words)
        WAYS[does](there)
        found, waited = trial.attempt(timed, promise, rescue=lambda: wake(here))
    if found != expected:
        raise Broken(promise, f"it returned {shown(found)}")
    if expected == "silent" and waited < 0.7 * QUIET:
        raise Broken(f"it waits for {QUIET:g} s", "it returned much earlier: it did not wait")


@step("the other side half-closes; ending(sock), then sock.sendall(b'bye')")
def say_goodbye(trial: Trial) -> None:
    """Sends on, to a side that still reads: its socket must be as open as it was."""
    promise = "the other side receives b'bye': it still reads"
    with connection() as (here, there):
        there.settimeout(PATIENCE)
        _half_close(there)
        trial.attempt(lambda: trial.answer(here), promise, rescue=lambda: wake(here))
        try:
            here.sendall(b"bye")
        except OSError as error:
            raise Broken(promise, f"ending has closed the socket: {error}") from None
        if (found := there.recv(1024)) != b"bye":
            raise Broken(promise, f"it received {shown(found)}: ending has ended this direction, too")


@step("the other side does nothing; ending(sock) waits")
def sleep(trial: Trial) -> None:
    """Calls the function, and sees what its wait costs."""
    with connection() as (here, _):
        must_sleep(trial, lambda: trial.answer(here), rescue=lambda: wake(here))


CASES = (
    Case(
        "endings.closed",
        "The other side has closed",
        'If the other side sends no more, it returns "closed".',
        steps=(end("closes", "closed"), end("half-closes", "closed")),
        hint='sock.recv(1024) returns b"" then. Return the word, do not print it.',
        lesson=LESSON,
    ),
    Case(
        "endings.reset",
        "The other side has broken off",
        'If the connection is reset, it returns "reset".',
        steps=(end("resets the connection", "reset"),),
        hint='recv raises ConnectionResetError, and only once: a second recv may return b"".',
        lesson=LESSON,
    ),
    Case(
        "endings.silent",
        "The other side says nothing",
        f'If nothing comes for {QUIET:g} s, it returns "silent".',
        steps=(end("does nothing", "silent"),),
        hint=f"sock.settimeout({QUIET:g}); recv then raises TimeoutError, an OSError: catch it first.",
        lesson=LESSON,
    ),
    Case(
        "endings.words",
        "Last words are no ending",
        "What the other side still says is read, until it has ended.",
        steps=(
            end("closes", "closed", words=LAST_WORDS),
            end("does nothing", "silent", words=LAST_WORDS),
        ),
        hint="recv returns bytes as long as some are there. Go on with the next recv: that needs a loop.",
        lesson=f"{LESSON}, 04 The stream lies",
    ),
    Case(
        "endings.open",
        "The socket stays open",
        "It only looks: its caller can still send, as a client that half-closed still reads.",
        steps=(say_goodbye(),),
        hint="Do not close the socket, nor shut it down. A `with sock:` closes it at its end.",
        lesson=LESSON,
    ),
    Case(
        "endings.asleep",
        "It sleeps while it waits",
        "While it waits, it takes no processor time.",
        steps=(sleep(),),
        hint="One recv with a deadline sleeps until something comes: no non-blocking socket is needed.",
        lesson=f"{LESSON}, 01 A call that waits",
    ),
)

EXERCISE = Exercise(
    title="three endings",
    name="ending",
    takes="the function itself, without brackets",
    fits=is_function,
    cases=CASES,
    lesson=LESSON,
    stretch=ex07_heartbeat.STRETCH,
)
