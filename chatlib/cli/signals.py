"""Ctrl-C and SIGTERM, for the commands that serve until they are told to stop."""

import contextlib
import queue
import signal
from collections.abc import Callable


def listen_to_signals() -> Callable[[float], bool]:
    """Has SIGINT and SIGTERM only noted. Returns a function that waits for one: for so many seconds at most.

    On Windows, Ctrl-C is only noticed between two calls.
    """
    # A SimpleQueue, because its `put` may be interrupted by itself: signals can come close together.
    asked_to_stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    # Both by hand: a program that a shell starts in the background would ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked_to_stop.put(number))

    def told_to_stop(seconds: float) -> bool:
        with contextlib.suppress(queue.Empty):
            asked_to_stop.get(timeout=seconds)
            return True
        return False

    return told_to_stop
