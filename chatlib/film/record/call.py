"""One call that may wait, while it lasts; and as a row of plain values, which another process can read."""

from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from chatlib.film.record.find_line import describe
from chatlib.film.record.frames import At, at
from chatlib.film.record.waiters import Waiter
from chatlib.film.spans import Ends, Span, Until

Entry = tuple[int, "Call", float, int, int, str]
"""A call that is over: its number, itself, when it ended, bytes, where they begin, how it ended."""

Row = tuple[Any, ...]
"""The fields of a span, in their order: of its place only file, line and function, and no process."""

_SUBJECT = 4  # where it stands in a row


@dataclass(slots=True, eq=False)
class Call:
    """One call that may wait. Not frozen: what is learned of it while it lasts is added."""

    name: str
    subject: str
    ends: Ends
    waiter: Waiter
    ident: int
    start: float
    place: tuple[str, int, str]
    caller: FrameType | None = None
    """Until it returns: afterwards the frame would keep all its variables alive."""
    instruction: int = -1
    """Where in its caller it was made."""
    outer: "Call | None" = None
    """The call in the middle of which the program has made this one, as a signal's handler does."""
    now: Callable[[], dict[str, Any]] | None = None
    """What it waits for by now, where that may change, and who can end it: which thread holds a lock."""
    waits: bool = True
    """False if it returns at once, whatever there is: then its thread is busy, however often it asks."""
    kept: bool = True
    """False if it is only told while it lasts: how often a view that moves has looked is chance."""
    at: At | None = None
    """Where its thread is, if nothing will say when it returns; None as well for one that is busy."""
    endless: bool = False
    """Whether no time limit ends it."""
    loop: int = 0
    """The number of the thread of an event loop, if one of its tasks awaits this, or the loop itself."""

    def is_at(self, frame: FrameType | None) -> bool:
        """Whether its thread, whose frame this is now, is in it still. For calls that are `unseen_calls`."""
        return frame is not None and (self.at is None or at(frame) == self.at)


def row_of(number: int, call: Call, end: float | None, size: int, offset: int, outcome: str) -> Row:
    """Returns what a span says, of types that another process can read."""
    return (
        number, call.waiter.name, call.ident, call.name, call.subject, *call.ends, call.start, end, size,
        offset, outcome, call.place, None,
    )  # fmt: skip


def open_row(number: int, call: Call, offset: int) -> Row:
    """Returns the same of a call that has not returned."""
    row, now = row_of(number, call, None, 0, offset, ""), call.now() if call.now else {}
    subject = now.pop("subject", call.subject)
    until = {"endless": call.endless, "loop": call.loop, **now}
    return (*row[:_SUBJECT], subject, *row[_SUBJECT + 1 : -1], until)


def span_of(row: Row, process: int = 0) -> Span:
    """Makes a span of it, with the text of its line."""
    *fields, place, until = row
    return Span._make((*fields, describe(place), process, Until(**until) if until else None))
