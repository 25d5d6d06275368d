"""Which thread is in which call now, and the last calls that have returned. Any thread may report.

What it costs: a call that is watched takes a few microseconds more, most of it to find the line that made
it. So the ring keeps calls as they are, and they become spans only when the film is looked at.

What a reader may rely on: a call is in the ring before it leaves `open_calls`. Between the two it is in both,
which `take` notices; it is never in neither.
"""

import itertools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import itemgetter
from threading import get_ident
from types import FrameType
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from chatlib.film.record.callers import describe, find
from chatlib.film.record.offsets import Offsets
from chatlib.film.spans import POLL_PAUSE, SENDING, Ends, Span

NOWHERE: Ends = (None, None)

recorders: list["Recorder"] = []
"""Those that are told of each call."""

open_calls: dict[Hashable, "Call"] = {}
"""The calls that have not returned, by the ident of their thread, or by the task of an event loop.

Each thread writes under its own ident only: so no lock is needed, as one operation of a dict is atomic. A
reader takes a copy of it first, in one operation as well.
"""

unseen_calls: dict[int, "Call"] = {}
"""Those that began before the film, by ident. Code that takes one out must also call `conclude` on it."""

LATEST = 50
"""Calls that are looked at for threads that poll."""

pause = time.sleep  # the original: the film does not film itself

_numbers: WeakKeyDictionary["Waiter", int] = WeakKeyDictionary()
_counter = itertools.count(1)
_numbering = threading.RLock()  # reentrant, for the same reason as a recorder's lock


class Waiter(Protocol):
    """What can wait: a thread, or a task of an event loop."""

    name: str

    def is_alive(self) -> bool:
        """Whether it has not ended."""


class _Own(threading.local):
    """What each thread keeps of itself: to look it up at each call would cost more than the rest."""

    waiter: tuple[Waiter, int] | None = None


_own = _Own()


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
    now: Callable[[], str] | None = None
    """What it waits for by now, where that may change: which thread holds a lock."""
    at: tuple[FrameType, int] | None = None
    """Where its thread is, if nothing will say when it returns: it began before the film."""

    def is_at(self, frame: FrameType | None) -> bool:
        """Whether its thread, whose frame this is now, is in it still. For calls with `at`."""
        return frame is not None and (frame, frame.f_lasti) == self.at


class Recorder:
    """Keeps the last calls that have returned, in a ring.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self.offsets = Offsets(2 * limit)
        self._numbers = itertools.count(1)
        # Reentrant: the garbage collector and signals run code in between, and that code may close a socket,
        # which is a note within a note. A plain lock would let the thread wait for itself.
        self.lock = threading.RLock()

    def note(self, call: Call, end: float, size: int, outcome: str) -> None:
        """Adds a call that has returned. Blocks only while another thread adds one."""
        with self.lock:  # number, offset and place in the ring belong together
            offset = self.offsets.note(call.name, call.ends, size, outcome)
            self._ring.append((next(self._numbers), call, end, size, offset, outcome))

    def align(self, ends: Ends, pending: int) -> None:
        """Takes in how many bytes lie unread at one end of a connection that is not counted yet."""
        with self.lock:
            self.offsets.align(ends, pending)

    def is_between_polls(self, now: float) -> bool:
        """Whether a thread that waited in vain until just before `now` has not come to its next wait yet."""
        with self.lock:
            latest = list(itertools.islice(reversed(self._ring), LATEST))
        waiting = {call.ident for call in list(open_calls.values())}
        last = {call.ident: (call.waiter, end, outcome) for _, call, end, _, _, outcome in reversed(latest)}
        return any(
            outcome == "timeout" and now - POLL_PAUSE < end and waiter.is_alive() and ident not in waiting
            for ident, (waiter, end, outcome) in last.items()
            if waiter is not threading.current_thread()
        )

    def take(self, still: bool = True) -> tuple[list[Span], int]:
        """Returns the spans, those `still` open last, and how many older ones the ring has let go."""
        frames = sys._current_frames() if unseen_calls else {}
        for ident, call in list(unseen_calls.items()):
            if not call.is_at(frames.get(ident)):  # its thread has returned from it
                _conclude_unseen(ident)
        with self.lock:
            calls = [*open_calls.values(), *unseen_calls.values()] if still else []
            calls = [call for call in calls if call.waiter.is_alive()]
            offsets = [self.offsets.of(call.name, call.ends) for call in calls]
            ring = sorted(self._ring, key=itemgetter(0))  # a note within a note comes first
        over = {id(entry[1]) for entry in ring}  # the race: it has been noted, but is in `open_calls` still
        last = ring[-1][0] if ring else 0
        numbers = itertools.count(last + 1)
        spans = [_span(*entry) for entry in ring]
        for call, offset in zip(calls, offsets, strict=True):
            if id(call) not in over:
                span = _span(next(numbers), call, None, 0, offset, "")
                spans.append(span._replace(subject=call.now()) if call.now else span)
        return spans, last - len(ring)


def _span(number: int, call: Call, end: float | None, size: int, offset: int, outcome: str) -> Span:
    local, peer = call.ends
    return Span(
        number, call.waiter.name, call.ident, call.name, call.subject, local, peer, call.start, end, size,
        offset, outcome, describe(call.place),
    )  # fmt: skip


def enter(name: str, ends: Ends = NOWHERE, subject: str = "", depth: int = 2) -> Call | None:
    """Notes that this thread goes into a call, made by the caller of our caller, or at a greater depth.

    Returns None, and notes nothing, if there is no film, or if it is a part of another call, or if it is the
    business of an installed package only, such as those that run a notebook.
    """
    key = get_ident()
    outer = open_calls.get(key)
    if not recorders or (outer and _is_inside(outer)):
        return None
    try:
        caller = sys._getframe(depth)
    except ValueError:  # C has called it: there is no line of a program
        return None
    place = find(caller)
    if place is None:
        return None
    if key in unseen_calls:  # this thread makes another call: so it has returned from the one before
        _conclude_unseen(key)
    if (own := _own.waiter) is None:
        thread = threading.current_thread()
        own = _own.waiter = thread, number_of(thread)
    waiter, ident = own
    call = Call(name, subject, ends, waiter, ident, time.perf_counter(), place, caller, caller.f_lasti)
    open_calls[key] = call
    return call


def _is_inside(call: Call) -> bool:
    """Whether this thread is still in it. If not, Ctrl-C has struck between `enter` and the call itself.

    Then the entry is a remainder, and would hide all later calls of the thread. Between a call and one that
    is a part of it stands at least the function that watches: so the search begins beyond that.
    """
    frame: FrameType | None = sys._getframe(3).f_back
    while frame and frame is not call.caller:
        frame = frame.f_back
    return frame is not None and frame.f_lasti == call.instruction


def leave(call: Call, size: int = 0, outcome: str = "done") -> None:
    """Notes that the call returns now."""
    try:
        conclude(call, time.perf_counter(), size, outcome)
    finally:  # also if Ctrl-C strikes: or else the thread would be said to wait for ever
        open_calls.pop(get_ident(), None)


def conclude(call: Call, end: float, size: int = 0, outcome: str = "done") -> None:
    """Tells every recorder that a call is over."""
    call.caller = None
    for recorder in tuple(recorders):  # a copy: another thread may begin or end a film meanwhile
        recorder.note(call, end, size, outcome)


def _conclude_unseen(ident: int) -> None:
    """Ends a call whose return was not seen. Two threads may come to it at once: one of them takes it out."""
    if call := unseen_calls.pop(ident, None):
        call.at = None
        conclude(call, time.perf_counter(), outcome="unseen")


def settle(recorder: Recorder, seconds: float = 0.02, patience: float = 1.0) -> None:
    """Lets calls end that have only just begun, and threads that poll come back to where they wait.

    Two races: a `recv` has its bytes, or the time of a `select` is over, but its thread does not have the
    interpreter. Without this, the last picture of a film would show it open in one run, and over in the next.
    Blocks for at most `seconds` for the first, and `patience` for the second: on a busy machine a thread gets
    the interpreter late.
    """
    begun = time.perf_counter()
    while any(time.perf_counter() - call.start < 0.002 for call in list(open_calls.values())):
        if time.perf_counter() > begun + seconds:
            break
        pause(0.001)
    while recorder.is_between_polls(begun) and time.perf_counter() < begun + patience:
        pause(0.001)


def is_sending(ends: Ends) -> bool:
    """Returns whether some thread is in a call that sends from the first of these ends to the second."""
    return any(call.ends == ends and call.name in SENDING for call in list(open_calls.values()))


def reference(thread: threading.Thread) -> str:
    """Returns how a subject refers to a thread."""
    name = thread.name.replace("\0", "")
    return f"\0{number_of(thread)} {name}\0"


def number_of(waiter: Waiter) -> int:
    """Returns the same number each time, the smaller the earlier a thread was started.

    Python lists threads in that order. All that are alive are numbered together, so it does not matter which
    of them is the first to be seen in a call.
    """
    with _numbering:
        for one in (*threading.enumerate(), waiter):
            if one not in _numbers:
                _numbers[one] = next(_counter)
        return _numbers[waiter]


def _begin_anew() -> None:
    """In a forked process no other thread is left: not even one that holds a lock, and would release it."""
    global _numbering
    _numbering = threading.RLock()
    for recorder in recorders:
        recorder.lock = threading.RLock()
    recorders.clear()
    open_calls.clear()
    unseen_calls.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
