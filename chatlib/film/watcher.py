"""A thread that looks at those of a script all the time, and with `--live` lists what each waits for."""

import _thread
import ctypes
import functools
import os
import signal
import threading
import time
from collections.abc import Iterator

from chatlib.film.film import Film
from chatlib.film.page import say
from chatlib.film.record.recorder import pause
from chatlib.film.render.wording import clean
from chatlib.film.spans import Recording

EVERY = 1.0
"""Seconds between two lists of what each thread waits for, with `--live`."""

_PAUSE = 0.1  # seconds between two looks at the script's threads


class Watcher:
    """Looks at the script's threads all the time, as not each of their calls has a stand-in.

    It is none of `threading`: a script may count its threads, and wait until it is alone.

    Args:
        film: What it looks for.
        live: Whether to print to stderr, once a second, which thread waits for what.
    """

    def __init__(self, film: Film, live: bool) -> None:
        self._film, self._live, self._process = film, live, os.getpid()
        self._over, self._ended, self._number = threading.Event(), threading.Event(), 0

        # Python warns of a fork if there is another thread. From 3.13 on it counts when the functions for
        # after the fork have run: so this begins again a moment later, with the next line that runs. Up to
        # there all is C, as a function of ours would have such a line.
        def again(_: object) -> int:
            self.start()
            return 0  # C is told that it has not failed

        self._again = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(again)
        later = functools.partial(ctypes.pythonapi.Py_AddPendingCall, self._again, None)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.stop, after_in_parent=later)

    def start(self) -> None:
        """Begins, if the film runs, and is that of this process."""
        if self._film.running and os.getpid() == self._process:
            self._over.clear()
            self._ended.clear()
            _thread.start_new_thread(self._run, ())

    def stop(self) -> None:
        """Ends it. Blocks until the system has no such thread; for a second at most, as `print` may block."""
        deadline = time.monotonic() + 1.0
        self._over.set()
        self._ended.wait(1.0)
        while os.path.exists(f"/proc/self/task/{self._number}") and time.monotonic() < deadline:
            pause(0.001)

    def _run(self) -> None:
        self._number = _thread.get_native_id()
        try:
            if hasattr(signal, "pthread_sigmask"):  # a signal is for the script: it may wait for just that
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            printed = time.monotonic()
            while not self._over.wait(_PAUSE) and self._film.running:
                self._film.glance()
                if self._live and time.monotonic() - printed >= EVERY:
                    printed = time.monotonic()
                    say("\n".join(_list_of(self._film.recording())))
        finally:
            self._ended.set()


def _list_of(recording: Recording) -> Iterator[str]:
    """Gives the lines of the list. It is never empty: threads that come from call to call are busy."""
    yield "--- who waits"
    for each in recording.present:
        said = f"{each.call} {each.on}".strip() + (f", {each.place.said}" if each.place else "")
        yield clean(f"{each.thread}: {said}, {each.seconds:.1f} s")
    if not recording.present:
        yield from (clean(f"{thread.name}: busy") for thread in threading.enumerate())
