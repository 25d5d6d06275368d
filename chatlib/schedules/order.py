"""One order in which threads took turns, and how it ended: as text, and as a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chatlib.schedules.picture import svg, turns_of
from chatlib.schedules.run import Step

Ending = Literal["right", "wrong", "error", "deadlock", "endless", "open"]


@dataclass(frozen=True, repr=False)
class Order:
    """One order in which threads took turns.

    Args:
        threads: What they are called.
        steps: The turns, one after the other.
        choices: For each turn, the place of its thread among those that could go on, and how many those were.
        ending: How it ended: `right`, `wrong` (says the test), `error` (a thread raised), `deadlock` (no
            thread can go on), `endless` (too many steps); `open` while it is played.
        why: What there is to say of the end, in words.
        ready: The threads that can go on.
        waits: What each of the others waits for that have not ended.
        next_lines: The line that each thread runs next that has not ended.
    """

    threads: tuple[str, ...]
    steps: tuple[Step, ...]
    choices: tuple[tuple[int, int], ...]
    ending: Ending
    why: str
    ready: tuple[str, ...]
    waits: Mapping[str, str]
    next_lines: Mapping[str, str]

    def __str__(self) -> str:
        """Tells it as a table: a line for each turn, a column for each thread."""
        rows = [["", *self.threads]]
        for number, turn in enumerate(turns_of(self.steps), 1):
            words = f"{turn.code}  ({turn.note})" if turn.note else turn.code
            rows.append([str(number), *(words if thread == turn.thread else "" for thread in self.threads)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, self.why])

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows: a picture, or the text."""
        return {"image/svg+xml": self.picture(), "text/plain": str(self)}

    def picture(self) -> str:
        """Returns it as SVG on one line: a lane for each thread, time downwards, a bar for each lock held."""
        return svg(self.threads, self.steps, self.why)
