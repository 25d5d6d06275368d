"""The calls of sockets: which bytes went from where to where, and which call took them."""

import _socket
import contextlib
import errno
import functools
import itertools
import selectors
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

from chatlib.film.recorder import NOWHERE, Recorder, enter, is_sending, leave, recorders
from chatlib.film.records import LEAVING, PAIR, RECEIVING, Ends

_ends: weakref.WeakKeyDictionary[socket.socket, Ends] = weakref.WeakKeyDictionary()
_pairs = itertools.count()
_pause = time.sleep  # the original: what we wait for is in no film

METHODS: dict[str, Callable[[Any, Any], int]] = {
    "recv": lambda arguments, result: len(result),
    "recv_into": lambda arguments, result: result,
    "recvfrom": lambda arguments, result: len(result[0]),
    "recvfrom_into": lambda arguments, result: result[0],
    "recvmsg": lambda arguments, result: len(result[0]),
    "recvmsg_into": lambda arguments, result: result[0],
    "send": lambda arguments, result: result,
    "sendall": lambda arguments, result: memoryview(arguments[0]).nbytes,
    "sendto": lambda arguments, result: result,
    "sendmsg": lambda arguments, result: result,
    "sendfile": lambda arguments, result: result,
    "accept": lambda arguments, result: 0,
    "connect": lambda arguments, result: 0,
    "connect_ex": lambda arguments, result: 0,
    "close": lambda arguments, result: 0,
    "shutdown": lambda arguments, result: 0,
}
"""The methods that are watched, and how many bytes each has moved."""

REALLY = {"close": "_real_close"}
"""`close` does nothing yet while there is a file that `makefile` made: what is watched is the end itself."""

_FLAGS_AT = {"recv": 1, "recvfrom": 1, "recv_into": 2, "recvfrom_into": 2, "recvmsg": 2, "recvmsg_into": 2}
"""Which argument of each says that it only looks at bytes, and leaves them where they are."""


def watched_method(name: str, original: Any) -> Any:
    """Stands in for a method of `socket.socket`."""
    measure, receives, leaves = METHODS[name], name in RECEIVING, name in LEAVING

    @functools.wraps(original)
    def watched(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        ends = ends_of(self) if recorders else None
        if ends is None or (leaves and not ends[1]):
            return original(self, *args, **kwargs)
        call = enter(name, ends, subject_of(ends))
        if call is None:
            return original(self, *args, **kwargs)
        if receives:
            _align(self, call.ends)
        size, outcome = 0, "failed"
        try:
            result = original(self, *args, **kwargs)
            size = measure(args, result)
            outcome = "end" if receives and not size else "done"
            if name == "accept":
                call.ends = ends_of(result[0])
            elif name in ("connect", "connect_ex"):
                outcome = _CONNECTED.get(result, "failed")
                _ends.pop(self, None)
                call.ends = ends_of(self)
            elif receives and (kwargs or len(args) > 1) and _only_looks(name, args, kwargs):
                size = 0
            return result
        except (OSError, KeyboardInterrupt) as error:
            outcome = _outcome_of(error)
            raise
        finally:
            leave(call, size, outcome)

    return watched


_CONNECTED = {None: "done", 0: "done", errno.EINPROGRESS: "nothing", errno.EWOULDBLOCK: "nothing"}


def _only_looks(name: str, args: Any, kwargs: Any) -> bool:
    flags = args[_FLAGS_AT[name] :][:1] or [kwargs.get("flags", 0)]
    return bool(flags[0] & socket.MSG_PEEK)


def ends_of(connection: socket.socket) -> Ends:
    """Returns the addresses of both ends, as far as they are known."""
    known = _ends.get(connection)
    if known:
        return known
    ends = NOWHERE
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        try:
            ends = (connection.getsockname()[:2], None)
            ends = (ends[0], connection.getpeername()[:2])
        except OSError:  # not connected; or closed
            return ends
    _ends[connection] = ends
    return ends


def subject_of(ends: Ends) -> str:
    """Returns what a call waits for, if that is not said by the ends of a connection."""
    return "" if ends[0] else "a socket"


def _align(connection: socket.socket, ends: Ends) -> None:
    """A connection may be older than a film: then it counts what lies there from before."""
    for recorder in tuple(recorders):
        if ends[1] and not recorder.streams.is_known(ends):
            _begin_to_count(recorder, connection, ends)


def _begin_to_count(recorder: Recorder, connection: socket.socket, ends: Ends) -> None:
    for _ in range(50):  # for 5 ms at most
        sent, pending = recorder.streams.sent_to(ends), _pending(connection)
        # The race: bytes have arrived here, but their `send` has not returned, and has not been counted.
        if not is_sending(ends[::-1]) and sent == recorder.streams.sent_to(ends):
            break
        _pause(0.0001)
    with recorder.lock:
        recorder.streams.align(ends, pending)


def _pending(connection: socket.socket) -> int:
    with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        if selector.select(0):
            return len(_socket.socket.recv(connection, 1 << 24, socket.MSG_PEEK))
    return 0


def watched_pair(original: Any) -> Any:
    """Stands in for `socketpair`: both ends get an address, having none, or on Windows one by chance."""

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        pair = original(*args, **kwargs)
        here, there = (PAIR, next(_pairs)), (PAIR, next(_pairs))
        _ends[pair[0]], _ends[pair[1]] = (here, there), (there, here)
        for recorder in tuple(recorders):
            for ends in (here, there), (there, here):
                recorder.streams.align(ends, 0)
        return pair

    return watched


def _outcome_of(error: BaseException) -> str:
    kinds: dict[type[BaseException], str] = {
        BlockingIOError: "nothing",
        TimeoutError: "timeout",
        ConnectionError: "reset",
        KeyboardInterrupt: "interrupted",
    }
    return next((outcome for kind, outcome in kinds.items() if isinstance(error, kind)), "failed")
