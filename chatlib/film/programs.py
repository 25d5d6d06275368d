"""One film of several programs, each in a process of its own: `python -m chatlib xray -- a.py :: b.py`."""

import contextlib
import math
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chatlib.film.film import Film
from chatlib.film.page import Page
from chatlib.film.record.recorder import pause
from chatlib.film.spans import Span
from chatlib.film.watcher import Watcher

READY_WITHIN = 10.0
"""Seconds for which the next program waits for the one before, at most."""

HEAD_START = 0.5
"""Seconds by which one that is no server is ahead of the next, from its first call on."""

END_WITHIN = 3.0
"""Seconds that a program has to end by itself, once it is asked to."""

_LOOK = 0.05  # seconds between two looks


class Programs:
    """Programs of Python that are filmed together.

    The next one starts when the one before waits for a connection, or has run for `HEAD_START`. When all have
    ended that are no servers, the film is over, and the servers are ended.

    Args:
        film: What films them. It must run.
    """

    def __init__(self, film: Film) -> None:
        self._film, self.started = film, list[subprocess.Popen[bytes]]()
        self._servers = set[int]()  # by their numbers in the system, as the next
        self._begun = dict[int, float]()

    def start(self, commands: Sequence[Sequence[str]]) -> None:
        """Starts them, of which is told what stands behind `python`. Blocks until all have been started."""
        for number, command in enumerate(commands, 1):
            self.started.append(subprocess.Popen([sys.executable, *command]))
            deadline = time.monotonic() + READY_WITHIN
            while number < len(commands) and time.monotonic() < deadline:
                pause(_LOOK)
                last = self.started[-1]
                if last.poll() is not None or self._serves(last):
                    break
                if self._begun[last.pid] + HEAD_START < time.perf_counter():
                    break

    def wait(self) -> None:
        """Blocks until each of them has ended that is no server."""
        while True:
            running = [program for program in self.started if program.poll() is None]
            if not running or (len(running) < len(self.started) and all(map(self._serves, running))):
                return
            pause(_LOOK)

    def _serves(self, program: subprocess.Popen[bytes]) -> bool:
        if program.pid not in self._servers:  # or all that it has ever called would be looked at each time
            calls = self._film.spans_of(program.pid)
            self._begun[program.pid] = min((call.start for call in calls), default=math.inf)
            if any(map(is_of_server, calls)):
                self._servers.add(program.pid)
        return program.pid in self._servers

    def end(self) -> None:
        """Ends those that still run: by SIGTERM, and if they take too long for that, at once."""
        for act in (subprocess.Popen.terminate, subprocess.Popen.kill):
            for program in self.started:
                if program.poll() is None:
                    act(program)
            deadline = time.monotonic() + END_WITHIN
            while any(program.poll() is None for program in self.started) and time.monotonic() < deadline:
                pause(0.01)


def is_of_server(span: Span) -> bool:
    """Whether a call is one of a server's."""
    return span.call == "accept" or span.subject.startswith("a connection")


def film_programs(commands: Sequence[Sequence[str]], output: Path, live: bool = False) -> int:
    """Runs programs of Python until they end or Ctrl-C is pressed; then writes their film as an HTML page.

    Args:
        commands: Of each, what stands behind `python` on its command line: a script and its arguments.
        output: Where to write the page.
        live: Whether to print to stderr, once a second, which thread waits for what.

    Returns:
        The first exit status that is not 0, of those that have ended by themselves; as a shell says it.

    Raises:
        OSError: There is no such script, or the page cannot be written.
    """
    for command in commands:
        if command[0].endswith(".py") and not Path(command[0]).is_file():
            raise FileNotFoundError(2, f"there is no script {command[0]}")
    page = Page(output)
    page.begin()
    # SIGTERM ends them as Ctrl-C does, which reaches them all if it comes from a terminal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Film(packages=True, processes=True) as film:
        watcher, programs = Watcher(film, live), Programs(film)
        watcher.start()
        with contextlib.suppress(KeyboardInterrupt):
            programs.start(commands)
            programs.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # what is left takes a moment, and must not be cut off
        watcher.stop()
        statuses = [program.poll() for program in programs.started]
        film.stop()
        programs.end()
    page.write(film.recording(), " and ".join(map(title, commands)))
    status = next((status for status in statuses if status), 0)
    return status if status >= 0 else 128 - status  # a signal has killed it


def title(command: Sequence[str]) -> str:
    """Returns what to call a program: its file, or its module."""
    return command[1] if command[0] == "-m" and len(command) > 1 else Path(command[0]).name
