"""Processes that tests have started: each inherits a mark, so that none is left over."""

import contextlib
import os

import psutil

MARK = "CHATLIB_TESTED_BY"
"""The variable of the environment that says which process has run the test."""


def mark() -> None:
    """From now on, whatever this process starts can be found, also when its parent has ended before it."""
    os.environ[MARK] = str(os.getpid())


def started_by(pid: int) -> list[psutil.Process]:
    """Returns all processes that a process with tests, or one of these processes, has started."""
    return [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(MARK) == str(pid) and process.pid != os.getpid()
    ]


def end(processes: list[psutil.Process], within: float = 0) -> list[str]:
    """Kills those that do not end by themselves within some seconds; returns which, and the test of each."""
    _, left = psutil.wait_procs(processes, timeout=within)
    told = [f"{process} of {process.info['environ'].get('PYTEST_CURRENT_TEST')}" for process in left]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)
    return told
