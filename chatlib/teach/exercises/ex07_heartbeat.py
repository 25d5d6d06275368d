"""Exercise 07, its stretch part: a heartbeat, which says "I am here" until it is stopped or cannot send."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.ex07_connection import connection, reset, wake
from chatlib.teach.exercises.exercise import Exercise, is_function
from chatlib.teach.exercises.sandbox import Trial, shown

BEAT = 0.05
"""Seconds between two heartbeats, where three of them are waited for."""

LONG_BEAT = 2.5
"""Seconds between two, where the flag comes in between: longer than the check waits for a call."""

LESSON = "07 Goodbyes"


@contextlib.contextmanager
def _stopping_after(end: socket.socket, beats: int) -> Iterator[tuple[threading.Event, list[bytes]]]:
    """Yields the flag that ends a heartbeat, set when so many beats have come, and a list of these."""
    stop, found = threading.Event(), list[bytes]()

    def listen() -> None:
        with contextlib.suppress(OSError):
            while len(found) < beats and (beat := end.recv(1)):
                found.append(beat)
        stop.set()

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        yield stop, found
    finally:
        wake(end)
        listening.join()


@step(f"heartbeat(sock, {BEAT:g}, stop); stop is set when three beats have come")
def beat(trial: Trial) -> None:
    """Lets it beat three times, and looks at the bytes, at their pace, and at what it returns."""
    promise = f"it sends b'\\n' every {BEAT:g} s, and returns 'stopped'"

    def timed() -> tuple[object, float]:
        start = time.monotonic()
        return trial.answer(here, BEAT, stop), time.monotonic() - start

    with connection() as (here, there), _stopping_after(there, 3) as (stop, beats):
        found, took = trial.attempt(timed, promise, rescue=stop.set)
        if not stop.is_set():
            raise Broken(promise, f"it returned {shown(found)}, although stop was not set")
        there.setblocking(False)
        with contextlib.suppress(OSError):  # nothing more has come
            beats.append(there.recv(65_536))
    came = b"".join(beats)
    # On a busy computer, three beats without a wait may take long as well; but then many more have come.
    if came.strip(b"\n") == b"" and (took < 1.4 * BEAT or len(came) > 3 + took / BEAT):
        raise Broken(promise, "it sent three at once: it does not wait between them")
    if came[:3] != b"\n" * 3 or found != "stopped":
        raise Broken(promise, f"it sent {shown(came[:3])} and returned {shown(found)}")


@step(f"heartbeat(sock, {LONG_BEAT:g}, stop); stop is set after the first beat, or a moment later")
def stop_between(trial: Trial) -> None:
    """Sets the flag while it waits for the next beat: the wait has to end then."""
    promise = "it returns 'stopped' as soon as stop is set"

    def timed() -> tuple[object, float]:
        start = time.monotonic()
        return trial.answer(here, LONG_BEAT, stop), time.monotonic() - start

    with connection() as (here, _):
        stop = threading.Event()
        setting = threading.Timer(0.1, stop.set)
        setting.start()
        try:
            found, took = trial.attempt(timed, promise, rescue=stop.set)
        finally:
            setting.join()
    if found != "stopped":
        raise Broken(promise, f"it returned {shown(found)}")
    if took >= LONG_BEAT:
        raise Broken(promise, "it waited for the next beat", certain=False)


@step("the other side resets the connection; heartbeat(sock, 0.02, stop)")
def beat_in_vain(trial: Trial) -> None:
    """Lets it beat where there is no other side any more."""
    promise = "it returns 'gone': it cannot send"
    with connection() as (here, there):
        stop = threading.Event()
        reset(there)
        found = trial.attempt(lambda: trial.answer(here, 0.02, stop), promise, rescue=stop.set)
    if found != "gone":
        raise Broken(promise, f"it returned {shown(found)}")


STRETCH_CASES = (
    Case(
        "heartbeat.beats",
        "It beats",
        "It sends a newline, waits, sends the next, and so on, until stop is set.",
        steps=(beat(),),
        hint="while not stop.wait(seconds): sock.sendall(...). stop.wait says whether stop is set.",
        lesson=LESSON,
    ),
    Case(
        "heartbeat.stops",
        "It stops at once",
        "It returns as soon as stop is set, also between two beats.",
        steps=(stop_between(),),
        hint="time.sleep cannot be woken. stop.wait(seconds) returns as soon as the flag is set.",
        lesson=LESSON,
    ),
    Case(
        "heartbeat.gone",
        "It notices that the other side has gone",
        'If it cannot send, it returns "gone", and raises nothing.',
        steps=(beat_in_vain(),),
        hint="The first or the second send raises an OSError, as under *What does send give?*. Catch it.",
        lesson=LESSON,
    ),
)

STRETCH = Exercise(
    title="a heartbeat",
    name="heartbeat",
    takes="the function itself, without brackets",
    fits=is_function,
    cases=STRETCH_CASES,
    lesson=LESSON,
)
