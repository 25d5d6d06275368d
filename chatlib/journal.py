"""What a server heard, in order: a server thread records, and the notebook's own thread prints."""

import itertools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chatlib.wire import printable

REMEMBERED = 10_000
"""Lines that were said that a journal keeps, and as many entries of all other kinds."""

TEXT_LIMIT = 200
"""Characters of a line that a journal keeps."""


class Entry(NamedTuple):
    """One thing that happened."""

    what: str
    """`came`, `said`, `left`, `refused`, `failed`, `paused`, `resumed` or `named`."""
    who: str
    """The client, as the server names it: `client 1` is the first that came."""
    text: str
    """What was said, or why it happened; the first 200 characters."""
    thread: str
    """The name of the thread that served it."""

    def __str__(self) -> str:
        if self.what == "said":
            return f"{self.who} said {self.text!r}"
        return f"{self.who} {self.what}" + (f" ({printable(self.text)})" if self.text else "")


class Journal:
    """The entries of one service, oldest first. Any thread may add, read and wait."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        # Two rings, so that a flood of messages cannot push out joins and departures. To append to a deque is
        # atomic: a thread that adds takes no lock, and waits for no other.
        self._said: deque[tuple[int, str, str, str, str]] = deque(maxlen=remembered)
        self._done: deque[tuple[int, str, str, str, str]] = deque(maxlen=remembered)
        self._numbers = itertools.count(1)
        self._waiting = 0
        self.after_fork()

    def add(self, what: str, who: str, text: str = "") -> None:
        """Records one entry, with the name of the calling thread."""
        self.add_all(what, who, [text])

    def add_all(self, what: str, who: str, texts: Sequence[str]) -> None:
        """Records an entry for each text."""
        entries = self._said if what == "said" else self._done
        thread = threading.current_thread().name
        for text in texts:
            entries.append((next(self._numbers), what, who, text[:TEXT_LIMIT], thread))
        # Looked at last: a thread that begins to wait after this line finds the entries. And mostly no thread
        # waits, so a line costs no lock.
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def after_fork(self) -> None:
        """Makes the lock. In a new process, again: another thread of the old one may have held it."""
        self._changed = threading.Condition(threading.RLock())

    @property
    def forgotten(self) -> int:
        """How many of the oldest entries have been let go, because memory is not endless."""
        kept = self._numbered()
        return kept[-1][0] - len(kept) if kept else 0

    def find(self, what: str | None = None, who: str | None = None) -> list[Entry]:
        """Returns the entries of one kind, or of one client, or all."""
        return [entry for entry in self if what in (None, entry.what) and who in (None, entry.who)]

    def after(self, number: int) -> tuple[list[Entry], int]:
        """Returns the entries that came after the one of this number, and the number of the last: 0 is before
        all."""
        news = [entry for entry in self._numbered() if entry[0] > number]
        return [Entry(*entry) for _, *entry in news], news[-1][0] if news else number

    def wait_for(self, what: str, who: str | None = None, count: int = 1, timeout: float = 1.0) -> bool:
        """Waits for `count` such entries. Blocks for at most `timeout` seconds; returns whether they came."""
        with self._changed:
            self._waiting += 1
            try:
                return self._changed.wait_for(lambda: len(self.find(what, who)) >= count, timeout)
            finally:
                self._waiting -= 1

    def __iter__(self) -> Iterator[Entry]:
        return iter([Entry(*entry) for _, *entry in self._numbered()])

    def __len__(self) -> int:
        return len(self._said) + len(self._done)

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__  # what a notebook shows

    def _numbered(self) -> list[tuple[int, str, str, str, str]]:
        # Copied, because a deque that grows cannot be walked; one after the other, so of what happens at this
        # very moment an entry may be missing.
        return sorted([*self._said.copy(), *self._done.copy()])
