"""What a server heard, in order: a server thread records, and the notebook's own thread prints."""

import heapq
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
    """`came`, `said`, `left`, `refused`, `failed`, `paused` or `named`."""
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
        # Apart from each other: however much is said, who came and left, and why, is not forgotten over it.
        self._remembered = remembered
        self._said: deque[tuple[int, str, str, str, str]] = deque(maxlen=remembered)
        self._done: deque[tuple[int, str, str, str, str]] = deque(maxlen=remembered)
        self._added = self._waiting = 0
        self.after_fork()

    def add(self, what: str, who: str, text: str = "") -> None:
        """Records one entry, with the name of the calling thread."""
        self.add_all(what, who, [text])

    def add_all(self, what: str, who: str, texts: Sequence[str]) -> None:
        """Records an entry for each text. A flood costs no more than what is kept of it."""
        thread = threading.current_thread().name
        entries = self._said if what == "said" else self._done
        with self._lock:
            self._added += len(texts)
            kept = texts[-self._remembered :]
            first = self._added - len(kept) + 1
            entries.extend([(n, what, who, text[:TEXT_LIMIT], thread) for n, text in enumerate(kept, first)])
            if self._waiting:
                self._changed.notify_all()

    def after_fork(self) -> None:
        """Makes the lock. In a new process, again: another thread of the old one may have held it."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    @property
    def forgotten(self) -> int:
        """How many of the oldest entries have been let go, because memory is not endless."""
        with self._changed:
            return self._added - len(self)

    def find(self, what: str | None = None, who: str | None = None) -> list[Entry]:
        """Returns the entries of one kind, or of one client, or all."""
        return [entry for entry in self if what in (None, entry.what) and who in (None, entry.who)]

    def wait_for(self, what: str, who: str | None = None, count: int = 1, timeout: float = 1.0) -> bool:
        """Waits for `count` such entries. Blocks for at most `timeout` seconds; returns whether they came."""
        with self._changed:
            self._waiting += 1
            try:
                return self._changed.wait_for(lambda: len(self.find(what, who)) >= count, timeout)
            finally:
                self._waiting -= 1

    def __iter__(self) -> Iterator[Entry]:
        with self._changed:
            numbered = list(heapq.merge(self._said, self._done))
        return iter([Entry(*entry) for _, *entry in numbered])

    def __len__(self) -> int:
        return len(self._said) + len(self._done)

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__  # what a notebook shows
