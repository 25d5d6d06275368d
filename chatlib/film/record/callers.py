"""Which line of a program made a call: the nearest one that is neither Python's library nor chatlib's.

This runs at each call that is watched, so it is what a film costs. A frame is walked outwards, and for each
of its files one look into a cache says whose it is. The text of the line is read much later, by `describe`.
"""

import contextlib
import functools
import linecache
import os
import threading
from pathlib import Path
from types import FrameType

from chatlib.film.spans import Place
from chatlib.own_code import FOLDER, is_own

_LIBRARY = str(Path(os.__file__).resolve().parent) + os.sep
# The film does not film itself; nor how a server of ours wakes itself up.
_UNFILMED = ("views", "film/film.py", "film/script.py", "film/interrupts.py", "sockets.py")
_BEHIND = tuple(str(Path(FOLDER, name)) for name in _UNFILMED)
_WRAPPERS = ("socket_calls.py", "other_waits.py", "locks.py")
_BETWEEN = tuple(str(Path(__file__).resolve().with_name(name)) for name in _WRAPPERS)
_TYPED = ("<stdin>", "<string>", "<console>", "<python-input", "<ipython-input", "<doctest")
_START = threading.Thread.start.__code__
_PLUMBING = ("socket.py", "selectors.py", "threading.py", "queue.py")
_SELF_PIPE = frozenset(
    {
        "socketpair",
        "_fallback_socketpair",
        "_make_self_pipe",
        "_read_from_self",
        "_write_to_self",
        "_close_self_pipe",
    }
)


@functools.cache
def origin(file: str) -> str:
    """Returns whose code this is: `user`, `chatlib`, `library` (Python's own) or `foreign` (installed).

    What stands between a program and a call that is filmed is `film`.
    """
    if file.startswith("<"):
        return "user" if file.startswith(_TYPED) else "library"
    found = _by_path(os.path.abspath(file))
    # To be sure takes system calls, at which this thread gives up the interpreter, and another comes first:
    # then the film would change the order of what it films. So only if it seems to be the user's, and once.
    if found == "user":
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # code may be given any name
            found = _by_path(str(Path(file).resolve()))
    return found


def _by_path(path: str) -> str:
    if path.startswith(_BEHIND):
        return "foreign"
    if path.startswith(_BETWEEN):
        return "film"
    if is_own(path):
        return "chatlib"
    if {"site-packages", "dist-packages"} & set(Path(path).parts):
        return "foreign"
    return "library" if path.startswith((_LIBRARY, os.path.dirname(os.__file__) + os.sep)) else "user"


def find(frame: FrameType | None) -> tuple[str, int, str] | None:
    """Returns file, line and function of the call; None if it is the business of an installed package only.

    None as well for what no reader means by waiting: that `Thread.start` waits for the new thread to run, and
    how an event loop wakes itself up.

    Where no program of the user's is involved, as in a server's own thread, the nearest line of chatlib, or
    of Python's library: of a module that says what it is for, if there is one.
    """
    nearest, ours = None, None
    while frame:
        file = frame.f_code.co_filename
        whose = origin(file)
        if frame.f_code is _START or (whose == "library" and frame.f_code.co_name in _SELF_PIPE):
            return None
        if whose == "user":
            return file, frame.f_lineno, frame.f_code.co_name
        if whose == "foreign":
            return None
        weak = nearest is None or (nearest[0].endswith(_PLUMBING) and not file.endswith(_PLUMBING))
        if weak and whose != "film":
            nearest = file, frame.f_lineno, frame.f_code.co_name
        if ours is None and whose == "chatlib":
            ours = file, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return ours or nearest


@functools.lru_cache(4096)
def describe(found: tuple[str, int, str]) -> Place:
    """Adds the text of the line."""
    file, line, function = found
    # A program that was piped to Python has a pipe for a file: to open it would wait for its other end.
    there = file in linecache.cache or not Path(file).is_fifo()
    source = linecache.getline(file, line).strip() if there else ""
    return Place(file, line, function, source, origin(file) == "user")
