"""A vote: the answers of a class to one question, each name's last one. No I/O here."""

import csv
import io
import threading
from collections.abc import Callable, Sequence


class Ballot:
    """Counts one answer for each name.

    Args:
        question: What is asked.
        choices: The possible answers. A client says the number of one.
        changed: Called when an answer was counted: it may be shown. The room holds its lock then.
    """

    def __init__(
        self, question: str, choices: Sequence[str], changed: Callable[[], None] = lambda: None
    ) -> None:
        self.question, self.choices = question, tuple(choices)
        self.closed = False
        """Once closed, nothing more is counted."""
        self.shown = False
        """Whether the class may see the counts."""
        self.measured = ""
        """The answer that was measured, as soon as one is."""
        self._votes: dict[str, str] = {}
        self._changed = changed
        self._lock = threading.Lock()

    def cast(self, name: str, line: str) -> bool:
        """Counts an answer, in place of the one before. Returns False if the line is none."""
        number = int(line) if line.isascii() and line.isdecimal() and len(line) <= 3 else 0
        if not 1 <= number <= len(self.choices):
            return False
        with self._lock:
            if self.closed:
                return False
            self._votes[name] = self.choices[number - 1]
        self._changed()
        return True

    @property
    def counts(self) -> dict[str, int]:
        """How many have given each answer."""
        with self._lock:
            said = list(self._votes.values())
        return {choice: said.count(choice) for choice in self.choices}

    @property
    def total(self) -> int:
        """How many have answered."""
        return len(self._votes)

    def csv(self, names: bool = False) -> str:
        """Returns the answers as CSV: how many gave each; or with names, who gave which."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        if names:
            with self._lock:
                votes = sorted(self._votes.items())
            writer.writerows([("question", "name", "choice"), *((self.question, *vote) for vote in votes)])
        else:
            counts = [(self.question, choice, count) for choice, count in self.counts.items()]
            writer.writerows([("question", "choice", "votes"), *counts])
        return file.getvalue()

    @property
    def bars(self) -> list[str]:
        """How many have given each answer, as bars of text."""
        counts = list(self.counts.values())
        return [f"{'█' * round(20 * count / max(*counts, 1))} {count}".strip() for count in counts]
