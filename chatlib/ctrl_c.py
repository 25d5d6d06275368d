"""Ctrl-C, and what may become of it."""

import threading
import traceback


def is_interrupt(error: BaseException | None) -> bool:
    """Returns whether an error is an interrupt, or has become of one inside `threading`.

    The race: it strikes in `Condition.wait`, which every `Thread.start` calls, when that has let go of its
    lock and not taken it again yet. Then the `with` block around it cannot release the lock: a RuntimeError
    takes the place of the interrupt. Python alone has this window; a lock that is watched makes it wider.
    """
    if not isinstance(error, RuntimeError):
        return isinstance(error, KeyboardInterrupt)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = bool(frames) and frames[-1].f_code.co_filename == threading.__file__
    return inside and is_interrupt(error.__context__)
