"""Which thread is in which call now, and the last calls that have returned. Any thread may report.

What it costs: a call that is watched takes a few microseconds more, most of it to find the line that made
it. So the ring keeps calls as they are, and they become spans only when the film is looked at.

What a reader may rely on: a call is new, or in the ring, before it leaves `open_calls`. Between the two it is
in both, which `take` notices; it is never in neither.
"""

import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Hashable
from operator import itemgetter
from threading import get_ident
from time import perf_counter, sleep
from typing import Any

from chatlib.film.record.call import Call, Entry, common_of, open_row, row_of, span_of
from chatlib.film.record.find_line import find, origin
from chatlib.film.record.frames import frames_of_others, is_held_in
from chatlib.film.record.offsets import Offsets
from chatlib.film.record.waiters import WatchedThread
from chatlib.film.spans import BUSY, POLL_PAUSE, SENDING, Ends, Span

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

asked: dict[int, int] = {}
"""How often each thread has only asked whether something is ready, and nothing was; by its number."""

LOST = 5.0
"""Seconds after which it is looked whether a lock is lost, which is held for microseconds as a rule."""

LOOKS = 12
"""So often at most: its owner may be in a handler of a signal, which waits for who wants the lock."""

LATEST = 50
"""Calls that are looked at for threads that poll."""

pause = sleep  # the original: the film does not film itself


class _Own(threading.local):
    """What each thread keeps of itself: to look it up at each call would cost more than the rest."""

    waiter: WatchedThread | None = None


_own = _Own()


class Recorder:
    """Keeps the last calls that have returned, in a ring.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._ring: deque[Entry] = deque(maxlen=limit)
        self._new: deque[tuple[Call, float, int, str]] = deque()
        self.offsets = Offsets(2 * limit)
        self._numbers = itertools.count(1)
        # Reentrant: the garbage collector and signals run code in between, and that code may close a socket,
        # which is a note within a note. A plain lock would let the thread wait for itself.
        self.lock = threading.RLock()
        self._adding = False

    def note(self, call: Call, end: float, size: int, outcome: str) -> None:
        """Adds a call that has returned, or leaves that to the thread that has the lock. Never blocks.

        That thread may have been interrupted by a signal, whose handler waits for this one to end. The race:
        it is about to give the lock back. So it looks again afterwards.
        """
        self._new.append((call, end, size, outcome))
        while self._new and not self._adding and (lock := self.lock).acquire(False):
            try:
                self._add_new()
            finally:
                lock.release()

    def _add_new(self) -> None:
        """Number, offset and place in the ring belong together: the lock is held around this."""
        if self._adding:  # what has interrupted this in its thread, as a handler, leaves its call to it
            return
        try:
            self._adding = True
            while self._new:
                call, end, size, outcome = self._new.popleft()
                offset = self.offsets.note(call.name, call.ends, size, outcome)
                self._keep((next(self._numbers), call, end, size, offset, outcome))
        finally:
            self._adding = False

    def _sound(self) -> Any:
        """Returns the lock; another one if it is lost. Blocks until then.

        The race: a thread that is ended by force, as by a check of a server, dies just after it took it. It
        is no proof that the lock is held for long: a debugger, and many threads that call, make it so.
        """
        looks = itertools.count(1)
        while not (lock := self.lock).acquire(timeout=LOST):
            in_use = next(looks) < LOOKS and is_held_in(lock, Recorder.note.__code__.co_filename)
            if lock is self.lock and not in_use:
                self.lock, self._adding = threading.RLock(), False
        lock.release()
        return lock

    def _keep(self, entry: Entry) -> None:
        """Takes in a call that has its number and offset. With the lock held."""
        self._ring.append(entry)

    def align(self, ends: Ends, pending: int) -> None:
        """Takes in how many bytes lie unread at one end of a connection that is not counted yet."""
        with self._sound():
            self._add_new()
            self.offsets.align(ends, pending)

    def callers_since(self, moment: float) -> set[int]:
        """Returns the numbers of the threads whose calls have returned since then, unless they only asked."""
        with self._sound():
            self._add_new()
            ended = ((call, end, outcome) for _, call, end, _, _, outcome in reversed(self._ring))
            recent = itertools.takewhile(lambda each: each[1] >= moment, ended)
            return {call.ident for call, _, outcome in recent if call.waits or outcome != "nothing"}

    def is_between_polls(self, now: float) -> bool:
        """Whether a thread that waited in vain until just before `now` has not come to its next wait yet."""
        with self._sound():
            self._add_new()
            latest = list(itertools.islice(reversed(self._ring), LATEST))
        waiting = {call.ident for call in list(open_calls.values())}
        last = {call.ident: (call.waiter, end, outcome) for _, call, end, _, _, outcome in reversed(latest)}
        return any(
            outcome == "timeout" and now - POLL_PAUSE < end and waiter.is_alive() and ident not in waiting
            for ident, (waiter, end, outcome) in last.items()
            if waiter is not _own.waiter
        )

    def take(self, still: bool = True) -> tuple[list[Span], int]:
        """Returns the spans, those `still` open last, and how many older ones the ring has let go."""
        calls = self.still_open() if still else []
        with self._sound():
            self._add_new()  # after that look: what has left `open_calls` before it is new, or in the ring
            ring = sorted(self._ring, key=itemgetter(0))  # a note within a note comes first
        over = {id(entry[1]) for entry in ring}  # the race: it has been noted, but is in `open_calls` still
        last = ring[-1][0] if ring else 0
        rows = [
            row_of(number, common_of(call, outcome), call.start, end, size, offset)
            for number, call, end, size, offset, outcome in ring
        ]
        left = [(call, offset) for call, offset in calls if id(call) not in over]
        rows += [open_row(number, *each) for number, each in enumerate(left, last + 1)]
        return list(map(span_of, rows)), last - len(ring)

    def still_open(self) -> list[tuple[Call, int]]:
        """Returns the calls that have not returned, and where the bytes of each begin."""
        conclude_returned()
        with self._sound():
            calls = [*open_calls.values(), *unseen_calls.values()]
            calls = [call for call in calls if call.waits and call.waiter.is_alive()]
            self._add_new()
            return [(call, self.offsets.of(call.name, call.ends)) for call in calls]


def enter(
    name: str, ends: Ends = NOWHERE, subject: str = "", depth: int = 2, waits: bool = True
) -> Call | None:
    """Notes that this thread goes into a call, made by the caller of our caller, or at a greater depth.

    Returns None, and notes nothing, if there is no film, if it is a part of another call, or if it is the
    business of an installed package only, such as those that run a notebook.
    """
    key = get_ident()
    outer = open_calls.get(key)
    between = _between(outer) if outer else None
    if not recorders or (between is not None and "user" not in between):
        return None
    try:
        caller = sys._getframe(depth)
    except ValueError:  # C has called it: there is no line of a program
        return None
    place = find(caller)
    if place is None:
        return None
    if (waiter := _own.waiter) is None:
        waiter = _own.waiter = WatchedThread.of(key) if key in unseen_calls else WatchedThread()
    # This thread makes another call: so it has returned from the one before. Unless it only asks, busily.
    if key in unseen_calls and (waits or unseen_calls[key].name != BUSY):
        conclude_unseen(key)
    call = Call(name, subject, ends, waiter, waiter.number, perf_counter(), place, caller, caller.f_lasti)
    call.outer = outer if between else None
    if not waits:
        call.waits = False
    open_calls[key] = call
    return call


def _between(call: Call) -> set[str] | None:
    """Returns whose code this thread is in, within a call; None if it is no longer in that.

    If the user's is there, as in a signal's handler, it waits for what that calls. None: Ctrl-C has struck
    between `enter` and the call, and the entry would hide all later ones. Between a call and its part stands
    at least the function that watches: so the search begins beyond that."""
    caller = sys._getframe(3)
    whose, frame = {origin(caller.f_code.co_filename)}, caller.f_back
    while frame and frame is not call.caller:
        whose.add(origin(frame.f_code.co_filename))
        frame = frame.f_back
    return whose if frame and frame.f_lasti == call.instruction else None


def leave(call: Call, size: int = 0, outcome: str = "done") -> None:
    """Notes that the call returns now."""
    try:
        conclude(call, perf_counter(), size, outcome)
    finally:  # also if Ctrl-C strikes: or else the thread would be said to wait for ever
        if call.outer:
            open_calls[get_ident()] = call.outer
        else:
            open_calls.pop(get_ident(), None)


def conclude(call: Call, end: float, size: int = 0, outcome: str = "done") -> None:
    """Tells every recorder that a call is over. From now on it keeps nothing of the program's alive."""
    call.caller = call.now = None
    if outcome == "timeout" and not call.waits:  # it has only asked, and nothing was ready: that is no wait
        if not call.loop:  # a loop asks between its tasks
            asked[call.ident] = asked.get(call.ident, 0) + 1  # written by that thread only
        return
    for recorder in tuple(recorders):  # a copy: another thread may begin or end a film meanwhile
        recorder.note(call, end, size, outcome)


def conclude_unseen(ident: int) -> None:
    """Ends a call whose return was not seen. Two threads may come to it at once: one of them takes it out."""
    if call := unseen_calls.pop(ident, None):
        call.at = None
        if call.kept:
            conclude(call, perf_counter(), outcome="unseen")


def conclude_returned() -> None:
    """Ends the calls that began before the film, or cannot be seen, and which their threads have left."""
    frames = frames_of_others() if unseen_calls else {}
    for ident, call in list(unseen_calls.items()):
        made = open_calls.get(ident)
        if (made and made.waits) or not call.is_at(frames.get(ident)):
            conclude_unseen(ident)


def settle(recorder: Recorder, seconds: float = 0.02, patience: float = 1.0) -> None:
    """Lets calls end that have only just begun, and threads that poll come back to where they wait.

    Two races: a `recv` has its bytes, or the time of a `select` is over, but its thread does not have the
    interpreter. Without this, the last picture of a film would show it open in one run, and over in the next.
    Blocks for at most `seconds` for the first, and `patience` for the second: on a busy machine a thread gets
    the interpreter late.
    """
    begun = perf_counter()
    while any(perf_counter() - call.start < 0.002 for call in list(open_calls.values())):
        if perf_counter() > begun + seconds:
            break
        pause(0.001)
    while recorder.is_between_polls(begun) and perf_counter() < begun + patience:
        pause(0.001)


def is_sending(ends: Ends) -> bool:
    """Returns whether some thread is in a call that sends from the first of these ends to the second."""
    return any(call.ends == ends and call.name in SENDING for call in list(open_calls.values()))


def _begin_anew() -> None:
    """In a forked process no other thread is left: not even one that holds a lock, and would release it."""
    for recorder in recorders:
        recorder.lock = threading.RLock()
    recorders.clear()
    open_calls.clear()
    unseen_calls.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
