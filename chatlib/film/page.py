"""The page that the film of a script is written into, also if the process ends at once."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chatlib.film.excerpts import excerpts_of
from chatlib.film.recording import Recording
from chatlib.film.render import svg

_UNFINISHED = (
    "This film is not finished: the script runs still, or was killed before the film could be written."
)


class Page:
    """The file that the film is written into."""

    def __init__(self, output: Path) -> None:
        self._named, self._file, self._process = output, output.resolve(), os.getpid()

    @property
    def is_ours(self) -> bool:
        """False in a child that the script has forked: the film is its parent's."""
        return os.getpid() == self._process

    def begin(self) -> None:
        """Fails now, rather than when all has been filmed, if it cannot be written."""
        try:
            self._file.write_text(_UNFINISHED, encoding="utf-8")
        except OSError as error:
            raise type(error)(error.errno, f"cannot write {self._file}: {error.strerror}") from None

    def write(self, recording: Recording, title: str) -> None:
        """Writes it, and says so."""
        if self.is_ours:
            self._file.write_text(svg.page(recording, title, excerpts_of(recording)), encoding="utf-8")
            empty = ", and empty: no call has waited that the X-ray can see"
            say(f"the film is in {self._named}" + ("" if recording.spans else empty))


@contextlib.contextmanager
def before_exit(act: Callable[[], object]) -> Iterator[None]:
    """Does something if the process ends at once within the block: by `os._exit`, or as another program."""
    originals = {name: getattr(os, name) for name in ("_exit", "execv", "execve")}
    for name, original in originals.items():
        setattr(os, name, functools.update_wrapper(functools.partial(_act_first, act, original), original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def _act_first(act: Callable[[], object], end: Callable[..., None], *arguments: Any, **named: Any) -> None:
    with contextlib.suppress(Exception):
        # `os.execvp` looks for a program in one folder after the other.
        if len(arguments) + len(named) == 1 or os.access(arguments[0], os.X_OK):
            act()
    end(*arguments, **named)


def say(text: str) -> None:
    """Tells the user something, where nothing of the script's output is."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # the script may have closed it
        print(text, file=sys.stderr)
