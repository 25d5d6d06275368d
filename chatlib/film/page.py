"""The page that the film of a script is written into, also if the process ends at once."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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
    """Does something if the process is ended at once, by `os._exit`, within the block."""
    end_at_once = os._exit

    @functools.wraps(end_at_once)
    def leave(status: int) -> None:
        with contextlib.suppress(Exception):
            act()
        end_at_once(status)

    os._exit = leave  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = end_at_once


def say(text: str) -> None:
    """Tells the user something, where nothing of the script's output is."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # the script may have closed it
        print(text, file=sys.stderr)
