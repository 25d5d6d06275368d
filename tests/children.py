"""Processes that tests have started: each inherits a mark, so that none is left over."""

import contextlib
import os

import psutil

RUN, WORKER = "CHATLIB_TEST_RUN", "CHATLIB_TEST_WORKER"
"""Variables of the environment: the process that pytest was started in, and the one that runs the test."""


def started_by(mark: str) -> list[psutil.Process]:
    """Returns all processes that have inherited one of these, also those whose parents have ended."""
    return [
        process
        for process in psutil.process_iter(["environ", "cmdline"])
        if (process.info["environ"] or {}).get(mark) == os.environ[mark]
        and process.pid != os.getpid()
        # multiprocessing starts it once for the whole life of this process, and it ends with it
        and "resource_tracker" not in " ".join(process.info["cmdline"] or [])
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
