"""Exercise 07: three endings and a heartbeat; each wrong one is told what is wrong with it."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, passes, solved

import chatlib
from chatlib.checker.case import Outcome
from chatlib.teach.exercises import sandbox


def patient(sock: socket.socket) -> str:
    """Has no deadline."""
    try:
        while sock.recv(1024):
            pass
    except OSError:
        return "reset"
    return "closed"


def printing(sock: socket.socket) -> None:
    """Prints the word."""
    print("closed")


def first(sock: socket.socket) -> str:
    """Takes last words for an ending: one call of recv, and no loop."""
    sock.settimeout(0.3)
    try:
        sock.recv(1024)
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"
    return "closed"


def broad(sock: socket.socket) -> str:
    """Catches the wider error first."""
    sock.settimeout(0.3)
    try:
        while sock.recv(1024):
            pass
    except OSError as error:
        return "reset" if error else "silent"
    return "closed"


def deaf(sock: socket.socket) -> str:
    """Asks again after an error: a reset is told only once."""
    sock.settimeout(0.3)
    for _ in range(3):
        try:
            while sock.recv(1024):
                pass
            return "closed"
        except TimeoutError:
            return "silent"
        except OSError:
            pass
    return "closed"


def raising(sock: socket.socket) -> str:
    """Lets the reset out."""
    sock.settimeout(0.3)
    try:
        while sock.recv(1024):
            pass
    except TimeoutError:
        return "silent"
    return "closed"


def closing(sock: socket.socket) -> Any:
    """Closes the socket when it is done."""
    with sock:
        return solved("07")["ending"](sock)


def shutting(sock: socket.socket) -> Any:
    """Ends its own direction, too."""
    found = solved("07")["ending"](sock)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    return found


def hasty(sock: socket.socket) -> str:
    """Does not wait."""
    sock.settimeout(0.01)
    try:
        while sock.recv(1024):
            pass
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"
    return "closed"


def polling(sock: socket.socket) -> str:
    """Asks again and again."""
    sock.setblocking(False)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        try:
            if not sock.recv(1024):
                return "closed"
        except BlockingIOError:
            pass
        except OSError:
            return "reset"
    return "silent"


LINUX = pytest.mark.skipif("sys.platform != 'linux'", reason="elsewhere a reset may be told twice")


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (printing, "endings.closed", "it returned None"),
        (raising, "endings.reset", "it raised ConnectionResetError: "),
        pytest.param(deaf, "endings.reset", "it returned 'closed'", marks=LINUX),
        (patient, "endings.silent", "it did not return: it was still in line "),
        (broad, "endings.silent", "it returned 'reset'"),
        (hasty, "endings.silent", "it returned much earlier: it did not wait"),
        (first, "endings.words", "it returned 'closed'"),
        (closing, "endings.open", "ending has closed the socket: "),
        (shutting, "endings.open", "ending has closed the socket: "),
        (polling, "endings.asleep", "it was busy all the time: it asks again and again"),
    ],
)
def test_wrong_endings_are_told_apart(
    answer: Callable[..., object], failed: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake has a sentence of its own."""
    monkeypatch.setattr(sandbox, "ATTEMPTS", 1)  # what is wrong is so at once
    assert failure("07", answer, failed).actual.startswith(sentence)


# The stretch


def endless(sock: socket.socket, seconds: float, stop: threading.Event) -> str:
    """Sleeps, and looks at the flag when it has slept."""
    while not stop.is_set():
        sock.sendall(b"\n")
        time.sleep(seconds)
    return "stopped"


def flooding(sock: socket.socket, seconds: float, stop: threading.Event) -> str:
    """Does not wait between two beats."""
    while not stop.is_set():
        sock.sendall(b"\n")
    return "stopped"


def single(sock: socket.socket, seconds: float, stop: threading.Event) -> str:
    """Beats once."""
    sock.sendall(b"\n")
    return "stopped"


def dying(sock: socket.socket, seconds: float, stop: threading.Event) -> str:
    """Lets the error of send out."""
    while not stop.wait(seconds):
        sock.sendall(b"\n")
    return "stopped"


def unheard(sock: socket.socket, seconds: float, stop: threading.Event) -> str:
    """Beats with the wrong byte."""
    while not stop.wait(seconds):
        sock.sendall(b".")
    return "stopped"


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (endless, "heartbeat.stops", ("it did not return: ", "it waited for the next beat")),
        (flooding, "heartbeat.beats", "it sent three at once: it does not wait between them"),
        (single, "heartbeat.beats", "it returned 'stopped', although stop was not set"),
        (unheard, "heartbeat.beats", "it sent b'...' and returned 'stopped'"),
        (dying, "heartbeat.gone", "it raised "),
    ],
)
def test_wrong_heartbeats_are_told_apart(
    answer: Callable[..., object],
    failed: str,
    sentence: str | tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are known by their name: the check is that of the exercise."""
    monkeypatch.setattr(sandbox, "ATTEMPTS", 1)
    monkeypatch.setattr(answer, "__name__", "heartbeat")
    assert failure("07", answer, failed).actual.startswith(sentence)


def test_the_solution_of_07_passes() -> None:
    """Both parts."""
    passes("07", solved("07")["ending"])
    passes("07", solved("07")["heartbeat"])


def test_a_part_that_is_not_written_is_told_by_its_name() -> None:
    """Each part has a report of its own."""

    def heartbeat(sock: socket.socket) -> None:
        raise NotImplementedError

    [verdict] = chatlib.exercise("07", heartbeat).of(Outcome.FAIL)
    assert verdict.failure
    assert verdict.failure.actual.startswith("nothing has been written yet in heartbeat")


@pytest.mark.parametrize(("said", "expected"), [(5, b"hello"), (6, None), (4, None)])
def test_a_file_is_complete_or_none(said: int, expected: bytes | None) -> None:
    """The transfer task: a length that was said, and what came before the end."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(said.to_bytes(8, "big") + b"hello")
        there.shutdown(socket.SHUT_WR)
        assert solved("07")["fetch"](here) == expected
