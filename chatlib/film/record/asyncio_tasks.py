"""The tasks of an event loop. Its thread only shows that it waits in `select`; they know for what.

Whenever the loop goes to sleep, each of its tasks is suspended in an `await`: then they are looked at, by the
loop's own thread, just before it calls `select`. At that moment no task runs, so nothing changes meanwhile;
only a film that begins looks from its own thread, while the loop may go on.

What it costs: a walk along the coroutines of each task, once for each time that the loop goes to sleep.
"""

import contextlib
import functools
import heapq
import sys
import weakref
from time import perf_counter
from types import FrameType
from typing import Any, NamedTuple

from chatlib.film.record.asyncio_locks import holder_of, lock_of
from chatlib.film.record.call import Call
from chatlib.film.record.find_line import origin
from chatlib.film.record.harmless import harmless
from chatlib.film.record.recorder import NOWHERE, conclude, open_calls, recorders
from chatlib.film.record.waiters import WatchedThread, number_of, reference
from chatlib.film.spans import Ends

MOST = 100
"""Tasks of one loop that are looked at, the oldest: to look at all would hold up a loop of thousands."""


def is_named(task: Any) -> bool:
    """Returns whether the program has given a task a name."""
    name = task.get_name()
    # Python 3.13.0 calls a task "None" that has no name and was begun at once, by `eager_task_factory`.
    return not name.startswith("Task-") and name != "None"


class WatchedTask:
    """A task, as something that waits; does not keep it alive."""

    def __init__(self, task: Any) -> None:
        self._task = weakref.ref(task)
        code = getattr(task.get_coro(), "cr_code", None)
        own = task.get_name() if is_named(task) or not code else code.co_name
        # A cell that awaits something is run by a task of the notebook's machinery.
        cell = "ipykernel" in sys.modules and code and origin(code.co_filename) == "foreign"
        self.name = "the notebook's cell" if cell else f"task {own}"

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
    lock: Any
    """What it is about to take, if that is a lock."""


_WAKES = "_set_result_unless_cancelled"  # what ends `asyncio.sleep`

_known: weakref.WeakKeyDictionary[Any, WatchedTask] = weakref.WeakKeyDictionary()
_suspended: weakref.WeakKeyDictionary[Any, dict[WatchedTask, tuple[Await, Call]]] = (
    weakref.WeakKeyDictionary()
)
"""By loop: its tasks, and what each was seen to await."""


class _Loop:
    """What is known of an event loop."""

    def __init__(self, loop: Any) -> None:
        self._ident, self.number, self.turned = 0, 0, 0.0
        self._loop = weakref.ref(loop)
        self.turn(loop)

    def turn(self, loop: Any) -> None:
        """Notes that it comes round now, in which thread."""
        self.turned = perf_counter()
        if self._ident != loop._thread_id:
            self._ident = loop._thread_id
            self.number = WatchedThread.of(self._ident).number

    def now(self, what: Await) -> dict[str, Any]:
        """Returns what is known of a wait of one of its tasks, and may change."""
        now: dict[str, Any] = {"turned": self.turned}
        if what.lock is not None:
            now |= {"subject": _said(what.lock), "owned": holder_of(what.lock)[1]}
        if what.lock is not None or issubclass(type(what.future), sys.modules["asyncio"].Task):
            now["endless"] = not self._has_timers()
        return now

    def _has_timers(self) -> bool:
        """Whether it will do something at a certain time, other than to wake a task that sleeps.

        That may be to cancel a wait, as `asyncio.timeout` and `wait_for` do.
        """
        timers = [each for each in list(getattr(self._loop(), "_scheduled", ())) if not each.cancelled()]
        return any(getattr(each._callback, "__name__", "") != _WAKES for each in timers)


_loops: weakref.WeakKeyDictionary[Any, _Loop] = weakref.WeakKeyDictionary()


def is_loop(frame: FrameType) -> bool:
    """Returns whether this is an event loop of asyncio at its work.

    asyncio is not imported for that: a program without an event loop does not pay for one.
    """
    base = sys.modules.get("asyncio.base_events")
    return base is not None and frame.f_code is base.BaseEventLoop._run_once.__code__


def look(caller: FrameType | None) -> int:
    """Notes what each task of the loop that is about to call `select` awaits, and what it no longer does.

    Returns:
        The number of the loop's thread; 0 if it is no loop that makes the call.
    """
    number = 0
    if caller is None or not is_loop(caller):
        return number
    with harmless:  # the program has its own coroutines: none of this is its fault
        loop, now = caller.f_locals["self"], perf_counter()
        if own := _loops.get(loop):
            own.turn(loop)
        else:
            own = _loops[loop] = _Loop(loop)
        number = own.number
        awaits = dict[WatchedTask, Await | None]()
        for task in heapq.nsmallest(MOST, sys.modules["asyncio"].all_tasks(loop), key=_age):
            awaits[_watched(task)] = _await_of(task)
        before = _suspended.setdefault(loop, {})
        over = _conclude(before, awaits, now)
        for task, found in awaits.items():
            if found and task not in before and found not in over:
                name, subject = "await", found.subject
                if found.lock is not None:
                    name, subject = "acquire", _said(found.lock)
                call = Call(name, subject, found.ends, task, number_of(task), now, found.place)
                call.loop, call.now = number, functools.partial(own.now, found)
                before[task] = found, call
                open_calls[task] = call
    if not recorders:  # the race: the last film has ended while this thread was looking
        forget()
    return number


def _conclude(
    before: dict[WatchedTask, tuple[Await, Call]], awaits: dict[WatchedTask, Await | None], now: float
) -> list[Await]:
    """Ends the waits of tasks that wait no more, or for something else; returns those waits."""
    over = []
    for task, (what, call) in list(before.items()):
        if awaits.get(task) != what or what.future.done():  # done: it is awake, and only has to be run
            over.append(what)
            with contextlib.suppress(KeyError):  # the race: a film that begins looks, too, in its own thread
                del before[task]
                conclude(call, now)
            open_calls.pop(task, None)
    return over


def forget() -> None:
    """The last film has ended: what the tasks await is not known from here on."""
    for task in [task for task in list(open_calls) if isinstance(task, WatchedTask)]:
        open_calls.pop(task, None)
    _suspended.clear()


def _age(task: Any) -> tuple[int, str]:
    """Sorts tasks in the order in which they were made, as far as their names tell."""
    name = task.get_name()
    number = name.removeprefix("Task-")
    # Python refuses to read numbers of thousands of digits, and a program may choose any name.
    return (int(number) if number.isdecimal() and len(number) < 19 else sys.maxsize), name


def _await_of(task: Any) -> Await | None:
    """Returns what a task awaits in the innermost line that is the user's own, or chatlib's, if any is.

    If none is, a task with a name awaits what it was made of: `create_task(reader.readline(), name="hear")`.
    None if it has been woken already, and only has to be run.
    """
    if (future := getattr(task, "_fut_waiter", None)) is None:
        return None
    coroutine, place, subject, ends, lock = task.get_coro(), None, "", NOWHERE, None
    outermost = coroutine if is_named(task) else None
    while frame := _first(coroutine, "cr_frame", "gi_frame", "ag_frame"):
        inner = _first(coroutine, "cr_await", "gi_yieldfrom", "ag_await")
        whose = origin(frame.f_code.co_filename)
        if whose == "library" and coroutine is outermost:
            place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            subject = getattr(coroutine, "__qualname__", "")
            ends = _ends_of_stream(frame)
        elif whose in ("user", "chatlib"):
            place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            subject = _called(inner)
            ends = NOWHERE
        elif place:  # a method of a stream, in which the user's line waits
            ends = _ends_of_stream(frame)
        lock, coroutine = lock_of(frame), inner
    if subject == "a future" and issubclass(type(future), sys.modules["asyncio"].Task):
        subject = reference(_watched(future))
    return Await(subject, ends, place, future, lock) if place and subject else None


def _said(lock: Any) -> str:
    holder = holder_of(lock)[0]
    return f"the lock that {reference(_watched(holder)) if holder else 'somebody'} holds"


def _watched(task: Any) -> WatchedTask:
    if task not in _known:
        _known[task] = WatchedTask(task)
    return _known[task]


_KINDS = {"NoneType": "", "FutureIter": "a future", "async_generator_asend": "an async generator"}


def _called(inner: Any) -> str:
    """Returns what is awaited: of an inner class of asyncio, what that awaits in its turn."""
    name = ""
    while inner is not None and (not name or name.startswith("_")):
        kind = type(inner).__name__
        name = getattr(inner, "__qualname__", "").partition(".<locals>")[0] or _KINDS.get(kind, kind)
        inner = _first(inner, "cr_await", "gi_yieldfrom", "ag_await")
    return name


def _first(coroutine: Any, *names: str) -> Any:
    """Returns the first attribute that there is: coroutines, generators and async generators differ."""
    return next((found for name in names if (found := getattr(coroutine, name, None))), None)


def _ends_of_stream(frame: FrameType) -> Ends:
    """Returns the connection of a method's stream. A program's own, or a mock, is not asked."""
    own = getattr(frame.f_locals.get("self"), "__dict__", {})
    transport: Any = own.get("_transport") or own.get("transport")
    if not issubclass(type(transport), sys.modules["asyncio"].BaseTransport):
        return NOWHERE
    here, there = (transport.get_extra_info(name) for name in ("sockname", "peername"))
    return (here[:2], there[:2]) if isinstance(here, tuple) and isinstance(there, tuple) else NOWHERE
