"""One call that may wait, while it lasts; and as a row of plain values, which another process can read."""

from collections.abc import Callable
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

IDENT, _SUBJECT = 2, 4  # where they stand in a row


class Call:
    """One call that may wait. What is learned of it while it lasts is added.

    Args:
        name: What it is called in a film.
        subject: What it waits for, where that is no connection.
        ends: Those of its connection.
        waiter: The thread or task that is in it.
        ident: The number of that.
        start: When it began.
        place: File, line and function of the program that made it.
        caller: Its frame, until it returns: afterwards the frame would keep all its variables alive.
        instruction: Where in its caller it was made.
        at: Where its thread is, if nothing will say when it returns; None as well for one that is busy.
        kept: False if it is only told while it lasts: how often a view that moves has looked is chance.
    """

    __slots__ = (
        "at",
        "caller",
        "endless",
        "ends",
        "ident",
        "instruction",
        "kept",
        "loop",
        "name",
        "now",
        "outer",
        "place",
        "start",
        "subject",
        "waiter",
        "waits",
    )

    def __init__(
        self,
        name: str,
        subject: str,
        ends: Ends,
        waiter: Waiter,
        ident: int,
        start: float,
        place: tuple[str, int, str],
        caller: FrameType | None = None,
        instruction: int = -1,
        at: At | None = None,
        kept: bool = True,
    ) -> None:
        self.name, self.subject, self.ends = name, subject, ends
        self.waiter, self.ident, self.start, self.place = waiter, ident, start, place
        self.caller, self.instruction, self.at, self.kept = caller, instruction, at, kept
        # The call in the middle of which the program has made this one, as a signal's handler does.
        self.outer: Call | None = None
        # What it waits for by now, where that may change, and who can end it: which thread holds a lock.
        self.now: Callable[[], dict[str, Any]] | None = None
        # False if it returns at once, whatever there is: then its thread is busy, however often it asks.
        self.waits = True
        self.endless = False  # whether no time limit ends it
        # The number of the thread of an event loop, if one of its tasks awaits this, or the loop itself.
        self.loop = 0

    def is_at(self, frame: FrameType | None) -> bool:
        """Whether its thread, whose frame this is now, is in it still. For calls that are `unseen_calls`."""
        return frame is not None and (self.at is None or at(frame) == self.at)


def common_of(call: Call, outcome: str) -> tuple[Any, ...]:
    """Returns what a call has in common with others: of the same thread and line, on the same connection."""
    return (call.waiter.name, call.ident, call.name, call.subject, call.ends, outcome, call.place)


def row_of(
    number: int, common: tuple[Any, ...], start: float, end: float | None, size: int, offset: int
) -> Row:
    """Returns what a span says, of types that another process can read."""
    name, ident, call, subject, ends, outcome, place = common
    return (number, name, ident, call, subject, *ends, start, end, size, offset, outcome, place, None)


def open_row(number: int, call: Call, offset: int) -> Row:
    """Returns the same of a call that has not returned."""
    row, now = (
        row_of(number, common_of(call, ""), call.start, None, 0, offset),
        call.now() if call.now else {},
    )
    subject = now.pop("subject", call.subject)
    until = {"endless": call.endless, "loop": call.loop, **now}
    return (*row[:_SUBJECT], subject, *row[_SUBJECT + 1 : -1], until)


def span_of(row: Row, process: int = 0) -> Span:
    """Makes a span of it, with the text of its line."""
    *fields, place, until = row
    return Span._make((*fields, describe(place), process, Until(**until) if until else None))
