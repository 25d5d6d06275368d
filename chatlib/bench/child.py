"""Programs that the benchmark runs: what they print is always read, and they end whatever happens."""

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

from chatlib.bench.records import MeasurementError
from chatlib.own_code import FOLDER

END_WITHIN = 3.0
"""Seconds that a program has to end by itself, once it was asked to."""

POSIX = os.name == "posix"


class Child:
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
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Starts it. Blocks until there is a process.

        Raises:
            MeasurementError: There is no such program.
        """
        # Ctrl-C interrupts the main thread only. There, it could come when the program runs already and its
        # number is not noted yet: nothing would end that program. So the thread that reads it starts it, too.
        self._reader = threading.Thread(target=self._run_and_read, name="runs a program", daemon=True)
        self._reader.start()
        try:
            self.pid = self._process.result().pid
        except OSError as error:
            raise MeasurementError(f"cannot run {self._command[0]}: {error.strerror}") from None

    def say(self, line: str) -> None:
        """Writes a line to its input. If the program has ended, nothing happens."""
        with contextlib.suppress(OSError):
            print(line, file=self._process.result().stdin, flush=True)

    def line_with(self, sign: str, within: float) -> str:
        """Returns the next line that it prints with this sign in it. Blocks for at most `within` seconds.

        Raises:
            MeasurementError: It ends before that, or the time is over.
        """
        deadline = time.monotonic() + within
        with contextlib.suppress(queue.Empty):
            while line := self._lines.get(timeout=max(deadline - time.monotonic(), 0)):
                if sign in line:
                    return line
            last = " ".join(self._last) or "none"
            raise MeasurementError(f"the program has ended; its last words: {last}")
        raise MeasurementError(f"nothing was heard of it for {within:.0f} s")

    def close(self) -> None:
        """Ends it, if it runs: asks it to, and after `END_WITHIN` seconds forces it and its children."""
        if not self._reader:
            return
        try:
            process = self._process.result(END_WITHIN)
        except (OSError, TimeoutError):  # there is no such program, or Ctrl-C came before its thread began
            return
        try:
            process.terminate()
            process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also if Ctrl-C is pressed once more
            if process.poll() is None:  # else its number may belong to another program by now
                if POSIX:
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
                process.wait()
        # A grandchild that lives on may hold the other end of the pipe: the thread is a daemon, and is left.
        self._reader.join(1.0)
        for stream in process.stdin, process.stdout:
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _run_and_read(self) -> None:
        """Starts the program and reads what it prints, in a thread of its own.

        A program blocks as soon as a pipe that is not read is full: it would look like a slow server.
        """
        pipe, here = subprocess.PIPE, str(Path(FOLDER).parent)
        try:
            process = subprocess.Popen(
                self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONPATH": here, "PYTHONUNBUFFERED": "1"},  # it finds this very chatlib
                start_new_session=POSIX,  # Ctrl-C is for the benchmark alone, which then ends its programs
            )
        except OSError as error:
            self._process.set_exception(error)
            return
        self._process.set_result(process)
        for line in process.stdout or ():
            self._last.append(line.strip())
            self._lines.put(line)
        self._lines.put("")


def python(*arguments: str) -> list[str]:
    """Returns the command that runs this Python."""
    return [sys.executable, *arguments]
