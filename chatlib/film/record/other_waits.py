"""The calls that wait, but neither in a socket nor for a lock: selectors, queues, joins, events, sleeps.

Most of them are made of each other: a queue waits for a condition, a condition for a lock. Only the outermost
is noted, as that is what the program has asked for; `enter` sees to it. Each is a row in the table `WAITS`.
"""

import collections
import contextlib
import functools
import queue
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from chatlib.film.record import asyncio_tasks
from chatlib.film.record.locks import named_like, watched_lock
from chatlib.film.record.recorder import NOWHERE, Call, enter, leave, recorders, reference
from chatlib.film.record.socket_calls import ends_of
from chatlib.film.spans import Ends
from chatlib.sockets import Wakeup


def watched_wait(name: str, subject: Callable[..., str], original: Any) -> Any:
    """Stands in for a function that waits.

    Args:
        name: What to call it.
        subject: Returns what it waits for, from its arguments.
        original: The function.
    """

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        call = enter(name, subject=_said(subject, args)) if recorders else None
        return original(*args, **kwargs) if call is None else _followed(call, original, args, kwargs)

    return watched


def watched_select(original: Any) -> Any:
    """Stands in for the `select` of a selector: where an event loop waits, its tasks are looked at, too."""

    @functools.wraps(original)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if recorders:
            asyncio_tasks.look(sys._getframe().f_back)
        call = enter("select", *_waited_for(self)) if recorders else None
        args = (self, *args)
        return original(*args, **kwargs) if call is None else _followed(call, original, args, kwargs)

    return watched


def _followed(call: Call, original: Any, args: Any, kwargs: Any) -> Any:
    """Makes a call, and notes how it ended."""
    outcome = "failed"
    try:
        result = original(*args, **kwargs)
        outcome = "done"
        if call.name == "join" and isinstance(args[0], threading.Thread):
            outcome = "timeout" if args[0].is_alive() else "done"
        elif call.name != "get":  # what that returns is the program's: even to compare it might raise
            empty = call.name in ("select", "poll") and result in ([], ([], [], []))
            outcome = "timeout" if result is False or empty else "done"
        return result
    except (queue.Empty, queue.Full):
        outcome = "timeout"
        raise
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        leave(call, outcome=outcome)


def _said(subject: Callable[..., str], args: Any) -> str:
    """Returns what a call waits for. With wrong arguments, nothing: then the original fails, as it should."""
    try:
        return subject(*args)
    except Exception:
        return ""


def _waited_for(selector: Any) -> tuple[Ends, str]:
    """Returns the ends of the one connection that a selector waits for, or says what it waits for."""
    with contextlib.suppress(Exception):  # as in `_said`
        keys = (selector.get_map() or {}).values()
        if len(keys) <= 2:  # there may be a wakeup beside it
            others = [key.fileobj for key in keys if _kind_of(key) != "wakeup"]
            if len(others) == 1 and (ends := ends_of(others[0]))[1]:
                return ends, ""
    return NOWHERE, _said(sockets_of, (selector,))


_MANY = 50  # sockets: to look at each would hold up a loop of thousands each time that it waits


def sockets_of(selector: Any) -> str:
    """Says what a selector waits for. A server registers itself, an event loop the bare descriptors.

    Another thread may change the map meanwhile: then `_said` answers nothing, rather than that the call
    fails.
    """
    keys = (selector.get_map() or {}).values()
    if len(keys) > _MANY:
        return _any_of(len(keys))
    kinds = collections.Counter(map(_kind_of, keys))
    listens, count = kinds["listener"] > 0, kinds["connection"]
    return " or ".join(["a connection"] * listens + [_any_of(count)] * (count > 0)) or "an event"


def _kind_of(key: selectors.SelectorKey) -> str:
    """Returns `listener`, `connection`, or `wakeup` for what only ends the wait."""
    handle = key.data[0] if isinstance(key.data, tuple) and key.data else None  # of an event loop
    callback = getattr(getattr(handle, "_callback", None), "__name__", "")
    if callback == "_read_from_self" or isinstance(key.fileobj, Wakeup):
        return "wakeup"
    file = getattr(key.fileobj, "socket", key.fileobj)
    if isinstance(file, socket.socket) and not ends_of(file)[1]:
        return "listener" if file.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else "connection"
    return "listener" if callback == "_accept_connection" else "connection"


def _any_of(count: int) -> str:
    return "a socket" if count == 1 else f"any of {count} sockets"


WAITS: list[tuple[Any, str, Callable[..., str]]] = [
    (select, "select", lambda *lists: _any_of(sum(map(len, lists[:3])))),
    (time, "sleep", lambda seconds: f"{seconds:g} s"),
    (threading.Thread, "join", lambda thread, *_: f"the end of {reference(thread)}"),
    (threading.Event, "wait", lambda *_: "an event"),
    (threading.Condition, "wait", lambda *_: "a condition"),
    (threading.Semaphore, "__enter__", lambda *_: "a semaphore"),
    (threading.Semaphore, "acquire", lambda *_: "a semaphore"),
    (threading.Barrier, "wait", lambda *_: "a barrier"),
    (queue.Queue, "get", lambda *_: "an item in a queue"),
    (queue.Queue, "put", lambda *_: "room in a queue"),
    (queue.Queue, "join", lambda *_: "a queue to be worked off"),
]
"""Where, which method or function, and what it waits for."""

CALLED = {"__enter__": "acquire"}
"""What a method is called in a film, if not by its name."""


def _watched_poll(original: Any) -> Any:
    """Stands in for `select.poll` and its like, whose objects are of C."""

    class WatchedPoll:
        fromfd = getattr(original, "fromfd", None)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._poll = original(*args, **kwargs)
            self.poll = watched_wait("poll", lambda *_: "any of its sockets", self._poll.poll)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._poll, name)

        def __enter__(self) -> Any:
            self._poll.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._poll.__exit__(*error)

    return named_like(original, WatchedPoll)


FACTORIES: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (select, "poll", _watched_poll),
    (select, "epoll", _watched_poll),
    (threading, "Lock", watched_lock),
    (threading, "RLock", watched_lock),
]
"""Where, which function that makes objects of C, and what to put in its place."""
