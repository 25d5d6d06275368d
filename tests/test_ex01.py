"""Exercise 01: a right deadline passes on any computer; each wrong one is told what is wrong with it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import pytest
from answers import failure, passes, solved
from faults import eventually

import chatlib
from chatlib.checker.case import Outcome
from chatlib.teach.exercises import sandbox
from chatlib.teach.exercises.sandbox import SLIP


def never(sock: socket.socket, seconds: float) -> bytes:
    """Has no deadline."""
    return sock.recv(1024)


def raising(sock: socket.socket, seconds: float) -> bytes:
    """Lets the TimeoutError out."""
    sock.settimeout(seconds)
    return sock.recv(1024)


def impatient(sock: socket.socket, seconds: float) -> bytes | None:
    """Does not wait at all."""
    sock.setblocking(False)
    try:
        return sock.recv(1024)
    except BlockingIOError:
        return None


def fixed(sock: socket.socket, seconds: float) -> bytes | None:
    """Has a deadline of its own choice."""
    sock.settimeout(1.2)
    with contextlib.suppress(TimeoutError):
        return sock.recv(1024)
    return None


def sleeping(sock: socket.socket, seconds: float) -> bytes | None:
    """Sleeps first, then looks."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1024)
    time.sleep(seconds)
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1024)
    return None


def confusing(sock: socket.socket, seconds: float) -> bytes | None:
    """Takes a farewell for silence."""
    sock.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        return sock.recv(1024) or None
    return None


def polling(sock: socket.socket, seconds: float) -> bytes | None:
    """Asks again and again."""
    sock.setblocking(False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            return sock.recv(1024)
    return None


def dozing(sock: socket.socket, seconds: float) -> bytes:
    """Sleeps although something is there."""
    time.sleep(seconds)
    return sock.recv(1024)


def decoding(sock: socket.socket, seconds: float) -> str:
    """Makes a text of what has come."""
    return sock.recv(1024).decode()


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (never, "deadline.nothing", "it did not return: it was still in line "),
        (raising, "deadline.nothing", "it raised TimeoutError: timed out, in line "),
        (impatient, "deadline.nothing", "it returned much earlier: it did not wait"),
        (fixed, "deadline.nothing", "it waited much longer"),
        (sleeping, "deadline.later", "it went on waiting, although the bytes were there"),
        (confusing, "deadline.left", "it returned None"),
        (polling, "deadline.asleep", "it was busy all the time: it asks again and again"),
        (dozing, "deadline.there", "it went on waiting, although the bytes were there"),
        (decoding, "deadline.there", "it returned 'hello'"),
    ],
)
def test_wrong_deadlines_are_told_apart(
    answer: Callable[..., object], failed: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake has a sentence of its own."""
    monkeypatch.setattr(sandbox, "ATTEMPTS", 1)  # what is wrong is so at once
    assert failure("01", answer, failed).actual.startswith(sentence)


def test_a_hint_fits_what_went_wrong() -> None:
    """In the first case most goes wrong: sleep, decode, and what Python itself says best."""

    def hint(answer: Callable[..., object]) -> str:
        return chatlib.exercise("01", answer).of(Outcome.FAIL)[0].case.hint

    assert hint(decoding).endswith("No sleep, no decode.")
    for slip in (
        lambda sock: None,
        lambda sock, seconds: "" + sock.recv(1024),
        lambda sock, seconds: sock.read(),
    ):
        assert hint(slip) == SLIP


def test_the_solution_of_01_passes() -> None:
    """In its own notebook, too: nbval sees to that."""
    passes("01", solved("01")["receive_within"])


def test_a_step_that_the_clock_has_spoiled_is_taken_again() -> None:
    """A busy computer may hold a right answer up, once or twice; not so an answer that is wrong."""
    calls: list[float] = []

    def no_timer_runs() -> bool:
        return not any(isinstance(thread, threading.Timer) for thread in threading.enumerate())

    def receive_within(sock: socket.socket, seconds: float) -> bytes | None:
        sock.settimeout(seconds)
        calls.append(seconds)
        if len(calls) == 1:
            assert eventually(no_timer_runs)  # held up until it is late
        with contextlib.suppress(TimeoutError):
            return sock.recv(1024)
        return None

    passes("01", receive_within)
    assert calls[0] == calls[1] != calls[2]
