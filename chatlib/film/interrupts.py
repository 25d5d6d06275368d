"""What Ctrl-C and SIGTERM do to a script that is filmed. They may come at any moment, and more than once.

While the script runs they raise KeyboardInterrupt in it, as Python does by itself. Before, they are kept
until it begins. Afterwards they are kept as well: what is left takes a moment, and must not be cut off.
"""

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from chatlib.film.record.recorder import pause


class Interrupts:
    """Takes over both signals, and what Python says of a Ctrl-C that it has lost. Main thread only."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._masks: dict[int, set[int]] = {}  # of the threads that fork just now
        self.keep()
        sys.unraisablehook = raise_again
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._hold, after_in_parent=self._release, after_in_child=self._let_go)
        # Registered first, so that it runs after all that the script registers. Python's own end follows, in
        # which a handler of ours would be taken away: then SIGTERM would decide upon the exit status.
        atexit.register(self.set, signal.SIG_IGN)

    def set(self, handler: Any) -> None:
        """Sets both: a program that a shell starts in the background ignores SIGINT otherwise."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)

    def _hold(self) -> None:
        """A child may be ended as soon as it is there: the signal waits until it has handlers of its own."""
        held = {signal.SIGINT, signal.SIGTERM}
        self._masks[_thread.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, held)

    def _release(self) -> None:
        if (mask := self._masks.pop(_thread.get_ident(), None)) is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _let_go(self) -> None:
        """A forked child is in no film. It gets what Python sets itself, or keeps what the script set."""
        plain: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, handler in plain.items():
            if signal.getsignal(number) in (self._note, signal.default_int_handler):
                signal.signal(number, handler)
        self._release()

    def _note(self, number: int, _: FrameType | None) -> None:
        self._kept.append(number)

    def keep(self) -> None:
        """From now on they are only noted. Not SIG_IGN: Python complains of a signal that comes meanwhile."""
        self.set(self._note)

    def end(self, work: Callable[[], int]) -> int:
        """Returns what the work returns; 0 if an interrupt ended it. Afterwards they are kept again."""
        try:
            try:
                # The handler of Python's own, or else asyncio would not replace it by one that cancels tasks.
                self.set(signal.default_int_handler)
                return 0 if self._kept else work()
            finally:
                self.keep()
        except KeyboardInterrupt:  # the race: a second one may have come before `keep` had kept the first
            self.keep()
            return 0

    def end_process(self, status: int) -> None:
        """From now on they end the process at once. All that matters has been written."""

        def leave(*_: object) -> None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # closed; or interrupted while it was writing
                    stream.flush()
            os._exit(status)

        self.set(leave)


def raise_again(lost: Any) -> None:
    """Stands in for `sys.unraisablehook`: an interrupt that was lost comes again, and nothing is printed.

    The race: it strikes while Python frees an object and runs a function for that, such as those by which
    weak dictionaries of sockets forget. No program can catch what is raised there: the script would run on.
    """
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return

    def interrupt() -> None:
        pause(0.01)  # seconds: until then, the function has returned; if not, this comes again
        if hasattr(signal, "pthread_kill"):  # a real signal: it also wakes a thread that waits in the kernel
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()

    _thread.start_new_thread(interrupt, ())  # in C: nothing here may wait for a lock that is held just now
