"""Watches the calls of this process that may wait. The only file that changes anything of Python's own.

Methods are replaced in the classes that define them. So it sees sockets that exist already, accepted ones,
those of `from socket import *`, the readers that `makefile` gives, and asyncio. It cannot see a lock that was
made before (locks are C objects; those made while somebody watches are seen), a function that was imported by
name before from `time` or `select`, a `select.poll` object, and what code in C does by itself.
"""

import functools
import queue
import select
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from chatlib.film.places import origin
from chatlib.film.recorder import Recorder, enter, leave, recorders
from chatlib.film.records import LEAVING, RECEIVING, Ends

_undo: list[Callable[[], None]] = []
_patching = threading.Lock()
_ends: weakref.WeakKeyDictionary[socket.socket, Ends | None] = weakref.WeakKeyDictionary()


def watch(recorder: Recorder) -> None:
    """Begins to tell this recorder of each call."""
    with _patching:
        if not recorders:
            _patch()
        recorders.append(recorder)


def unwatch(recorder: Recorder) -> None:
    """Ends that; harmless when called twice. After the last recorder every class is as it was."""
    with _patching:
        if recorder in recorders:
            recorders.remove(recorder)
        while _undo and not recorders:
            _undo.pop()()


def _patch() -> None:
    for name in SOCKET_METHODS:
        if hasattr(socket.socket, name):  # Windows has no recvmsg and no sendmsg
            _replace(socket.socket, name, functools.partial(_watched_socket, name))
    for owner in vars(selectors).values():
        if isinstance(owner, type) and "select" in vars(owner):
            _replace(owner, "select", functools.partial(_watched_wait, "select", _sockets_of))
    for owner, name, call, subject in WAITS:
        _replace(owner, name, functools.partial(_watched_wait, call, subject))
    _replace(threading, "Lock", _watched_lock)
    _replace(threading, "RLock", _watched_lock)


def _replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    own = name in vars(owner)  # sockets inherit most of their methods from C: then ours is taken away again
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    _undo.append(lambda: setattr(owner, name, original) if own else delattr(owner, name))


# Sockets

SOCKET_METHODS: dict[str, Callable[[Any, Any], int]] = {
    "recv": lambda arguments, result: len(result),
    "recv_into": lambda arguments, result: result,
    "recvmsg": lambda arguments, result: len(result[0]),
    "send": lambda arguments, result: result,
    "sendall": lambda arguments, result: memoryview(arguments[0]).nbytes,
    "sendmsg": lambda arguments, result: result,
    "accept": lambda arguments, result: 0,
    "connect": lambda arguments, result: 0,
    "close": lambda arguments, result: 0,
    "shutdown": lambda arguments, result: 0,
}
"""The methods that are watched, and how many bytes each has moved."""


def _watched_socket(name: str, original: Any) -> Any:
    measure, receives, leaves = SOCKET_METHODS[name], name in RECEIVING, name in LEAVING

    @functools.wraps(original)
    def watched(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        ends = ends_of(self) if recorders else None
        call = None if ends is None or (leaves and not ends[1]) else enter(name, ends)
        if call is None:
            return original(self, *args, **kwargs)
        size, outcome = 0, "failed"
        try:
            result = original(self, *args, **kwargs)
            size = measure(args, result)
            outcome = "end" if receives and not size else "done"
            if name == "accept":
                call.ends = (call.ends[0], result[1][:2])
            elif name == "connect":
                call.ends = ends_of(self) or call.ends
            elif receives and socket.MSG_PEEK in (*args[1:], *kwargs.values()):
                size = 0  # it has only looked at them
            return result
        except OSError as error:
            outcome = _outcome_of(error)
            raise
        finally:
            leave(call, size, outcome)

    return watched


def ends_of(connection: socket.socket) -> Ends | None:
    """Returns the addresses of both ends as far as they are known; None for what is no connection by TCP."""
    known = _ends.get(connection, _ends)
    if known is not _ends:
        return known  # type: ignore[return-value]
    ends: Ends | None = None
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        try:
            ends = (connection.getsockname()[:2], None)
            ends = (ends[0], connection.getpeername()[:2])
        except OSError:  # not connected; or closed
            return ends
    _ends[connection] = ends
    return ends


def _outcome_of(error: OSError) -> str:
    kinds = {BlockingIOError: "nothing", TimeoutError: "timeout", ConnectionError: "reset"}
    return next((outcome for kind, outcome in kinds.items() if isinstance(error, kind)), "failed")


# Everything else that waits


def _watched_wait(name: str, subject: Callable[..., str], original: Any) -> Any:
    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        call = enter(name, subject=subject(*args)) if recorders else None
        if call is None:
            return original(*args, **kwargs)
        outcome = "failed"
        try:
            result = original(*args, **kwargs)
            outcome = "timeout" if result in (False, [], ([], [], [])) else "done"
            return result
        except (queue.Empty, queue.Full):
            outcome = "timeout"
            raise
        finally:
            leave(call, outcome=outcome)

    return watched


def _sockets_of(selector: selectors.BaseSelector, *_: Any) -> str:
    """Says what a selector waits for. A server registers itself, an event loop the bare descriptors."""
    files = [getattr(key.fileobj, "socket", key.fileobj) for key in (selector.get_map() or {}).values()]
    ends = [ends_of(file) for file in files if isinstance(file, socket.socket)]
    listens = any(end and not end[1] for end in ends)
    count = sum(bool(end and end[1]) for end in ends) + sum(isinstance(file, int) for file in files)
    return " or ".join(["a connection"] * listens + [_any_of(count)] * (count > 0)) or "an event"


def _any_of(count: int) -> str:
    return "a socket" if count == 1 else f"any of {count} sockets"


WAITS: list[tuple[Any, str, str, Callable[..., str]]] = [
    (select, "select", "select", lambda *lists: _any_of(sum(map(len, lists[:3])))),
    (time, "sleep", "sleep", lambda seconds: f"{seconds:g} s"),
    (threading.Thread, "join", "join", lambda thread, *_: f"the thread {thread.name!r}"),
    (threading.Event, "wait", "wait", lambda *_: "an event"),
    (threading.Condition, "wait", "wait", lambda *_: "a condition"),
    (threading.Semaphore, "acquire", "acquire", lambda *_: "a semaphore"),
    (threading.Barrier, "wait", "wait", lambda *_: "a barrier"),
    (queue.Queue, "get", "get", lambda *_: "an item in a queue"),
    (queue.Queue, "put", "put", lambda *_: "room in a queue"),
    (queue.Queue, "join", "join", lambda *_: "a queue to be worked off"),
]
"""Where, which method or function, what to call it, and what it waits for."""


def _watched_lock(original: Any) -> type:
    """Returns a class to stand in for `Lock` or `RLock`: its locks know who holds them."""

    class WatchedLock:
        def __init__(self) -> None:
            self._lock = original()
            self._holder = 0

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            taken = bool(self._lock.acquire(False))
            if not taken and blocking:
                taken = self._wait(timeout)
            if taken:
                self._holder = threading.get_ident()
            return taken

        __enter__ = acquire

        def __exit__(self, *_: object) -> None:
            self._lock.release()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lock, name)

        def _wait(self, timeout: float) -> bool:
            if origin(sys._getframe(2).f_code.co_filename) == "library":  # a part of something larger
                return bool(self._lock.acquire(True, timeout))
            holders = (thread.name for thread in threading.enumerate() if thread.ident == self._holder)
            call = enter("acquire", subject=f"the lock that {next(holders, 'somebody')!r} holds")
            taken = False
            try:
                taken = bool(self._lock.acquire(True, timeout))
                return taken
            finally:
                if call:
                    leave(call, outcome="done" if taken else "timeout")

    return WatchedLock
