"""Which line of a program made a call: the nearest one that is neither Python's library nor chatlib's."""

import functools
import linecache
import os
import threading
from pathlib import Path
from types import FrameType

from chatlib.film.records import Place

_LIBRARY = str(Path(os.__file__).resolve().parent)
_CHATLIB = str(Path(__file__).resolve().parent.parent)
_WATCHERS = tuple(str(Path(_CHATLIB, name)) for name in ("views", "film/film.py", "film/script.py"))


_START = threading.Thread.start.__code__


@functools.cache
def origin(file: str) -> str:
    """Returns whose code this is: `user`, `chatlib`, `library` (Python's own) or `foreign` (installed)."""
    if file.startswith("<"):
        return "user" if file in ("<stdin>", "<string>") else "library"
    path = str(Path(file).resolve())
    if path.startswith(_WATCHERS):
        return "foreign"  # who films is not filmed
    if path.startswith(_CHATLIB):
        return "chatlib"
    if {"site-packages", "dist-packages"} & set(Path(path).parts):
        return "foreign"
    return "library" if path.startswith(_LIBRARY) else "user"


def find(frame: FrameType | None) -> tuple[str, int, str] | None:
    """Returns file, line and function of the call; None if it is the business of an installed package only.

    None as well for the wait in `Thread.start` for the new thread to run: nobody means that by waiting.

    Where no program of the user's is involved, as in a server's own thread, the nearest line of chatlib, or
    of Python's library.
    """
    nearest, ours = None, None
    while frame:
        file = frame.f_code.co_filename
        if frame.f_code is _START:
            return None
        whose = origin(file)
        if whose == "user":
            return file, frame.f_lineno, frame.f_code.co_name
        if whose == "foreign":
            return None
        if nearest is None:
            nearest = file, frame.f_lineno, frame.f_code.co_name
        if ours is None and whose == "chatlib":
            ours = file, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return ours or nearest


def describe(found: tuple[str, int, str]) -> Place:
    """Adds the text of the line."""
    file, line, function = found
    return Place(file, line, function, linecache.getline(file, line).strip())
