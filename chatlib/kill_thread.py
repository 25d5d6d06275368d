"""Ends a thread that does not end by itself: a student's code, perhaps in an endless loop."""

import ctypes
import sys
import threading


def end_by_force(thread: threading.Thread) -> None:
    """Raises SystemExit in a thread, if it still runs. Does not wait for its end.

    Inside a call of C that is noticed only when the call returns, and a bare `except` may swallow it. Under a
    tracer, a debugger say, it does nothing: on Python 3.11 an exception that is still to be noticed lets a
    traced thread stand still.
    """
    if thread.is_alive() and thread.ident is not None and sys.gettrace() is None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
