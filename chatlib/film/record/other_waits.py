"""The calls that wait, but neither in a socket nor for a lock: selectors, queues, joins, events, sleeps.

Most of them are made of each other: a queue waits for a condition, a condition for a lock. Only the outermost
is noted, as that is what the program has asked for; `enter` sees to it. Each is a row in the table `WAITS`.
"""

import functools
import math
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from chatlib.film.record import asyncio_tasks
from chatlib.film.record.call import Call
from chatlib.film.record.files import Registered, is_wakeup, kinds_in_lists, kinds_of_keys, socket_of
from chatlib.film.record.harmless import harmless, is_of_handler
from chatlib.film.record.locks import watched_lock
from chatlib.film.record.recorder import NOWHERE, enter, leave, recorders
from chatlib.film.record.socket_calls import ends_of
from chatlib.film.record.stand_ins import StandIn, stand_in
from chatlib.film.record.waiters import reference
from chatlib.film.spans import Ends


def watched_wait(
    name: str, subject: Callable[..., str | None], original: Any, of_processes: bool = False
) -> Any:
    """Stands in for a function that waits.

    Args:
        name: What to call it.
        subject: Returns what it waits for, from its arguments; None if it never waits.
        original: The function.
        of_processes: Whether another process may end it, perhaps one that is not filmed: so it is never said
            to be for ever.
    """

    asks = {"select": lambda *told: _time(3, *told) == 0, "poll": lambda *told: _time(0, *told) == 0}.get(
        name
    )
    limit, has_own = 0 if of_processes else _LIMITS.get(name, 0), original is threading.Barrier.wait

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        said = _said(subject, args, kwargs) if recorders else None
        waits = asks is None or not asks(args, kwargs)
        call = None if said is None else enter(name, NOWHERE, said, 2, waits)
        if call is None:
            return original(*args, **kwargs)
        if limit:  # costs little, and this is at each call
            told = args[limit] if len(args) > limit else kwargs.get("timeout")
            call.endless = told is None and not (has_own and own_limit(args))
        return _followed(call, original, args, kwargs)

    return watched


def watched_select(original: Any) -> Any:
    """Stands in for the `select` of a selector: where an event loop waits, its tasks are looked at, too."""

    @functools.wraps(original)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio_tasks.look(sys._getframe().f_back) if recorders else 0
        call = enter("select", *_waited_for(self), 2, _time(0, args, kwargs) > 0) if recorders else None
        if call:
            call.loop = loop
        args = (self, *args)
        return original(*args, **kwargs) if call is None else _followed(call, original, args, kwargs)

    return watched


def own_limit(args: Any) -> bool:
    """Returns whether a barrier has a time limit for all its waits, or may have one."""
    return not args or getattr(args[0], "__dict__", {}).get("_timeout", 0) is not None


def _time(at: int, args: Any, kwargs: Any) -> float:
    """Returns how long a call may wait: with no time, it only asks what is ready. That is argument `at`."""
    timeout = args[at] if len(args) > at else kwargs.get("timeout")
    return timeout if type(timeout) in (int, float) else math.inf


def _followed(call: Call, original: Any, args: Any, kwargs: Any) -> Any:
    """Makes a call, and notes how it ended."""
    outcome = "failed"
    try:
        result = original(*args, **kwargs)
        outcome = "done"
        if call.name == "join":
            outcome = "timeout" if goes_on(args[0]) else "done"
        elif call.name not in _GETTING:
            empty = call.name in ("select", "poll") and result in ([], ([], [], []))
            outcome = "timeout" if result is False or empty else "done"
        return result
    except (queue.Empty, queue.Full):
        outcome = "timeout"
        raise
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    except Exception as error:
        if type(error).__name__ == "TimeoutExpired":  # of `subprocess`, which most programs do not import
            outcome = "timeout"
        raise
    finally:
        leave(call, outcome=outcome)


def goes_on(joined: Any) -> bool:
    """Returns whether a thread or a process that was to end has not. Runs no method of a program's class."""
    if isinstance(joined, threading.Thread):
        return threading.Thread.is_alive(joined)
    started = getattr(joined, "__dict__", {}).get("_popen")  # how `multiprocessing` has started it
    return started is not None and getattr(started, "returncode", 0) is None


def _said(subject: Callable[..., str | None], args: Any, kwargs: Any) -> str | None:
    """Returns what a call waits for. With wrong arguments, nothing: then the original fails, as it should."""
    try:  # costs nothing, and this is at each call
        return subject(*args, **kwargs) if kwargs else subject(*args)
    except Exception as error:
        if is_of_handler(error.__traceback__):
            raise
        return ""


def _waited_for(selector: Any) -> tuple[Ends, str]:
    """Returns the ends of the one connection that a selector waits for, or says what it waits for."""
    with harmless:  # as in `_said`
        keys = (selector.get_map() or {}).values()
        if len(keys) <= 2:  # there may be a wakeup beside it
            others = [key.fileobj for key in keys if not is_wakeup(key)]
            if len(others) == 1 and (ends := ends_of(socket_of(others[0])))[1]:
                return ends, ""
    return NOWHERE, _said(kinds_of_keys, (selector,), {}) or ""


def _unless_told(subject: str) -> Callable[..., str | None]:
    """Says that of a call, unless it is told not to wait, or to wait for no time: then it never does."""

    def said(_: Any, block: bool = True, timeout: float | None = None, blocking: bool = True) -> str | None:
        return subject if block and blocking and (timeout is None or timeout > 0) else None

    return said


def _within(subject: str) -> Callable[..., str | None]:
    """Says that of a call to which only a time can be told."""
    return lambda _, timeout=None: subject if timeout is None or timeout > 0 else None


_room = _unless_told("room in a queue")


WAITS: list[tuple[Any, str, Callable[..., str | None]]] = [
    (select, "select", kinds_in_lists),
    (time, "sleep", lambda seconds: f"{seconds:g} s" if seconds else None),
    (
        threading.Thread,
        "join",
        lambda one, timeout=None: _within(f"the end of {reference(one)}")(one, timeout),
    ),
    (threading.Event, "wait", _within("an event")),
    (threading.Condition, "wait", _within("a condition")),
    (threading.Semaphore, "__enter__", _unless_told("a semaphore")),
    (threading.Semaphore, "acquire", _unless_told("a semaphore")),
    (threading.Barrier, "wait", _within("a barrier")),
    (queue.Queue, "get", _unless_told("an item in a queue")),
    (
        queue.Queue,
        "put",
        lambda box, item=None, *told, **named: _room(box, *told, **named) if box.maxsize > 0 else None,
    ),
    (queue.Queue, "join", lambda _: "a queue to be worked off"),
]
"""Where, which method or function, and what it waits for; None if it never waits."""

_END = "the end of another process"
_ITEM = _unless_told("an item in a queue")

WAITS_OF_PROCESSES: dict[str, list[tuple[str, str, Callable[..., str | None]]]] = {
    "os": [
        ("", "waitpid", lambda _, options: None if options & getattr(os, "WNOHANG", 0) else _END),
        ("", "wait", lambda: _END),
    ],
    "subprocess": [
        ("Popen", "wait", _within(_END)),
        ("Popen", "communicate", lambda *_, **__: "the output and the end of another process"),
    ],
    "multiprocessing.process": [
        (
            "BaseProcess",
            "join",
            lambda one, timeout=None: _within(f"the end of {name_of(one)}")(one, timeout),
        ),
    ],
    "multiprocessing.connection": [
        ("_ConnectionBase", "recv", lambda _: "an object from the other end"),
        ("_ConnectionBase", "recv_bytes", lambda *_, **__: "bytes from the other end"),
        ("_ConnectionBase", "recv_bytes_into", lambda *_, **__: "bytes from the other end"),
    ],
    "multiprocessing.queues": [
        ("Queue", "get", _ITEM),
        ("SimpleQueue", "get", lambda _: "an item in a queue"),
        ("JoinableQueue", "join", lambda _: "a queue to be worked off"),
    ],
    "multiprocessing.synchronize": [
        (
            "SemLock",
            "__enter__",
            lambda one: "a lock of several processes" if is_taken(one._semlock) else None,
        ),
        ("Condition", "wait", _within("a condition")),
        ("Event", "wait", _within("an event")),
    ],
}
"""By module, in which class, which method or function, and what it waits for. No film imports these."""


def is_taken(lock: Any) -> bool:
    """Returns whether a thread has to wait for a lock of `multiprocessing`, as far as the system tells."""
    try:
        return lock._is_zero() and not (lock.kind == 0 and lock._is_mine())  # 0: its holder gets it again
    except NotImplementedError:
        return True


def name_of(process: Any) -> str:
    return str(process.name).replace("\0", "")


_LIMITS = {"join": 1, "wait": 1, "acquire": 2, "get": 2, "put": 3}
"""Which argument of each sets a time limit."""

_GETTING = ("get", "Connection.recv")
"""Those that return something of the program's: even to compare it might raise."""

CALLED = {
    "__enter__": "acquire",
    "recv": "Connection.recv",
    "recv_bytes": "Connection.recv_bytes",
    "recv_bytes_into": "Connection.recv_bytes_into",
}
"""What a method is called in a film, if not by its name."""


class _WatchedPoll(StandIn):
    """A poll object that is made while a film runs."""

    __slots__ = ("_files", "poll")

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        self._files = Registered()
        self.poll = watched_wait("poll", self._files.said, self._original.poll)

    def register(self, *args: Any, **kwargs: Any) -> Any:
        """Does what it does, and notes it."""
        result = self._original.register(*args, **kwargs)
        with harmless:
            self._files.add(args[0] if args else kwargs["fd"])
        return result

    def unregister(self, *args: Any, **kwargs: Any) -> Any:
        """The same."""
        with harmless:
            self._files.remove(args[0] if args else kwargs["fd"])
        return self._original.unregister(*args, **kwargs)

    def __enter__(self) -> Any:
        self._original.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._original.__exit__(*error)


def _watched_poll(original: Any) -> Any:
    """Stands in for `select.poll` and its like."""
    return stand_in(_WatchedPoll, original)


FACTORIES: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (select, "poll", _watched_poll),
    (select, "epoll", _watched_poll),
    (threading, "Lock", watched_lock),
    (threading, "RLock", watched_lock),
]
"""Where, which function that makes objects of C, and what to put in its place."""
