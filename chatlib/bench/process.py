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
from pathlib import Path
from typing import Any

from chatlib.bench.streams import Failed

END_WITHIN = 3.0
"""Seconds that a program has to end by itself, once it was asked to."""

POSIX = os.name == "posix"


class Program:
    """A program that runs until it is closed.

    Args:
        command: What to run, with its arguments.

    Raises:
        Failed: There is no such program.
    """

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": subprocess.STDOUT, "text": True}
        # In a session of its own: Ctrl-C is for whoever started the benchmark, which ends its programs.
        options |= {"env": _environment(), "errors": "replace", "start_new_session": POSIX}
        try:
            self._process: subprocess.Popen[str] = subprocess.Popen(command, **options)
        except OSError as error:
            raise Failed(f"cannot run {command[0]}: {error.strerror}") from None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=3)
        self._reader = threading.Thread(target=self._read, name="reads what a program prints", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def say(self, line: str) -> None:
        """Writes a line to its input. A program that has ended does not mind."""
        with contextlib.suppress(OSError):
            print(line, file=self._process.stdin, flush=True)

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
        """Ends it: asks it to end, and after `END_WITHIN` seconds forces it, and what it has started."""
        try:
            self._process.terminate()
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also if Ctrl-C is pressed once more
            self._kill()
            self._process.wait()
        self._reader.join(1.0)
        for stream in self._process.stdin, self._process.stdout:
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _kill(self) -> None:
        if self._process.poll() is not None:
            return  # its number may belong to another program by now
        if POSIX:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._last.append(line.strip())
            self._lines.put(line)
        self._lines.put("")


def python(*arguments: str) -> list[str]:
    """Returns the command that runs this Python."""
    return [sys.executable, *arguments]


def _environment() -> dict[str, str]:
    """Returns one in which Python finds this very chatlib."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
