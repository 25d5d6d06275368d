"""One of the other processes of a film, as it is known by its tape."""

import re
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chatlib.film.record.call import Row, row_of, span_of
from chatlib.film.spans import MAIN, Span
from chatlib.film.tape_reader import TapeReader
from chatlib.sockets import Address

_PER_PROCESS = 1 << 32  # idents


class About(NamedTuple):
    """What a process is."""

    number: int
    """In the system; as that of its parent."""
    parent: int
    forked: bool
    own: str
    """What `multiprocessing` calls it; empty if it does not."""
    program: str


class Seen(NamedTuple):
    """What one of the processes has seen."""

    number: int
    """1, 2, ... in the order in which they were found; 0 is the process that films."""
    name: str
    spans: Sequence[Span]
    """Those that are over, in the order of their ends; then the open ones."""
    clients: Mapping[Address, str]
    dropped: int
    """Older spans that have been let go."""
    free: frozenset[int]
    """The idents of the threads that were alive, and in none of the open calls."""


class Child:
    """One process, as it is known so far.

    Args:
        number: 1, 2, ...
        file: Its tape.
        limit: How many calls to keep.
    """

    def __init__(self, number: int, file: Path, limit: int) -> None:
        self.number, self.has_ended, self._tape = number, False, TapeReader(str(file))
        self._spans = deque[Span](maxlen=limit)
        self._last = 0  # the number of its latest call
        self._begun: tuple[int, int, bool] | None = None
        self._names, self._clients, self._open = ("", ""), dict[Address, str](), tuple[Row, ...]()
        self._main, self._free = 0, tuple[int, ...]()  # its main thread; those that do not wait
        self._clock_lag, self._seen = 0.0, 0.0  # seconds; when it was seen last, once it has ended
        self.read()

    def read(self) -> None:
        """Takes in what is new on its tape."""
        if self.has_ended:
            return
        self.has_ended = self._tape.has_ended  # asked first: if it has, all has been written
        if state := self._tape.state():
            about, clients, self._free, self._open = state
            self._begun, self._main, names = about[:3], about[3], about[4:]
            self._clients, self._names = dict(clients), names if names[0] else (self._names[0], names[1])
        for number, *fields in self._tape.calls():
            if number:
                self._spans.append(self._span(row_of(number, *fields)))
                self._last = number
            elif not self._names[0]:  # what it is called
                self._names = fields[0], fields[1]
        if self.has_ended:
            self._seen = self._tape.answer()[0]
            self._tape.close()

    def has_answered(self, look: int, asked: float) -> bool:
        """Whether it has written what it waits for after a look, which was asked for at a moment.

        Clocks of one machine agree on all systems that we know. If not, those of its spans are set right.
        """
        if self.has_ended or self._tape.has_ended:
            return True
        seen, answered = self._tape.answer()
        if answered < look:
            return False
        if not asked <= seen <= time.perf_counter():
            self._clock_lag = asked - seen
        return True

    def close(self) -> None:
        """Lets go of its tape."""
        if not self.has_ended:
            self._tape.close()

    @property
    def about(self) -> About | None:
        """Returns what it is; None if it has not said so yet."""
        return About(*self._begun, *self._names) if self._begun else None

    def seen(self, name: str) -> Seen:
        """Returns what it has seen, under a name."""
        known = {(span.ident, span.start) for span in self._spans}
        spans = [self._span(row) for row in self._open]
        spans = [span for span in spans if (span.ident, span.start) not in known]
        if self.has_ended:  # each call lasted until the process was seen last
            latest = max([self._seen, *(span.end or 0.0 for span in self._spans)])
            spans = [span._replace(end=max(latest, span.start), outcome="over", until=None) for span in spans]
        spans = [*self._spans, *spans]
        if self._clock_lag:
            spans = [later(span, self._clock_lag) for span in spans]
        free = () if self.has_ended else self._free
        base = self.number * _PER_PROCESS
        return Seen(
            self.number,
            name,
            spans,
            self._clients,
            self._last - len(self._spans),
            frozenset(base + ident for ident in free),
        )

    def _span(self, row: Row) -> Span:
        span = span_of(row)  # after a fork, the main thread has the name of the one that has forked
        return moved(span._replace(thread=MAIN) if span.ident == self._main else span, self.number)


def later(span: Span, seconds: float) -> Span:
    """Returns a span by another clock."""
    end, until = None if span.end is None else span.end + seconds, span.until
    until = until and until._replace(turned=until.turned + seconds)
    return span._replace(start=span.start + seconds, end=end, until=until)


def moved(span: Span, process: int) -> Span:
    """Returns a span as one of a process: its ident, and those in its subject, are unique in the film."""
    base = process * _PER_PROCESS
    subject = span.subject
    if "\0" in subject:
        subject = re.sub("\0(\\d+) ", lambda found: f"\0{int(found[1]) + base} ", subject)
    until = span.until
    if until and until.loop:
        until = until._replace(loop=until.loop + base)
    return span._replace(ident=span.ident + base, subject=subject, process=process, until=until)


def names_of(processes: Sequence[About]) -> list[str]:
    """Returns what to call each process, in the order in which they began."""
    names, owns = dict[int, str](), dict[int, str]()
    children, alike = Counter[int](), Counter[str]()
    found = list[str]()
    for one in processes:
        children[one.parent] += one.forked
        of = f" of {names[one.parent]}" if one.parent in names else ""
        own = one.own if one.own != owns.get(one.parent) else ""  # a plain fork has its parent's
        name = own or (f"child {children[one.parent]}{of}" if one.forked else one.program or "python")
        alike[name] += 1
        name += f" ({alike[name]})" if alike[name] > 1 else ""
        names[one.number], owns[one.number] = name, one.own
        found.append(name)
    return found
