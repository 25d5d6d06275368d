"""The tasks of an event loop. Its thread only shows that it waits in `select`; they know for what.

Whenever the loop goes to sleep, each of its tasks is suspended in an `await`: then they are looked at.
"""

import contextlib
import heapq
import sys
import time
import weakref
from types import FrameType
from typing import Any, NamedTuple

from chatlib.film.record.callers import origin
from chatlib.film.record.recorder import NOWHERE, Call, conclude, number_of, recorders, under_way
from chatlib.film.spans import Ends

MOST = 100
"""Tasks of one loop that are looked at, the oldest: to look at all would hold up a loop of thousands."""


class Task:
    """A task, as somebody who waits; does not keep it alive."""

    def __init__(self, task: Any) -> None:
        self._task = weakref.ref(task)
        name, code = task.get_name(), getattr(task.get_coro(), "cr_code", None)
        # Python 3.13.0 calls a task "None" that has no name and was begun at once, by `eager_task_factory`.
        own = code.co_name if code and (name.startswith("Task-") or name == "None") else name
        # a cell that awaits something is run by a task of the notebook's machinery
        self.name = "the notebook's cell" if code and origin(code.co_filename) == "foreign" else f"task {own}"

    def is_alive(self) -> bool:
        """Whether it is suspended: neither done, nor at work."""
        task, asyncio = self._task(), sys.modules["asyncio"]
        return task is not None and not task.done() and asyncio.current_task(task.get_loop()) is not task


class Await(NamedTuple):
    """What a task waits for."""

    subject: str
    ends: Ends
    place: tuple[str, int, str]
    future: Any
    """What will wake it: a new one each time, also where a loop awaits the same again and again."""


_known: weakref.WeakKeyDictionary[Any, Task] = weakref.WeakKeyDictionary()
_suspended: weakref.WeakKeyDictionary[Any, dict[Task, tuple[Await, Call]]] = weakref.WeakKeyDictionary()
"""By loop: its tasks, and what each was seen to await."""


def look(caller: FrameType | None) -> None:
    """Notes what each task of the loop that is about to call `select` awaits, and what it no longer does."""
    if caller is not None and is_loop(caller):
        with contextlib.suppress(Exception):  # the program has its own coroutines: none of this is its fault
            _compare(caller.f_locals["self"], time.perf_counter())


def is_loop(frame: FrameType) -> bool:
    """Returns whether this is an event loop of asyncio at its work."""
    base = sys.modules.get("asyncio.base_events")
    return base is not None and frame.f_code is base.BaseEventLoop._run_once.__code__


def forget() -> None:
    """Nobody watches any more: so what the tasks await is not known from here on."""
    for who in [who for who in list(under_way) if isinstance(who, Task)]:
        under_way.pop(who, None)
    _suspended.clear()


def _compare(loop: Any, now: float) -> None:
    tasks = heapq.nsmallest(MOST, sys.modules["asyncio"].all_tasks(loop), key=_age)
    awaits = {_waiter_of(task): _await_of(task) for task in tasks}
    before = _suspended.setdefault(loop, {})
    over = []
    for who, (what, call) in list(before.items()):
        if awaits.get(who) != what or what.future.done():  # done: it is awake, and only has to be run
            over.append(what)
            with contextlib.suppress(KeyError):  # the race: a film that begins looks, too
                del before[who]
                conclude(call, now)
            under_way.pop(who, None)
    for who, found in awaits.items():
        if found and who not in before and found not in over:
            call = Call("await", found.subject, found.ends, who, number_of(who), now, found.place)
            before[who] = found, call
            under_way[who] = call
    if not recorders:  # the last film has ended meanwhile
        forget()


def _waiter_of(task: Any) -> Task:
    if task not in _known:
        _known[task] = Task(task)
    return _known[task]


def _age(task: Any) -> tuple[int, str]:
    """Sorts tasks in the order in which they were made, as far as their names tell."""
    name = task.get_name()
    number = name.removeprefix("Task-")
    return (int(number) if number.isdecimal() and len(number) < 19 else sys.maxsize), name


def _await_of(task: Any) -> Await | None:
    """Returns what a task awaits in the innermost line that is the user's own, or chatlib's, if any is.

    None if it has been woken already, and only has to be run.
    """
    if (future := getattr(task, "_fut_waiter", None)) is None:
        return None
    coroutine, place, subject, ends = task.get_coro(), None, "", NOWHERE
    while frame := _frame_of(coroutine):
        inner = _awaited_by(coroutine)
        if origin(frame.f_code.co_filename) in ("user", "chatlib"):
            place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            subject, ends = getattr(inner, "__qualname__", "") or _kind_of(inner), NOWHERE
        elif place:
            ends = _ends_of(frame)
        coroutine = inner
    return Await(subject, ends, place, future) if place and subject else None


def _frame_of(coroutine: Any) -> FrameType | None:
    names = ("cr_frame", "gi_frame", "ag_frame")
    return next((frame for name in names if (frame := getattr(coroutine, name, None))), None)


def _awaited_by(coroutine: Any) -> Any:
    names = ("cr_await", "gi_yieldfrom", "ag_await")
    return next((inner for name in names if (inner := getattr(coroutine, name, None))), None)


def _kind_of(awaited: Any) -> str:
    kind = type(awaited).__name__
    return "" if awaited is None else "a future" if kind == "FutureIter" else kind


def _ends_of(frame: FrameType) -> Ends:
    """Returns the connection of a stream in whose method a task is suspended."""
    stream = frame.f_locals.get("self")
    transport = getattr(stream, "_transport", None) or getattr(stream, "transport", None)
    if transport is None or not hasattr(transport, "get_extra_info"):
        return NOWHERE
    here, there = (transport.get_extra_info(name) for name in ("sockname", "peername"))
    return (here[:2], there[:2]) if isinstance(here, tuple) and isinstance(there, tuple) else NOWHERE
