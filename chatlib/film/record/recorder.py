"""Who is in which call now, and the last calls that have returned. Any thread may report."""

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
from chatlib.film.record.offsets import Streams
from chatlib.film.spans import SENDING, Ends, Span

NOWHERE: Ends = (None, None)

recorders: list["Recorder"] = []
"""Those that are told of each call."""

under_way: dict[Hashable, "Call"] = {}
"""The calls that have not returned, by the ident of their thread, or by the task of an event loop."""

earlier: dict[int, "Call"] = {}
"""Those that began before anybody watched, by ident. Whoever takes one out has to conclude it."""

pause = time.sleep  # the original: nobody who films is in the film

_numbers: WeakKeyDictionary["Waiter", int] = WeakKeyDictionary()
_counter = itertools.count(1)
_numbering = threading.RLock()


class Waiter(Protocol):
    """Who can wait: a thread, or a task of an event loop."""

    name: str

    def is_alive(self) -> bool:
        """Whether it has not ended."""


class _Own(threading.local):
    waiter: tuple[Waiter, int] | None = None


_own = _Own()


@dataclass(slots=True, eq=False)
class Call:
    """One call that may wait."""

    name: str
    subject: str
    ends: Ends
    who: Waiter
    ident: int
    start: float
    place: tuple[str, int, str]
    caller: FrameType | None = None
    """Until it returns: afterwards the frame would keep all its variables alive."""
    instruction: int = -1
    """Where in its caller it was made."""
    now: Callable[[], str] | None = None
    """What it waits for by now, where that may change: who holds a lock."""
    at: tuple[FrameType, int] | None = None
    """Where its thread is, if nobody will say when it returns: it began before anybody watched."""


class Recorder:
    """Keeps the last calls that have returned, in a ring.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self.streams = Streams(2 * limit)
        self._numbers = itertools.count(1)
        # Reentrant: the garbage collector and signals run code in between, and that code may close a socket.
        self.lock = threading.RLock()

    def note(self, call: Call, end: float, size: int, outcome: str) -> None:
        """Adds a call that has returned."""
        with self.lock:
            offset = self.streams.note(call.name, call.ends, size, outcome)
            self._ring.append((next(self._numbers), call, end, size, offset, outcome))

    def align(self, ends: Ends, pending: int) -> None:
        """Takes in how many bytes lie unread at one end of a connection that is not counted yet."""
        with self.lock:
            self.streams.align(ends, pending)

    def take(self, still: bool = True) -> tuple[list[Span], int]:
        """Returns the spans, those `still` open last, and how many older ones the ring has let go."""
        _conclude_earlier()
        with self.lock:
            calls = [*under_way.values(), *earlier.values()] if still else []
            calls = [call for call in calls if call.who.is_alive()]
            offsets = [self.streams.offset(call.name, call.ends) for call in calls]
            ring = sorted(self._ring, key=itemgetter(0))  # a note within a note comes first
        over = {id(entry[1]) for entry in ring}  # a call is noted before it is no longer under way
        last = ring[-1][0] if ring else 0
        numbers = itertools.count(last + 1)
        spans = [_span(*entry) for entry in ring]
        for call, offset in zip(calls, offsets, strict=True):
            if id(call) not in over:
                span = _span(next(numbers), call, None, 0, offset, "")
                spans.append(span._replace(subject=call.now()) if call.now else span)
        return spans, last - len(ring)


def enter(name: str, ends: Ends = NOWHERE, subject: str = "", depth: int = 2) -> Call | None:
    """Notes that this thread goes into a call, made by the caller of our caller, or at a greater depth.

    Returns None, and notes nothing, if nobody watches, or if it is a part of another call, or if it is the
    business of an installed package only, such as those that run a notebook.
    """
    key = get_ident()
    before = under_way.get(key)
    if not recorders or (before and _is_inside(before)):
        return None
    try:
        caller = sys._getframe(depth)
    except ValueError:  # C has called it: there is no line of a program
        return None
    place = find(caller)
    if place is None:
        return None
    if key in earlier:
        _conclude_unseen(key)
    who, ident = _own.waiter or _introduce()
    call = Call(name, subject, ends, who, ident, time.perf_counter(), place, caller, caller.f_lasti)
    under_way[key] = call
    return call


def leave(call: Call, size: int = 0, outcome: str = "done") -> None:
    """Notes that the call returns now."""
    try:
        conclude(call, time.perf_counter(), size, outcome)
    finally:
        under_way.pop(get_ident(), None)


def conclude(call: Call, end: float, size: int = 0, outcome: str = "done") -> None:
    """Tells everybody who watches that a call is over."""
    call.caller = None
    for recorder in tuple(recorders):
        recorder.note(call, end, size, outcome)


def settle(seconds: float = 0.02) -> None:
    """Lets calls end that have only just begun: they are over, perhaps, but could not say so yet."""
    deadline = time.perf_counter() + seconds
    while any(time.perf_counter() - call.start < 0.002 for call in list(under_way.values())):
        if time.perf_counter() > deadline:
            return
        pause(0.001)


def is_sending(ends: Ends) -> bool:
    """Returns whether some thread is in a call that sends from the first of these ends to the second."""
    return any(call.ends == ends and call.name in SENDING for call in list(under_way.values()))


def _conclude_earlier() -> None:
    """Ends the calls that began before anybody watched, and from which their threads have returned."""
    frames = sys._current_frames() if earlier else {}
    for ident, call in list(earlier.items()):
        frame = frames.get(ident)
        if frame is None or (frame, frame.f_lasti) != call.at:
            _conclude_unseen(ident)


def _conclude_unseen(ident: int) -> None:
    """Ends a call whose return nobody has seen."""
    if call := earlier.pop(ident, None):
        call.at = None
        conclude(call, time.perf_counter(), outcome="unseen")


def _begin_anew() -> None:
    """In a forked process no other thread is left: not even one that holds a lock."""
    global _numbering
    _numbering = threading.RLock()
    for recorder in recorders:
        recorder.lock = threading.RLock()
    recorders.clear()
    under_way.clear()
    earlier.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def reference(thread: threading.Thread) -> str:
    """Returns how a subject refers to a thread."""
    name = thread.name.replace("\0", "")
    return f"\0{number_of(thread)} {name}\0"


def _introduce() -> tuple[Waiter, int]:
    who = threading.current_thread()
    _own.waiter = who, number_of(who)
    return _own.waiter


def number_of(who: Waiter) -> int:
    """Returns the same number each time, the smaller the earlier a thread was started.

    Python lists threads in that order. All that are alive are numbered together, so it does not matter which
    of them is the first to be seen in a call.
    """
    with _numbering:
        for one in (*threading.enumerate(), who):
            if one not in _numbers:
                _numbers[one] = next(_counter)
        return _numbers[who]


def _is_inside(call: Call) -> bool:
    """Whether this thread is still in it: Ctrl-C may have struck just after `enter`.

    Between a call and one that is a part of it stands at least the function that watches.
    """
    frame: FrameType | None = sys._getframe(3).f_back
    while frame and frame is not call.caller:
        frame = frame.f_back
    return frame is not None and frame.f_lasti == call.instruction


def _span(number: int, call: Call, end: float | None, size: int, offset: int, outcome: str) -> Span:
    local, peer = call.ends
    return Span(
        number, call.who.name, call.ident, call.name, call.subject, local, peer, call.start, end, size,
        offset, outcome, describe(call.place),
    )  # fmt: skip
