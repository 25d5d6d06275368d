"""A thread that looks at the others again and again, and which the program does not notice."""

import _thread
import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable

from chatlib.film.record.recorder import pause


class Lookout:
    """Calls a function again and again, in a thread of its own. Ends with the process that made it.

    The thread is none of `threading`: a program may count its threads, and wait until it is alone.

    Args:
        look: What it calls; it returns whether to go on.
        every: Seconds from call to call. May be changed.
    """

    def __init__(self, look: Callable[[], bool], every: float) -> None:
        self._look, self.every, self._process = look, every, os.getpid()
        self._over, self._ended, self._number = threading.Event(), threading.Event(), 0
        self._resumes = False
        self._later: Callable[[], object] | None = None
        self._ended.set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork)

    def start(self) -> None:
        """Begins."""
        self._over.clear()
        self._ended.clear()
        _thread.start_new_thread(self._run, ())

    def _before_fork(self) -> None:
        """Python warns of a fork if there is another thread: so this ends, and begins again afterwards.

        From Python 3.13 on it counts when the functions for after the fork have run: so it begins a moment
        later, with the next line that runs. Up to there all is C, as a function of ours has such a line.
        """
        if self._ended.is_set() or os.getpid() != self._process:
            return  # the race: another thread is about to fork, and has ended it already
        self._resumes = True
        if not self._later:
            import ctypes  # here: most processes never fork, and it takes time

            self._again = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._resume)
            self._later = functools.partial(ctypes.pythonapi.Py_AddPendingCall, self._again, None)
            os.register_at_fork(after_in_parent=self._resume_at_once)
            os.register_at_fork(after_in_parent=self._later)
        self.stop()

    def _resume_at_once(self) -> None:
        """If another thread than the main one has forked: that is warned of anyway.

        The next line of the main thread, where it would begin, may come much later: it may wait in a `join`.
        """
        if _thread.get_ident() != threading.main_thread().ident:
            self._resume(None)

    def _resume(self, _: object) -> int:
        if self._resumes and os.getpid() == self._process:
            self._resumes = False
            with contextlib.suppress(RuntimeError):  # the process is at its end, or may have no more threads
                self.start()
        return 0  # C is told that it has not failed

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
            if hasattr(signal, "pthread_sigmask"):  # a signal is for the program: it may wait for just that
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            while not self._over.wait(self.every) and self._look():
                pass
        finally:
            self._ended.set()
