"""Programs that the benchmark runs: what they print is always read, and they are ended whatever happens."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from chatlib.bench.loadgen.payload import Failed

END_WITHIN = 3.0
"""Seconds that a program has to end by itself, once it was asked to."""

POSIX = os.name == "posix"


class Program:
    """A program that runs from `start` until `close`.

    Args:
        command: What to run, with its arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self.pid = 0
        """The number of its process."""
        self._command = command
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=3)
        self._process: Future[subprocess.Popen[str]] = Future()
        self._begun = False

    def start(self) -> None:
        """Starts it. Blocks until there is a process.

        Raises:
            Failed: There is no such program.
        """
        # A thread starts the program, and then reads what it prints. Ctrl-C only interrupts the main thread:
        # there it could come when the program runs already, but nobody has noted its number yet.
        self._reader = threading.Thread(target=self._run, name="runs a program", daemon=True)
        self._begun = True
        self._reader.start()
        try:
            self.pid = self._process.result().pid
        except OSError as error:
            raise Failed(f"cannot run {self._command[0]}: {error.strerror}") from None

    def say(self, line: str) -> None:
        """Writes a line to its input. A program that has ended does not mind."""
        with contextlib.suppress(OSError):
            print(line, file=self._process.result().stdin, flush=True)

    def line_with(self, sign: str, within: float) -> str:
        """Returns the next line that it prints with this sign in it. Blocks for at most `within` seconds.

        Raises:
            Failed: It ends before that, or the time is over.
        """
        deadline = time.monotonic() + within
        with contextlib.suppress(queue.Empty):
            while line := self._lines.get(timeout=max(deadline - time.monotonic(), 0)):
                if sign in line:
                    return line
            raise Failed(f"the program has ended; its last words: {' '.join(self._last) or 'none'}")
        raise Failed(f"nothing was heard of it for {within:.0f} s")

    def close(self) -> None:
        """Ends it, if it runs: asks it to, and after `END_WITHIN` seconds forces it and its children."""
        if not self._begun:
            return
        try:
            process = self._process.result(END_WITHIN)
        except (OSError, TimeoutError):  # there is no such program, or Ctrl-C came before its thread
            return
        try:
            process.terminate()
            process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also if Ctrl-C is pressed once more
            _kill(process)
        self._reader.join(1.0)
        for stream in process.stdin, process.stdout:
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _run(self) -> None:
        try:
            process = _start(self._command)
        except OSError as error:
            self._process.set_exception(error)
            return
        self._process.set_result(process)
        for line in process.stdout or ():
            self._last.append(line.strip())
            self._lines.put(line)
        self._lines.put("")


def _start(command: list[str]) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": subprocess.STDOUT, "text": True}
    # In a session of its own: Ctrl-C is for whoever started the benchmark, which ends its programs.
    options |= {"env": _environment(), "errors": "replace", "start_new_session": POSIX}
    return subprocess.Popen(command, **options)


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kills a program that still runs, and what it has started."""
    if process.poll() is not None:
        return  # its number may belong to another program by now
    if POSIX:
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def python(*arguments: str) -> list[str]:
    """Returns the command that runs this Python."""
    return [sys.executable, *arguments]


def _environment() -> dict[str, str]:
    """Returns one in which Python finds this very chatlib."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
