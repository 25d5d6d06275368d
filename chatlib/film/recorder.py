"""Who is in which call now, and the last calls that have returned. Any thread may report."""

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from threading import get_ident
from types import FrameType
from typing import Any

from chatlib.film.places import describe, find
from chatlib.film.records import SENDING, Ends, Span
from chatlib.film.tasks import tasks_of

NOWHERE: Ends = (None, None)

recorders: list["Recorder"] = []
"""Those that are told of each call."""

_under_way: dict[int, "Call"] = {}  # by thread


@dataclass(slots=True)
class Call:
    """One call that may wait."""

    name: str
    subject: str
    ends: Ends
    thread: threading.Thread
    start: float
    place: tuple[str, int, str]
    caller: FrameType | None
    """Until it returns: afterwards the frame would keep all its variables alive."""


class Recorder:
    """Keeps the last calls that have returned, in a ring.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self._passed: dict[tuple[Ends, bool], int] = {}  # bytes, by connection and direction
        self._lock = threading.Lock()
        self._number = 0

    def note(self, call: Call, end: float, size: int, outcome: str) -> None:
        """Adds a call that has returned."""
        way = (call.ends, call.name in SENDING)
        with self._lock:
            offset = self._passed.get(way, 0)
            if size:
                self._passed[way] = offset + size
            self._number += 1
            self._ring.append((self._number, call, end, size, offset, outcome))

    def take(self, still: bool = True) -> tuple[list[Span], int]:
        """Returns the spans, those `still` open last, and how many older ones the ring has let go."""
        with self._lock:
            ring, last = list(self._ring), self._number
        spans = [_span(*entry) for entry in ring]
        for call in list(_under_way.values()) if still else ():
            spans.append(_span(last + 1, call, None, 0, 0, ""))
            spans.extend(tasks_of(call.caller, last + 1, call.start))
        return spans, last - len(ring)


def enter(name: str, ends: Ends = NOWHERE, subject: str = "") -> Call | None:
    """Notes that this thread goes into a call, made by the caller of our caller.

    Returns None, and notes nothing, if nobody watches, or if it is a part of another call, or if it is the
    business of an installed package only, such as those that run a notebook.
    """
    ident = get_ident()
    if not recorders or (ident in _under_way and _is_inside(_under_way[ident])):
        return None
    caller = sys._getframe(2)
    place = find(caller)
    if place is None:
        return None
    call = Call(name, subject, ends, threading.current_thread(), time.perf_counter(), place, caller)
    _under_way[ident] = call
    return call


def leave(call: Call, size: int = 0, outcome: str = "done") -> None:
    """Notes that the call returns now."""
    now = time.perf_counter()
    _under_way.pop(get_ident(), None)
    call.caller = None
    for recorder in recorders:
        recorder.note(call, now, size, outcome)


def _is_inside(call: Call) -> bool:
    """Whether this thread is still in it: Ctrl-C may have struck just after `enter`."""
    frame: FrameType | None = sys._getframe(3)
    while frame and frame is not call.caller:
        frame = frame.f_back
    return frame is not None


def _span(number: int, call: Call, end: float | None, size: int, offset: int, outcome: str) -> Span:
    who, (local, peer) = call.thread, call.ends
    return Span(
        number, who.name, id(who), call.name, call.subject, local, peer, call.start, end, size, offset,
        outcome, describe(call.place),
    )  # fmt: skip
