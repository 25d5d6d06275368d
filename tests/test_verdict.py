"""Who is stuck because of whom: right in programs with a known cause, and silent about what is fine."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from threading import main_thread
from typing import Any

import pytest
import stuck
from faults import POSIX, SOON, environment, eventually, untraced
from test_film import another, film

import chatlib
from chatlib.api import Film, xray
from chatlib.film.record.handlers import woken_by_signals
from chatlib.film.record.waiters import number_of
from chatlib.film.verdict.judge import is_ripe, verdict_of

__all__ = ["film"]  # the fixture

PROGRAM = Path(stuck.__file__)


def told_of(name: str) -> list[dict[str, Any]]:
    """Returns what is said of a program, which runs in a process of its own. Untraced: some never rest."""
    command = [sys.executable, str(PROGRAM), name]
    child = subprocess.run(
        command, env=environment(traced=False), capture_output=True, text=True, timeout=6 * SOON
    )
    assert child.returncode == 0, child.stderr
    return list(json.loads(child.stdout))


@pytest.mark.parametrize("name", [name for name, program in stuck.PROGRAMS.items() if program.kind])
def test_a_program_that_is_stuck(name: str) -> None:
    """The finding that names the cause is there, as certain as it is; and there is no other cause."""
    program, found = stuck.PROGRAMS[name], told_of(name)
    assert stuck.is_as_expected(program, found), found
    assert {each["kind"] for each in found} == {program.kind}


@pytest.mark.parametrize("name", [name for name, program in stuck.PROGRAMS.items() if not program.kind])
def test_a_program_that_is_fine(name: str) -> None:
    """No alarm, however often it is looked at."""
    assert told_of(name) == []


def test_a_film_that_runs_looks_until_each_wait_has_lasted(film: Film) -> None:
    """For half a second at most; once it has ended, it tells of its last moment."""
    box = queue.Queue[int]()
    with another(box.get, name="gets"):
        assert eventually(film.waiting)
        assert str(film.verdict()) == "Nothing is known to be stuck."
        assert is_ripe(film.recording())
        box.put(1)
    film.stop()
    assert film.verdict() == verdict_of(film.recording())


@pytest.mark.parametrize(
    ("seconds", "endless"),
    [({}, True), ({"timeout": None}, True), ({"timeout": SOON}, False)],
    ids=["none", "None", "some"],
)
def test_a_call_says_whether_a_time_limit_ends_it(
    film: Film, seconds: dict[str, float | None], endless: bool
) -> None:
    """That of the call, or one that a barrier has for all its waits."""
    box, plain, timed = queue.Queue[int](), threading.Barrier(2), threading.Barrier(2, timeout=SOON)
    with (
        another(lambda: box.get(**seconds), name="gets"),  # type: ignore[arg-type]
        another(lambda: plain.wait(**seconds), name="meets"),
        another(timed.wait, name="meets in time"),
    ):
        assert eventually(lambda: len(film.recording().waiting) == 3)
        known = {span.thread: span.until and span.until.endless for span in film.spans if span.end is None}
        box.put(1)
        plain.wait()
        timed.wait()
    assert known == {"gets": endless, "meets": endless, "meets in time": False}


@POSIX
def test_a_thread_that_a_signal_may_wake_is_not_stuck_for_ever() -> None:
    """The program has a handler of its own: it may do what the thread waits for."""

    def handle(*_: object) -> None: ...

    free = woken_by_signals()
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert woken_by_signals() - free == {number_of(main_thread())}
    finally:
        signal.signal(signal.SIGUSR1, before)


@POSIX
def test_of_a_process_that_has_forked_it_is_not_known_which_threads_are_free() -> None:
    """Its child may have the same connections."""
    assert untraced(tell_of_a_fork) == ["True", "None"]


def tell_of_a_fork() -> None:
    """Prints whether it is known which threads are free, before and after."""
    with xray() as film:
        print(film.recording().free is not None)
        if child := os.fork():
            os.waitpid(child, 0)
            print(film.recording().free)
        else:
            os._exit(0)


def test_bytes_that_lie_behind_a_silent_client_are_told(film: Film) -> None:
    """Also if their sender does not wait just now: it is the first picture of the course."""
    with chatlib.running(chatlib.SyncServer) as server:
        alice, bob = (chatlib.connect(server, name=name) for name in ("alice", "bob"))
        bob.send("hello")
        assert eventually(lambda: "unread" in str(film.verdict()))
        told = "6 bytes from bob lie unread: the server waits for alice, which says nothing"
        assert str(film.verdict()) == told
        alice.close()
        assert bob.receive(SOON) == "HELLO"
        assert "unread" not in str(film.verdict())
        bob.close()


def test_there_are_programs_of_each_kind() -> None:
    """Thirty-five that are stuck, in as many ways, and twelve that are not."""
    kinds = [bool(program.kind) for program in stuck.PROGRAMS.values()]
    assert (kinds.count(True), kinds.count(False)) == (35, 12)
