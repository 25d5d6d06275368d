"""What a process uses, as the checker and the benchmark see it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import psutil
import pytest
from faults import LINUX, POSIX, eventually

from chatlib.checker.steps import basic
from chatlib.resources import OwnProcess, Spinner, process_tree

TWO_ON_ONE = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
parent = os.getpid()
os.fork()
while parent in (os.getpid(), os.getppid()):
    pass
"""
"""Two processes that never rest, and one processor for both."""


@contextlib.contextmanager
def program(text: str) -> Iterator[int]:
    """Runs a program; its process id."""
    with subprocess.Popen([sys.executable, "-c", text]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@LINUX
def test_who_waits_for_a_processor_is_seen_to_wait() -> None:
    """For other processes, and for threads of this one."""
    with program(TWO_ON_ONE) as pid:
        tree = process_tree(pid)
        assert tree and eventually(lambda: tree.queued() > 0.2)
        assert tree.is_ready()
    with program("import time; time.sleep(60)") as pid:
        asleep = process_tree(pid)
        assert asleep and eventually(lambda: not asleep.is_ready())
    with ExitStack() as stack:
        spinners = [stack.enter_context(Spinner()) for _ in range(2)]
        for spinner in spinners:
            os.sched_setaffinity(spinner.native_id or 0, [min(os.sched_getaffinity(0))])
        own = OwnProcess(lambda: [spinners[0]])
        before = own.queued()
        assert eventually(lambda: own.queued() - before > 0.2)


@pytest.mark.parametrize(
    ("taken", "queued", "had", "rests"),
    [
        (0.02, 0.0, 0.5, True),  # it sleeps
        (0.02, 1.0, 0.5, True),  # it looks round now and then, and others are quicker
        (0.02, 2.9, 0.5, False),  # it would run if it could
        (0.4, 2.5, 0.5, False),  # it spins, as far as others let it
        (0.4, 0.0, 0.5, False),
        (0.0, 0.0, 0.01, False),  # nobody had anything
    ],
)
def test_a_server_that_gets_no_processor_is_not_at_rest(
    taken: float, queued: float, had: float, rests: bool
) -> None:
    """In three seconds: what it took, how long it was ready to run, and what a thread got that spins."""
    assert basic.rested(3.0, taken, queued, had) is rests


def test_a_server_that_is_ready_to_run_is_not_at_rest() -> None:
    """How long it waits for a processor is counted only when it has got one."""

    class Starved(NamedTuple):
        looks: Iterator[float] = chain(repeat(0.0, 8), repeat(basic.WATCHED))
        ready: bool = True

        def cpu(self) -> float:
            return next(self.looks)

        def queued(self) -> float:
            return 0.0

        def is_ready(self) -> bool:
            return self.ready

    waits: Any = SimpleNamespace(pause=time.sleep)
    assert not basic._comes_to_rest(waits, cast(Any, Starved()))
    assert basic._comes_to_rest(waits, cast(Any, Starved(repeat(0.0), ready=False)))


@POSIX
def test_a_tree_has_the_children_of_every_thread_and_theirs() -> None:
    """As psutil finds them, which looks at every process that there is."""
    text = """
import subprocess, sys, threading
start = lambda: subprocess.run(["sh", "-c", "sleep 9 & echo; wait"])
threading.Thread(target=start).start()
start()
"""
    with program(text) as pid:
        tree, root = process_tree(pid), psutil.Process(pid)
        assert tree
        assert eventually(lambda: len(tree.processes()) == 5), tree.processes()
        assert set(tree.processes()) == {root, *root.children(recursive=True)}
        for one in tree.processes()[1:]:
            one.kill()
    assert tree.processes() == []  # the root has ended, too


@LINUX
def test_memory_that_was_freed_does_not_hide_what_is_kept() -> None:
    """It would be used again, and what keeps more and more would seem to need no memory."""
    own = OwnProcess(list)
    pieces = [bytes(1000) for _ in range(30_000)]
    full = own.memory()
    kept = pieces[::50]
    del pieces
    assert own.memory() < full - (20 << 20), kept[:1]
