"""What each thread waits for, on which others, and whether it may go on by itself."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from chatlib.film.recording import Recording
from chatlib.film.spans import RECEIVING, SENDING, Ends, Span
from chatlib.film.verdict.traffic import Traffic

RIPE = 0.25
"""Seconds. A wait that is younger may be over already: its thread has been woken, and only has to run."""

_INSIDE = ("acquire", "join", "get", "put", "wait")
_DOORS = ("accept", "select", "poll")


class Wait(NamedTuple):
    """What one thread waits for."""

    span: Span
    sort: str
    """`lock`, `join`; `recv`, `send`: within the film; `inside`: for what any thread may do, as to put into a
    queue; `door`: for clients; `acts`: it goes on by itself, or something from outside the film wakes it."""
    on: frozenset[int]
    """The threads that it waits for, by their idents, as far as they are known."""
    age: float
    """For how many seconds it has lasted."""

    @property
    def ident(self) -> int:
        """Its thread."""
        return self.span.ident

    @property
    def end(self) -> Ends:
        """This end of its connection."""
        return self.span.local, self.span.peer

    @property
    def is_of_task(self) -> bool:
        """Whether it is that of a task, which any other one can cancel."""
        until = self.span.until
        return until is not None and until.loop not in (0, self.ident)

    @property
    def is_owned(self) -> bool:
        """Whether only those that it waits for can end it, but for who cancels a task."""
        until = self.span.until
        return self.sort == "join" or (self.sort == "lock" and until is not None and until.owned)


@dataclass(frozen=True)
class Scene:
    """All threads at the moment of a recording."""

    recording: Recording

    @cached_property
    def traffic(self) -> Traffic:
        """What is known of connections."""
        return Traffic(self.recording.spans)

    @cached_property
    def waits(self) -> dict[int, Wait]:
        """The open calls, by the idents of their threads, in the order of the lanes."""
        still = {span.ident: span for span in reversed(self.recording.spans) if span.end is None}
        return {ident: self._wait(still[ident]) for ident in self.recording.lanes if ident in still}

    def _wait(self, span: Span) -> Wait:
        sort, on = self.sort_of(span)
        return Wait(span, sort, frozenset(on), self.recording.now - span.start)

    def sort_of(self, span: Span) -> tuple[str, set[int]]:
        if span.call in ("acquire", "join", "await") and (awaited := self.recording.awaited(span)):
            return "lock" if span.call == "acquire" else "join", {awaited[0]}
        if span.call in RECEIVING or span.call in SENDING:
            other = span.peer, span.local
            on = self.traffic.users(other, self.recording.looker) if span.local and span.peer else set()
            if not on or self.traffic.has_left(other):  # not in this film; or this will hear that it has left
                return "acts", set()
            return "recv" if span.call in RECEIVING else "send", on
        if span.call in _INSIDE:
            return "inside", set()
        return "door" if span.call in _DOORS else "acts", set()

    @cached_property
    def stays(self) -> frozenset[int]:
        """The threads whose wait only another thread can end: there is no limit, and no bytes lie there."""
        return frozenset(ident for ident, wait in self.waits.items() if self.stays_so(wait))

    def stays_so(self, wait: Wait) -> bool:
        if wait.age < RIPE or not (wait.span.until and wait.span.until.endless):
            return False
        if wait.ident in (self.recording.free or ()):  # a signal may wake it
            return False
        return wait.sort in ("lock", "join", "inside", "send") or (
            wait.sort == "recv" and self.traffic.unread(wait.end) == 0
        )

    @cached_property
    def all_stay(self) -> bool:
        """Whether no thread is left that could do anything: then what waits will wait for ever."""
        return self.recording.free == frozenset() and self.stays == self.waits.keys()

    @cached_property
    def active(self) -> frozenset[int]:
        """The threads that go on by themselves, or may: not the one that looks, and not those at a door."""
        doors = {ident for ident, wait in self.waits.items() if wait.sort == "door"}
        loose = (self.recording.free or frozenset()) & self.recording.lanes.keys()
        return (frozenset(self.waits) - self.stays - doors) | (loose - {self.recording.looker})

    @cached_property
    def is_quiet(self) -> bool:
        """Whether nothing will happen, unless the thread that looks does something, or a client comes."""
        return self.recording.free is not None and not self.active

    def living(self, wait: Wait) -> frozenset[int]:
        """Returns those of the threads that it waits for which have not ended."""
        free = self.recording.free
        if wait.is_of_task:  # a task that waits for nothing now has no open call
            return wait.on
        return frozenset(ident for ident in wait.on if ident in self.waits or free is None or ident in free)

    @cached_property
    def closed(self) -> frozenset[int]:
        """The largest set of threads of which each waits for others of the set alone, as far as is known."""
        found = frozenset(ident for ident in self.stays if self.waits[ident].sort != "inside")
        while True:
            held = [ident for ident in found if (on := self.living(self.waits[ident])) and on <= found]
            if len(held) == len(found):
                return found
            found = frozenset(held)
