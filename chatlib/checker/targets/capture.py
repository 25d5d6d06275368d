"""What a server in this process prints, and which exceptions end its threads: kept, instead of shown."""

import contextlib
import io
import re
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any

from chatlib.wire import printable

KEPT = 30_000
"""Characters of what was printed: enough for a traceback, and two hundred greetings after it."""

NEVER_AWAITED = re.compile(
    r":(?P<lost>\d+): RuntimeWarning: coroutine '(?P<name>.+)' was never awaited\n"
    r"(Coroutine created at .*\n  File .*, line (?P<made>\d+), in .*\n)? +(?P<code>.+)"
)
"""What Python prints when a coroutine is lost: where that was, or where it was made, if that was noted."""

_lasting: list["Overheard"] = []
"""Every stand-in that ever was: a few hundred bytes for each check.

None may be freed: some thread may be inside of `print`, which uses `sys.stdout` without a reference to it. If
another thread puts the former stream back between two words, the second is written into freed memory, and the
process crashes, sooner or later. When a thread that does not return will leave its `print`, nobody knows.
(https://github.com/python/cpython/issues/130163: cured in 2025, though not in Python 3.11.)
"""


class Overheard(io.TextIOBase):
    """Stands in for a standard stream: what the checker's own thread writes goes on to the stream.

    Args:
        stream: The stream.
        own: The ident of the checker's thread.
        kept: Where everything else ends up.
    """

    def __init__(self, stream: Any, own: int, kept: deque[str]) -> None:
        self._stream, self._own, self._kept = stream, own, kept
        _lasting.append(self)

    def write(self, text: str | bytes) -> int:
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8", "replace")
        if threading.get_ident() == self._own and self._stream is not None:
            self._stream.write(text)
        else:
            self._kept.extend(text[-KEPT:])
        return len(text)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def buffer(self) -> "Overheard":
        """Bytes can be written, too."""
        return self

    def flush(self) -> None:
        if threading.get_ident() == self._own and self._stream is not None:
            self._stream.flush()

    def close(self) -> None:
        """Does nothing: the stream is not ours, and may be closed by the time this is collected.

        The `close` of `TextIOBase`, which the garbage collector calls, flushes: Python 3.13 reports errors.
        """

    def retire(self) -> None:
        """Keeps nothing more: who still writes began to while it stood in."""
        self._kept = deque(maxlen=0)


@contextlib.contextmanager
def overheard() -> Iterator[deque[str]]:
    """Collects what other threads print and raise while the block runs: a server may print a megabyte.

    Yields the last `KEPT` characters of it, which change as more comes.
    """
    kept: deque[str] = deque(maxlen=KEPT)
    own = threading.get_ident()
    before = sys.stdout, sys.stderr, threading.excepthook
    stand_ins = Overheard(sys.stdout, own, kept), Overheard(sys.stderr, own, kept)
    sys.stdout, sys.stderr = stand_ins

    def note(raised: threading.ExceptHookArgs) -> None:
        if raised.exc_type is not SystemExit:
            told = traceback.format_exception(raised.exc_type, raised.exc_value, raised.exc_traceback)
            kept.extend("".join(told))

    threading.excepthook = note
    try:
        with warnings.catch_warnings():
            # "was never awaited" is said each time, and not only at the first.
            warnings.simplefilter("always", RuntimeWarning)
            yield kept
    finally:
        sys.stdout, sys.stderr, threading.excepthook = before
        for each in stand_ins:
            each.retire()


TRACEBACK = "Traceback (most recent call last)"


def last_lines(text: str, count: int = 6) -> tuple[str, ...]:
    """Returns the last lines that are not empty, nor the same as the one before, cut to a length.

    If an exception was printed before them, its last lines come first.
    """
    if text.rstrip().endswith("\nKeyboardInterrupt"):  # our own Ctrl-C is no news
        text = text[: text.rfind(TRACEBACK)]
    lines = [printable(line.rstrip())[:100] for line in text.splitlines() if line.strip(" \t^~")]
    different = [line for line, before in zip(lines, ["", *lines], strict=False) if line != before]
    raised = raised_in(different)
    if not raised or raised[-1] in different[-count:]:
        return tuple(different[-count:])
    return (*raised, "...", *different[len(raised) + 1 - count :])


def raised_in(lines: list[str]) -> list[str]:
    """Returns the last exception among these lines, after the place where it was raised."""
    begun = max((at for at, line in enumerate(lines) if TRACEBACK in line), default=len(lines))
    for at in range(begun + 1, len(lines)):
        if not lines[at].startswith(" "):
            return lines[max(at - 2, begun) : at + 1]
    return []


def forgotten_await(printed: str) -> str:
    """Returns what is to be mended, if Python has printed that a coroutine was never awaited."""
    found = NEVER_AWAITED.search(printed)
    if not found:
        return ""
    name, line, code = found["name"], found["made"] or found["lost"], printable(found["code"])
    if name.rpartition(".")[2] in code:
        return f"`await` is missing in line {line}: {code}"
    return f"`await` is missing: the coroutine {name} was never awaited."  # it was lost in some other line
