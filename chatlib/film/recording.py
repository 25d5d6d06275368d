"""All that a film knows at one moment, and pure functions over it."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from chatlib.film.spans import BUSY, MAIN, PAIR, RECEIVING, SENDING, UNFILMED, Message, Span, Waiting
from chatlib.sockets import Address

_REFERENCE = re.compile("\0(\\d+) (.*?)\0")  # to a thread, within a subject


Made = TypeVar("Made")
Told = ParamSpec("Told")


def made_once(
    function: "Callable[Concatenate[Recording, Told], Made]",
) -> "Callable[Concatenate[Recording, Told], Made]":
    """Asks a function once for each recording, which never changes: a picture is drawn in two scales."""

    @wraps(function)
    def ask(recording: Recording, /, *args: Told.args, **kwargs: Told.kwargs) -> Made:
        key = function, args, tuple(kwargs.items())
        if key not in recording.made:
            recording.made[key] = function(recording, *args, **kwargs)
        made: Made = recording.made[key]
        return made

    return ask


@dataclass(frozen=True)
class Recording:
    """All that a film knows at one moment.

    Args:
        spans: In order of their numbers; the open ones last.
        names: What clients are called, by their address.
        now: When it was taken, on the clock of `time.perf_counter`.
        dropped: How many older spans the ring has let go.
        processes: What the processes are called, by their number, in the order in which they began; empty if
            only one is filmed.
        free: The idents of the threads that were alive, and in none of the open calls, or may be woken from
            theirs by a signal; None if that is not known.
        looker: The ident of the thread that took it, if that is one of the program's: it can act afterwards.
    """

    spans: tuple[Span, ...]
    names: Mapping[Address, str] = field(default_factory=dict)
    now: float = 0.0
    dropped: int = 0
    processes: Mapping[int, str] = field(default_factory=dict)
    free: frozenset[int] | None = None
    looker: int = 0

    @cached_property
    def made(self) -> dict[Hashable, Any]:
        """What `made_once` has made of it, by function and arguments."""
        return {}

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
    def _filmed_listeners(self) -> tuple[Address, ...]:
        """Those of them that are not programs beside the film: where several processes are, that is known."""
        if not self.processes:
            return self.listeners
        filmed = {span.local for span in self.spans}
        return tuple(address for address in self.listeners if address in filmed)

    @cached_property
    def _owners(self) -> dict[Address, str]:
        """What to call the ends that have no name of their own, where several processes are filmed."""
        if not self.processes:
            return {}
        ends = {end for span in self.spans for end in (span.peer, span.local) if end}
        used = {span.local: span.process for span in self.spans if span.local and span.peer}
        return {end: self._name_of_process(used[end]) if end in used else UNFILMED for end in ends}

    def _name_of_process(self, process: int) -> str:
        """Returns what to call a process, and its main thread."""
        if process in self.processes:
            return self.processes[process]
        in_cell = any(span.place and span.place.in_cell for span in self.spans)
        return "the notebook" if in_cell else "the main program"

    @cached_property
    def _strangers(self) -> dict[Address, str]:
        ends = (end for span in self.spans for end in (span.peer, span.local) if end)
        unknown = dict.fromkeys(end for end in ends if end not in self.names and end not in self.listeners)
        return {address: f"peer {number}" for number, address in enumerate(unknown, 1)}

    def name_of(self, address: Address) -> str:
        """Returns what to call one end of a connection. Never a port: those differ from run to run."""
        if address[0] == PAIR:
            return "the other end"
        if address in self._filmed_listeners:
            several = len(self._filmed_listeners) > 1
            return f"server {self._filmed_listeners.index(address) + 1}" if several else "the server"
        owner = self._owners.get(address)
        return self.names.get(address) or owner or self._strangers.get(address, "somebody")

    @cached_property
    def lanes(self) -> dict[int, str]:
        """Threads by ident, and what to call each: the main thread first, the others in order of their start.

        Not in order of appearance: which of two threads makes its first call first may be chance.
        """
        labels, numbers = dict[int, str](), dict[str, int]()
        threads = {span.ident: span.thread for span in self.spans}
        ranks = {process: rank for rank, process in enumerate(self.processes, 1)}
        rank = {ident: ranks.get(process, 0) for ident, process in self.process_of.items()}
        for ident in sorted(threads, key=lambda one: (rank[one], threads[one] != MAIN, one)):
            label = name = self._label(ident, threads[ident])
            while name in numbers:  # by its last number: a server may have thousands of threads with one name
                numbers[label] += 1
                name = f"{label} ({numbers[label]})"
            labels[ident], numbers[name] = name, 1
        return labels

    @cached_property
    def process_of(self) -> dict[int, int]:
        """In which process each thread is, by their idents."""
        return {span.ident: span.process for span in self.spans}

    @cached_property
    def by_thread(self) -> dict[int, list[Span]]:
        """The spans of each thread, by ident, in the same order."""
        spans: dict[int, list[Span]] = defaultdict(list)
        for span in self.spans:
            spans[span.ident].append(span)
        return dict(spans)

    def _label(self, ident: int, thread: str) -> str:
        process = self.process_of.get(ident, 0)
        if thread == MAIN:
            return self._name_of_process(process)
        within = self._label_within(ident, thread)
        return f"{self.processes[process]}: {within}" if process in self.processes else within

    def _label_within(self, ident: int, thread: str) -> str:
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
            Waiting(self.lanes[span.ident], span.call, self.object_of(span), span.place, self.lasted(span))
            for span in still
        ]

    def lasted(self, still: Span) -> float:
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

        return _REFERENCE.sub(self._referred, span.subject)

    def _referred(self, found: re.Match[str]) -> str:  # it may have no lane
        return self.lanes.get(int(found[1])) or self._label(int(found[1]), found[2])

    def awaited(self, span: Span) -> tuple[int, str] | None:
        """Returns ident and name of the thread that a call waits for: one to end, or a lock's holder."""
        found = _REFERENCE.search(span.subject)
        return (int(found[1]), self._referred(found)) if found else None


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
