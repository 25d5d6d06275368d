"""What has been seen, as frozen records, and pure functions over them."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from chatlib.address import Address

Ends = tuple[Address | None, Address | None]

SENDING = frozenset({"send", "sendall", "sendmsg"})
RECEIVING = frozenset({"recv", "recv_into", "recvmsg"})
LEAVING = frozenset({"close", "shutdown"})


class Place(NamedTuple):
    """The line of a program that made a call: the nearest one outside Python's library and chatlib."""

    file: str
    line: int
    function: str
    source: str
    """The line itself, without its indentation; empty if it cannot be had."""


class Span(NamedTuple):
    """One call of one thread that waited, or might have."""

    number: int
    """Spans are numbered as their calls end; those that are still open come last."""
    thread: str
    """The thread's name."""
    ident: int
    """Tells threads with the same name apart. (Not the system's number: that is given out again.)"""
    call: str
    """`recv`, `sendall`, `accept`, `select`, `sleep`, `join` ..."""
    subject: str
    """What it waits for, where that is no connection: a thread, an event, a lock and who holds it."""
    local: Address | None
    """This end of the connection."""
    peer: Address | None
    """The other end."""
    start: float
    """Seconds on the clock of `time.perf_counter`."""
    end: float | None
    """The same; None while the call has not returned."""
    size: int
    """Bytes that were sent or received."""
    offset: int
    """Bytes that had gone the same way before, since the film began."""
    outcome: str
    """`done`, `end` (the other side left), `reset`, `timeout`, `nothing` (would have waited), `failed`."""
    place: Place | None


class Message(NamedTuple):
    """Bytes on their way from one call to another. A send may take several, and so may a receive."""

    sent: Span
    received: Span | None
    """None while nobody has taken them: they lie in the kernel's buffers."""
    size: int


class Waiting(NamedTuple):
    """Who waits now, and for what."""

    thread: str
    call: str
    on: str
    """A client's name, `the server`, a connection, a thread, a lock and who holds it ..."""
    place: Place | None
    seconds: float
    """For how long it has waited."""


@dataclass(frozen=True)
class Recording:
    """All that a film knows at one moment.

    Args:
        spans: In order of their numbers; the open ones last.
        names: What clients are called, by their address.
        now: When it was taken, on the clock of `time.perf_counter`.
        dropped: How many older spans the ring has let go.
    """

    spans: tuple[Span, ...]
    names: Mapping[Address, str] = field(default_factory=dict)
    now: float = 0.0
    dropped: int = 0

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """What was sent, matched with the calls that received it; in the order of the sends."""
        return tuple(sorted(match(self.spans), key=lambda message: message.sent.start))

    @cached_property
    def listeners(self) -> tuple[Address, ...]:
        """The addresses on which connections were accepted, in order of appearance."""
        return tuple(dict.fromkeys(span.local for span in self.spans if span.call == "accept" and span.local))

    @cached_property
    def _strangers(self) -> dict[Address, str]:
        ends = (end for span in self.spans for end in (span.peer, span.local) if end)
        unknown = dict.fromkeys(end for end in ends if end not in self.names and end not in self.listeners)
        return {address: f"peer {number}" for number, address in enumerate(unknown, 1)}

    def name_of(self, address: Address) -> str:
        """Returns what to call one end of a connection. Never a port: those differ from run to run."""
        if address in self.listeners:
            several = len(self.listeners) > 1
            return f"server {self.listeners.index(address) + 1}" if several else "the server"
        return self.names.get(address) or self._strangers.get(address, "somebody")

    @cached_property
    def lanes(self) -> dict[int, str]:
        """Threads by ident, in order of appearance, and what to call each: the same in each run."""
        labels: dict[int, str] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            if span.ident not in labels:
                labels[span.ident] = _unique(self._label(span.ident, span.thread), labels.values())
        return labels

    @cached_property
    def _labels(self) -> dict[str, str]:
        main = {repr("MainThread"): self._label(0, "MainThread")}  # also where it has done nothing yet
        return main | {repr(span.thread): self.lanes[span.ident] for span in self.spans}

    def _label(self, ident: int, thread: str) -> str:
        if thread == "MainThread":
            return "the notebook" if _in_notebook(self.spans) else "the main program"
        if not thread.startswith(("Thread-", "serves client")):
            return thread
        heard = {
            span.peer for span in self.spans if span.ident == ident and span.call in RECEIVING and span.peer
        }
        return f"serves {self.name_of(heard.pop())}" if len(heard) == 1 else "a thread"

    @property
    def waiting(self) -> list[Waiting]:
        """The calls that have not returned, in the order of the lanes."""
        place = {ident: number for number, ident in enumerate(self.lanes)}
        still = sorted((span for span in self.spans if span.end is None), key=lambda span: place[span.ident])
        return [
            Waiting(
                self.lanes[span.ident], span.call, self.object_of(span), span.place, self.now - span.start
            )
            for span in still
        ]

    def object_of(self, span: Span) -> str:
        """Returns what a call is about: a client's name, `a connection`, a thread, a lock."""
        if span.peer:
            return self.name_of(span.peer)
        if span.call == "accept":
            return "a connection"
        quoted = (name for name in self._labels if name in span.subject)
        return span.subject.replace(name := next(quoted, ""), self._labels.get(name, ""))


def match(spans: Iterable[Span]) -> Iterator[Message]:
    """Matches bytes that were sent with the calls that received them, by direction and offset.

    Every byte that was sent is in exactly one message. A direction is known by its two addresses.
    """
    sent: dict[tuple[Address, Address], list[Span]] = defaultdict(list)
    received: dict[tuple[Address, Address], list[Span]] = defaultdict(list)
    for span in spans:
        if span.local and span.peer and span.size:
            if span.call in SENDING:
                sent[span.local, span.peer].append(span)
            elif span.call in RECEIVING:
                received[span.peer, span.local].append(span)
    for way, departures in sent.items():
        yield from _match_one_way(departures, received[way])


def _match_one_way(sent: Sequence[Span], received: Sequence[Span]) -> Iterator[Message]:
    arrivals = deque(sorted(received, key=lambda span: span.offset))
    for span in sorted(sent, key=lambda span: span.offset):
        at, end = span.offset, span.offset + span.size
        while at < end:
            while arrivals and arrivals[0].offset + arrivals[0].size <= at:
                arrivals.popleft()
            first = arrivals[0] if arrivals else None
            if first and first.offset <= at:
                upto = min(end, first.offset + first.size)
            else:  # nobody has taken these yet, or the ring has let go of the call that did
                upto = min(end, first.offset) if first else end
                first = None
            yield Message(span, first, upto - at)
            at = upto


def _unique(label: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    numbered = (f"{label} ({number})" for number in range(2, len(taken) + 3))
    return next(name for name in (label, *numbered) if name not in taken)


def _in_notebook(spans: Iterable[Span]) -> bool:
    return any(span.place and "ipykernel" in span.place.file for span in spans)
