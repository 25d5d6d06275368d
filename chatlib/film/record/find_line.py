"""Which line of a program made a call: the nearest one that is neither Python's library nor chatlib's.

This runs at each call that is watched, so it is what a film costs. A frame is walked outwards, and for each
of its files one look into a cache says whose it is. The text of the line is read much later, by `describe`.
"""

import contextlib
import functools
import os
import stat
import sys
import threading
from os.path import abspath, realpath  # not what a test may put in their place meanwhile
from types import FrameType

from chatlib.film.place import Place
from chatlib.own_code import FOLDER, is_own

_LIBRARY = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
# The film does not film itself; nor how a server of ours wakes itself up.
_UNFILMED = (
    "views",
    "film/film.py",
    "film/script.py",
    "film/page.py",
    "film/watcher.py",
    "film/child.py",
    "film/children.py",
    "film/programs.py",
    "film/record/lookout.py",
    "film/record/filmed_child.py",
    "film/interrupts.py",
    "sockets.py",
)
_BEHIND = tuple(os.path.join(FOLDER, *name.split("/")) for name in _UNFILMED)
_WRAPPERS = ("socket_calls.py", "other_waits.py", "locks.py", "asyncio_locks.py", "stand_ins.py")
_HERE = os.path.dirname(os.path.realpath(__file__))
_BETWEEN = tuple(os.path.join(_HERE, name) for name in _WRAPPERS)
_AROUND = "finish_tracked_request"  # of `background`: all that the handlers of a stock server do is within it
_TYPED = ("<stdin>", "<string>", "<console>", "<python-input", "<ipython-input", "<doctest")
_MADE = "<string>"  # the file of code that a program has made of text, and of a program after `python -c`
_START = threading.Thread.start.__code__
_PLUMBING = ("socket.py", "selectors.py", "threading.py", "queue.py")
_PLUMBED = frozenset(
    {
        "_create",  # of an SSLSocket: it asks a socket that has no connection yet for bytes that cannot come
        "socketpair",
        "_fallback_socketpair",
        "_make_self_pipe",
        "_read_from_self",
        "_write_to_self",
        "_close_self_pipe",
    }
)


_packages = False
_BEGUN_BY_PYTHON = any("from multiprocessing." in word for word in sys.orig_argv)
"""Whether the code after `-c` is none of the program's: so `multiprocessing` begins another process."""


def find_packages() -> None:
    """From now on, finds the calls of installed packages as well: in a process that runs one program only."""
    global _packages
    _packages = True


@functools.cache
def origin(file: str) -> str:
    """Returns whose code this is: `user`, `chatlib`, `library` (Python's own) or `foreign` (installed).

    What stands between a program and a call that is filmed is `film`; what runs and shows it is `behind`.
    """
    if file.startswith("<"):
        return "user" if file.startswith(_TYPED) else "library"
    found = "user"
    with contextlib.suppress(Exception):  # code may be given any name; a test may forbid what may block
        found = _by_path(abspath(file))
        # To be sure takes system calls, at which this thread gives up the interpreter, and another comes
        # first: then the film would change the order of what it films. So only if it seems to be the user's,
        # and once.
        if found == "user":
            found = _by_path(realpath(file))
    return found


def _by_path(path: str) -> str:
    if path.startswith(_BEHIND):
        return "behind"
    if path.startswith(_BETWEEN):
        return "film"
    if is_own(path):
        return "chatlib"
    if {"site-packages", "dist-packages"} & set(path.split(os.sep)):
        return "foreign"
    return "library" if path.startswith((_LIBRARY, os.path.dirname(os.__file__) + os.sep)) else "user"


def _whose(frame: FrameType) -> str:
    """Returns the same of the code of a frame.

    Code that was made of text is the program's, unless Python has made it: so it begins another process, and
    so it writes the methods of dataclasses and named tuples, ours among them.
    """
    if (file := frame.f_code.co_filename) != _MADE:
        return origin(file)
    names, get = frame.f_globals, dict.get  # they may be in a dictionary of the program's own kind
    home = get(names, "__file__", _MADE)
    its_own = home == _MADE or (type(home) is str and origin(home) == "user")
    return "film" if _BEGUN_BY_PYTHON or get(names, "_tuple_new") or not its_own else "user"


def is_foreign(frame: FrameType | None) -> bool:
    """Returns whether an installed package has made a call, perhaps by way of Python's library."""
    while frame and _whose(frame) in ("library", "film"):
        frame = frame.f_back
    return frame is not None and _whose(frame) == "foreign"


def find(frame: FrameType | None) -> tuple[str, int, str] | None:
    """Returns file, line and function of the call; None if it is the business of an installed package only.

    After `find_packages`, of such a call the line of the program's that has led into the package; or else the
    package's own.

    A line of code that the program has made of text only where there is no other: nobody can read it.

    None as well for what no reader means by waiting: that `Thread.start` waits for the new thread to run, how
    an event loop wakes itself up, and how a socket of TLS is made.

    Where no program of the user's is involved, as in a server's own thread, the nearest line of chatlib, or
    of Python's library: of a module that says what it is for, if there is one.
    """
    nearest, ours, made, foreign = None, None, None, None
    while frame:
        file = frame.f_code.co_filename
        whose = origin(file) if file != _MADE else _whose(frame)
        if frame.f_code is _START or (whose == "library" and frame.f_code.co_name in _PLUMBED):
            return None
        if whose == "user":
            if file != _MADE:
                return file, frame.f_lineno, frame.f_code.co_name
            made = made or (file, frame.f_lineno, frame.f_code.co_name)
        if whose == "behind" or (whose == "foreign" and not _packages):
            return None
        if whose == "foreign":
            foreign = foreign or (file, frame.f_lineno, frame.f_code.co_name)
        weak = nearest is None or (nearest[0].endswith(_PLUMBING) and not file.endswith(_PLUMBING))
        if weak and whose != "film":
            nearest = file, frame.f_lineno, frame.f_code.co_name
        if ours is None and whose == "chatlib" and frame.f_code.co_name != _AROUND:
            ours = file, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return made or ours or foreign or nearest


def find_any(frame: FrameType | None, installed: bool) -> tuple[str, int, str] | None:
    """Returns the same of a thread that is in something else than a watched call.

    If a line of the user's is among its frames, that, also where an installed package stands in between. Else
    the nearest of Python's library; None if chatlib has called that, or an installed package.

    Args:
        frame: The innermost.
        installed: Whether the line of an installed package may be returned, too.
    """
    nearest, made, met = None, None, set[str]()
    while frame:
        found = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        whose = _whose(frame)
        if whose == "user" and found[0] != _MADE:
            return found
        if whose == "behind":
            return made
        made = made or (found if whose == "user" else None)
        met.add(whose)
        weak = nearest is None or (nearest[0].endswith(_PLUMBING) and not found[0].endswith(_PLUMBING))
        nearest = found if weak and whose != "film" else nearest
        frame = frame.f_back
    if made:
        return made
    return None if "chatlib" in met or ("foreign" in met and not installed) else nearest


@functools.lru_cache(4096)
def describe(found: tuple[str, int, str]) -> Place:
    """Adds the text of the line."""
    import linecache  # here: a child that is filmed describes nothing

    file, line, function = found
    # A program that was piped to Python has a pipe for a file: to open it would wait for its other end.
    there = file in linecache.cache or not is_pipe(file)
    source = linecache.getline(file, line).strip() if there else ""
    return Place(file, line, function, source, origin(file) == "user")


def is_pipe(file: str) -> bool:
    """Returns whether this is the path of a pipe."""
    try:
        return stat.S_ISFIFO(os.stat(file).st_mode)
    except (OSError, ValueError):
        return False
