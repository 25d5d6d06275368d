"""Programs of our own: started with their output watched, and ended together with all that they started."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chatlib.bench.streams import Failed

START_WITHIN = 15.0
"""Seconds until a server must say that it listens."""

END_WITHIN = 3.0
"""Seconds that a program has to end by itself, once it was asked to."""

POSIX = os.name == "posix"


@contextlib.contextmanager
def running(command: list[str], **pipes: Any) -> "Iterator[subprocess.Popen[str]]":
    """Runs a program, which is ended when the block is left: asked to, and after `END_WITHIN` seconds forced.

    Raises:
        Failed: There is no such program.
    """
    try:
        # In a session of its own: Ctrl-C is for whoever started the benchmark, and it ends the programs.
        process = subprocess.Popen(command, text=True, env=_environment(), start_new_session=POSIX, **pipes)
    except OSError as error:
        raise Failed(f"cannot run {command[0]}: {error.strerror}") from None
    with process:
        try:
            yield process
        finally:
            _end(process)


def _environment() -> dict[str, str]:
    """Returns one in which Python finds this very chatlib."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_WITHIN)
    if POSIX:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of its session have ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


class Output:
    """Reads what a program prints, in a thread of its own, so that the program never waits for a reader.

    Args:
        stream: Where it prints.
        sign: The part of a line that says that it is ready.
    """

    def __init__(self, stream: Any, sign: str) -> None:
        self._stream = stream
        self._sign = sign
        self._last: deque[str] = deque(maxlen=3)
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="reads what a server prints", daemon=True).start()

    def wait(self) -> str:
        """Returns the line with the sign. Blocks for at most `START_WITHIN` seconds.

        Raises:
            Failed: It does not come.
        """
        try:
            line = self._ready.get(timeout=START_WITHIN)
        except queue.Empty:
            line = ""
        if not line:
            said = f"; its last words: {' '.join(self._last)}" if self._last else ", and printed nothing"
            raise Failed(f"the server did not start{said}")
        return line

    def _read(self) -> None:
        for line in self._stream:
            self._last.append(line.strip())
            if self._sign in line:
                self._ready.put(line)
        self._ready.put("")


def python(*arguments: str) -> list[str]:
    """Returns the command that runs this Python."""
    return [sys.executable, *arguments]
