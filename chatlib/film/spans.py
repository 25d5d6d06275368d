"""What has been seen, as frozen records, and pure functions over them."""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from chatlib.film.place import Place
from chatlib.sockets import Address

Ends = tuple[Address | None, Address | None]

SENDING = frozenset({"send", "sendall", "sendmsg", "sendto", "sendfile"})
RECEIVING = frozenset({"recv", "recv_into", "recvmsg", "recvmsg_into", "recvfrom", "recvfrom_into"})
LEAVING = frozenset({"close", "shutdown"})

HIDDEN, BUSY = "in a call that the X-ray cannot see", "busy"
"""What is said of a thread that is in no call which is watched, in place of the call."""

_KINDS = (
    dict.fromkeys(SENDING, "send")
    | dict.fromkeys(RECEIVING, "recv")
    | dict.fromkeys(LEAVING, "leave")
    | dict.fromkeys(("accept", "connect", "connect_ex", "select", "poll"), "door")
    | dict.fromkeys((HIDDEN, BUSY), "hidden")
)

_IDLE = ("a connection", "an event", "sleep", "Event.wait")  # the last two are those of asyncio

POLL_PAUSE = 0.05
"""Seconds. A thread that waited in vain, and waits again within them, has waited all the time."""

_IN_VAIN = ("timeout", "nothing", "end")  # one that is told of an end, and asks again, polls, too

PAIR = "socketpair"
"""The host of both ends of a `socketpair`, which have no addresses of their own."""


class Span(NamedTuple):
    """One call of one thread that waited, or might have."""

    number: int
    """Spans are numbered as their calls end; those that are still open come last."""
    thread: str
    """The thread's name."""
    ident: int
    """Tells threads with the same name apart; the smaller, the earlier it was started."""
    call: str
    """`recv`, `sendall`, `accept`, `select`, `sleep` ...; `HIDDEN` or `BUSY`, if it is in none of them."""
    subject: str
    """What it waits for, where that is no connection: a thread, an event, a lock and its holder.

    A thread in it stands between two NULs, by its ident and its name.
    """
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
    """How it ended: `done`, `end` (the other side left), `shut` (this side has shut the connection down),
    `reset`, `timeout`, `nothing` (would have waited), `interrupted` (by Ctrl-C), `failed`, `unseen` (it began
    before the film, which does not know its end); `over` (its process has ended in the middle of it); empty
    while it is open."""
    place: Place | None
    process: int = 0
    """In which process, by a number of the film's own: 0 is the one that films."""

    @property
    def kind(self) -> str:
        """What sort of call it is: `send`, `recv`, `leave`, `door` (awaits a connection), else `inside`; or
        `hidden`, if it is none that is watched."""
        if self.call == "await" and self.peer:
            return "send" if "drain" in self.subject else "recv"
        return _KINDS.get(self.call, "inside")

    @property
    def idle(self) -> bool:
        """Whether it rests by design: until a time has passed, a client comes, or an event is set."""
        return self.call in ("sleep", "accept") or self.subject.startswith(_IDLE)

    def goes_on(self, later: "Span") -> bool:
        """Returns whether a later call of the same thread belongs to the same wait: it asks once more."""
        in_vain = self.outcome in _IN_VAIN and not self.size and self.kind != "send"
        if not in_vain or self.end is None or not 0 <= later.start - self.end < POLL_PAUSE:
            return False
        if self.peer not in (later.peer, None):  # a listener does not know which client will come
            return False
        asked = self.call, self.subject, self.local, self.place
        return asked == (later.call, later.subject, later.local, later.place)


class Message(NamedTuple):
    """Bytes on their way from one call to another. A send may take several, and so may a receive."""

    sent: Span
    received: Span | None
    """None while no call has taken them: they lie in the kernel's buffers."""
    size: int


class Waiting(NamedTuple):
    """A thread that waits now, and for what. Printed, it is a sentence."""

    thread: str
    call: str
    on: str
    """A client's name, `the server`, a connection, a thread, a lock and its holder ..."""
    place: Place | None
    seconds: float
    """For how long it has waited."""

    def __str__(self) -> str:
        if self.call in (HIDDEN, BUSY):
            return f"{self.thread} is {self.call}" + (f", {self.place.said}" if self.place else "")
        place = f", in the line: {self.place.source}" if self.place and self.place.source else ""
        return f"{self.thread} waits in {self.call} for {self.on}{place}"


@dataclass(frozen=True)
class Recording:
    """All that a film knows at one moment.

    Args:
        spans: In order of their numbers; the open ones last.
        names: What clients are called, by their address.
        now: When it was taken, on the clock of `time.perf_counter`.
        dropped: How many older spans the ring has let go.
        processes: What the processes are called, by their number; empty if only one is filmed.
    """

    spans: tuple[Span, ...]
    names: Mapping[Address, str] = field(default_factory=dict)
    now: float = 0.0
    dropped: int = 0
    processes: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """What was sent, matched with the calls that received it; in the order of the sends."""
        return tuple(sorted(match(self.spans), key=lambda message: message.sent.start))

    @cached_property
    def listeners(self) -> tuple[Address, ...]:
        """The addresses of servers, in order of appearance: a thread accepts there, or a client connects."""
        servers = (
            span.local if span.call == "accept" else span.peer
            for span in self.spans
            if span.call in ("accept", "connect") or span.local in self.names
        )
        return tuple(dict.fromkeys(server for server in servers if server))

    @cached_property
    def _strangers(self) -> dict[Address, str]:
        ends = (end for span in self.spans for end in (span.peer, span.local) if end)
        unknown = dict.fromkeys(end for end in ends if end not in self.names and end not in self.listeners)
        return {address: f"peer {number}" for number, address in enumerate(unknown, 1)}

    def name_of(self, address: Address) -> str:
        """Returns what to call one end of a connection. Never a port: those differ from run to run."""
        if address[0] == PAIR:
            return "the other end"
        if address in self.listeners:
            several = len(self.listeners) > 1
            return f"server {self.listeners.index(address) + 1}" if several else "the server"
        return self.names.get(address) or self._strangers.get(address, "somebody")

    @cached_property
    def lanes(self) -> dict[int, str]:
        """Threads by ident, and what to call each: the main thread first, the others in order of their start.

        Not in order of appearance: which of two threads makes its first call first may be chance.
        """
        labels, numbers = dict[int, str](), dict[str, int]()
        threads = {span.ident: span.thread for span in self.spans}
        for ident in sorted(threads, key=lambda ident: (threads[ident] != "MainThread", ident)):
            label = name = self._label(ident, threads[ident])
            while name in numbers:  # by its last number: a server may have thousands of threads with one name
                numbers[label] += 1
                name = f"{label} ({numbers[label]})"
            labels[ident], numbers[name] = name, 1
        return labels

    @cached_property
    def by_thread(self) -> dict[int, list[Span]]:
        """The spans of each thread, by ident, in the same order."""
        spans: dict[int, list[Span]] = defaultdict(list)
        for span in self.spans:
            spans[span.ident].append(span)
        return dict(spans)

    def _label(self, ident: int, thread: str) -> str:
        if thread == "MainThread":
            in_cell = any(span.place and span.place.in_cell for span in self.spans)
            return "the notebook" if in_cell else "the main program"
        accepts = [span.local for span in self.by_thread.get(ident, ()) if span.call == "accept"]
        listens = [self.name_of(local) for local in accepts if local]
        if thread == "the server":  # as `chatlib.start` has it; which, if there are several?
            return next(iter(listens), thread)
        if thread.startswith("task "):
            return thread + "".join(f" for {name}" for name in self._heard_by(ident, "await"))
        if not thread.startswith(("Thread-", "serves client")):
            return thread
        serves = [f"serves {name}" for name in self._heard_by(ident, *RECEIVING)]
        function = re.findall(r"\((\w+)\)$", thread)  # Thread-1 (serve)
        return next(iter((*serves, *listens[:1], *(f"thread {name}" for name in function))), "a thread")

    def _heard_by(self, ident: int, *calls: str) -> list[str]:
        """Returns the client that a thread listens to, if that is one and the same all the time."""
        own = (span.peer for span in self.by_thread.get(ident, ()) if span.call in calls)
        heard = {peer for peer in own if peer and peer[0] != PAIR and peer not in self.listeners}
        return [self.name_of(peer) for peer in heard] if len(heard) == 1 else []

    @property
    def waiting(self) -> list[Waiting]:
        """The calls that have not returned, in the order of the lanes."""
        return [each for each in self.present if each.call != BUSY]

    @property
    def present(self) -> list[Waiting]:
        """The same, and the threads that are busy: they wait for nothing."""
        place = {ident: number for number, ident in enumerate(self.lanes)}
        still = sorted((span for span in self.spans if span.end is None), key=lambda span: place[span.ident])
        return [
            Waiting(self.lanes[span.ident], span.call, self.object_of(span), span.place, self._lasted(span))
            for span in still
        ]

    def _lasted(self, still: Span) -> float:
        """Returns for how many seconds a thread has waited for what it still waits for."""
        first = still
        for span in reversed(self.by_thread[still.ident]):
            if span is not still and not span.goes_on(first):
                break
            first = span
        return self.now - first.start

    def object_of(self, span: Span) -> str:
        """Returns what a call is about: a client's name, `a connection`, a thread, a lock."""
        if span.peer:
            name = self.name_of(span.peer)
            return f"{span.subject} for {name}" if span.subject else name
        if span.call == "accept":
            return "a connection"

        def lane(reference: re.Match[str]) -> str:
            ident, thread = reference.groups()
            return self.lanes.get(int(ident)) or self._label(int(ident), thread)  # it may have no lane

        return re.sub("\0(\\d+) (.*?)\0", lane, span.subject)


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
        arrivals = deque(sorted(received[way], key=lambda span: span.offset))
        for span in sorted(departures, key=lambda span: span.offset):
            at, end = span.offset, span.offset + span.size
            while at < end:
                while arrivals and arrivals[0].offset + arrivals[0].size <= at:
                    arrivals.popleft()
                first = arrivals[0] if arrivals else None
                if first and first.offset <= at:
                    upto = min(end, first.offset + first.size)
                else:  # no call has taken these yet, or the ring has let go of the call that did
                    upto, first = min(end, first.offset) if first else end, None
                yield Message(span, first, upto - at)
                at = upto
