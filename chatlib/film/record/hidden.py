"""Threads that are in no call which is watched: they wait in C, as in `input`, or they are at work.

Of those only their frames tell. Each is looked at several times within `STILL` seconds. One that is found at
the same instruction each time is in a call there; one that moves, or uses the processor, is busy.

The danger: frames of a thread that runs change while they are walked. Under a tracer, such as a debugger or
a measurement of coverage, Python 3.11 has crashed at that: there a thread that moves is left alone. Nor is a
frame kept from look to look, as it would keep all its variables alive, and a socket among them open.
"""

import opcode
import sys
import threading
import time
from typing import NamedTuple

from chatlib.film.record.call import Call
from chatlib.film.record.find_line import find_any
from chatlib.film.record.frames import At, at, frames_of_others
from chatlib.film.record.recorder import (
    NOWHERE,
    Recorder,
    asked,
    conclude_returned,
    conclude_unseen,
    open_calls,
    pause,
    unseen_calls,
)
from chatlib.film.record.waiters import WatchedThread
from chatlib.film.spans import BUSY, HIDDEN

STILL = 0.05
"""Seconds for which a thread has to be in no call that is watched, at least."""

_LOOK = 0.005  # seconds from look to look
_LOOKS = round(STILL / _LOOK)
_WALKS = 3
_WORKS = 0.001  # seconds of a processor: a thread that waits needs none
_SWITCHES = ("JUMP_BACKWARD", "RESUME")  # instructions at which a thread may have to give up the interpreter


class Silent(NamedTuple):
    """A thread that is in no watched call, and where."""

    waiter: WatchedThread
    at: At
    place: tuple[str, int, str]
    switches: bool
    """Whether its instruction is none that could wait: it has only given up the interpreter there."""
    worked: float
    """Seconds for which a processor had worked for it by then, as far as the system tells."""


def note_hidden(recorder: Recorder, packages: bool, keep: bool) -> None:
    """Notes threads that are in calls which cannot be seen, and those that are busy.

    Blocks for `STILL` seconds or a little more if there is such a thread, and for 0.3 s if there are twenty.

    Args:
        recorder: Knows which threads have made a watched call meanwhile: those are neither.
        packages: Whether threads in which installed packages run by themselves are noted, too.
        keep: Whether that is still told when it is over.
    """
    conclude_returned()
    begun, first = time.perf_counter(), _where_all_are()
    if not first:
        return
    traced = bool(sys.gettrace() or threading.gettrace())
    silent = _silent(_unmoved(first) if traced else first, traced, packages)
    silent, moved = _looked_at(silent, begun + STILL)
    called = recorder.callers_since(begun)
    for ident, one in silent.items():
        works = one.switches or ident in moved or _worked(one.waiter) - one.worked > _WORKS
        if one.waiter.number not in called:
            _note(BUSY if works else HIDDEN, ident, one, begun, keep)


def _looked_at(silent: dict[int, Silent], until: float) -> tuple[dict[int, Silent], set[int]]:
    """Returns which of some threads are silent all the time, and the idents of those that move."""
    moved = set[int]()
    for _ in range(_LOOKS + 2 * min(len(silent), 20)):  # each may wait until others have had the interpreter
        if not silent or (moved.issuperset(silent) and time.perf_counter() > until):
            break
        pause(_LOOK)
        now = _where_all_are()
        silent = {ident: one for ident, one in silent.items() if ident in now}
        moved |= {ident for ident, one in silent.items() if now[ident] != one.at}
    return silent, moved


def _where_all_are() -> dict[int, At]:
    """Returns where each other thread is that is in no watched call. No frame is kept, and none is walked."""
    known = {ident for ident, call in list(unseen_calls.items()) if call.name not in (HIDDEN, BUSY)}
    waits = {ident for ident, call in list(open_calls.items()) if call.waits}
    left_out = {*known, *waits}
    return {ident: at(frame) for ident, frame in frames_of_others().items() if ident not in left_out}


def _unmoved(first: dict[int, At]) -> dict[int, At]:
    """Returns the threads that stay where they are for `STILL` seconds."""
    for _ in range(_LOOKS):
        pause(_LOOK)
        now = _where_all_are()
        first = {ident: where for ident, where in first.items() if now.get(ident) == where}
    return first


def _silent(before: dict[int, At], traced: bool, packages: bool) -> dict[int, Silent]:
    """Returns those of the threads that are in a line of a program's. Its frames are walked for that.

    The race: a function returns while its frame is walked, and has no caller then. So all are walked again.
    """
    found = dict[int, Silent]()
    for _ in range(_WALKS):
        for ident, frame in frames_of_others().items():
            if ident in found or ident not in before or (traced and at(frame) != before[ident]):
                continue
            # A script has gone into a package by itself; a notebook's main thread is run by packages.
            main = ident == threading.main_thread().ident and "ipykernel" not in sys.modules
            if place := find_any(frame, installed=main or packages):
                waiter = WatchedThread.of(ident)
                switches = opcode.opname[frame.f_code.co_code[frame.f_lasti]].endswith(_SWITCHES)
                found[ident] = Silent(waiter, at(frame), place, switches, _worked(waiter))
    return found


def _worked(waiter: WatchedThread) -> float:
    """Returns for how many seconds a processor has worked for a thread; 0 where there is no such file."""
    try:
        with open(f"/proc/self/task/{waiter.native_id}/schedstat") as told:
            return int(told.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):  # the race: it may have ended
        return 0.0


def _note(name: str, ident: int, one: Silent, begun: float, keep: bool) -> None:
    """Notes what a thread is in, unless that has been noted by an earlier look."""
    where = None if name == BUSY else one.at
    if (before := unseen_calls.get(ident)) and (before.name, before.at) == (name, where):
        before.kept |= keep
        return
    conclude_unseen(ident)
    number = one.waiter.number
    call = Call(name, "", NOWHERE, one.waiter, number, begun, one.place, at=where, kept=keep)
    if name == BUSY:
        already = asked.get(number, 0)
        call.now = lambda: {"asked": asked.get(number, 0) - already}
    unseen_calls[ident] = call
