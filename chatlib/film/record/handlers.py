"""Which thread a signal may wake: its handler can raise, or do what another thread waits for."""

import signal
import threading

from chatlib.film.record.find_line import origin
from chatlib.film.record.waiters import number_of


def woken_by_signals() -> frozenset[int]:
    """Returns the number of the main thread, if the program has a handler of its own for any signal.

    Python's own for Ctrl-C does not count, nor one of a library's: what ends a program ends each wait.
    """
    for number in signal.valid_signals():
        code = getattr(signal.getsignal(number), "__code__", None)
        if code and origin(code.co_filename) == "user":
            return frozenset({number_of(threading.main_thread())})
    return frozenset()
