"""What sort of files a thread waits for: a listener, a socket, a datagram, the keyboard, a pipe.

This is asked at each `select`, and nothing of the program's is run for it: no `fileno` of a class of its own.
"""

import _socket
import collections
import os
import selectors
import socket
import stat
from collections.abc import Collection, Iterable
from typing import Any
from weakref import ref

from chatlib.film.record.harmless import harmless
from chatlib.film.record.socket_calls import ends_of
from chatlib.sockets import Wakeup

_MANY = 50  # sockets: to look at each would hold up a loop of thousands each time that it waits
_WITH_NUMBER = ("_io", "multiprocessing.connection")  # where classes are defined whose `fileno` is Python's


def kinds_of_keys(selector: Any) -> str:
    """Says what a selector waits for.

    Another thread may change the map meanwhile: then this fails, and nothing is said, rather than that the
    call fails.
    """
    keys = (selector.get_map() or {}).values()
    return _any_of(len(keys)) if len(keys) > _MANY else _any_kind_of(map(kind_of_key, keys))


def kinds_in_lists(*lists: Collection[Any]) -> str:
    """Says what `select.select` waits for. First their lengths: a generator has none, and is not used up."""
    if (count := sum(map(len, lists[:3]))) > _MANY:
        return _any_of(count)
    files = {id(file): file for files in lists[:3] for file in files}  # to read and to write is one wait
    return _any_kind_of(map(_kind_of, files.values()))


class Registered:
    """What a poll object of C waits for, as that cannot be asked. Keeps no socket open."""

    def __init__(self) -> None:
        self._files: dict[int, Any] = {}

    def add(self, file: Any) -> None:
        """Notes what the program has registered: a socket, a file, a descriptor."""
        known = socket_of(file)
        self._files[_number_of(file)] = None if known is None else ref(known)

    def remove(self, file: Any) -> None:
        """Notes that it is waited for no more."""
        self._files.pop(_number_of(file), None)

    def said(self, *_: Any, **__: Any) -> str:
        """Says what is waited for now: no socket that has been closed since."""
        files = self._files.copy()
        if len(files) > _MANY:
            return _any_of(len(files))
        now = [(number, known() if known else number) for number, known in files.items()]
        return _any_kind_of(_kind_of(file) for number, file in now if _number_of(file) == number)


def _any_kind_of(kinds: Iterable[str]) -> str:
    """Says what is waited for: `a connection or a socket or standard input`."""
    count = collections.Counter(kinds)
    return (
        " or ".join(_SAID.get(kind) or _any_of(count[kind], kind) for kind in _KINDS if count[kind])
        or "an event"
    )


_KINDS = ("listener", "socket", "datagram", "input", "pipe", "file", "descriptor")
_SAID = {"listener": "a connection", "datagram": "a datagram", "input": "standard input"}


def is_wakeup(key: selectors.SelectorKey) -> bool:
    """Whether a file only ends the wait: a pipe of a server's own, or of an event loop's."""
    handle = _handle_of(key)
    if handle is not None:
        return getattr(handle._callback, "__name__", "") == "_read_from_self"
    return isinstance(key.fileobj, Wakeup)


def kind_of_key(key: selectors.SelectorKey) -> str:
    """Returns what sort of file is waited for, or `wakeup` for what only ends the wait."""
    if is_wakeup(key):
        return "wakeup"
    if (handle := _handle_of(key)) is not None:
        callback = handle._callback
        owner = type(getattr(callback, "__self__", None))
        if getattr(callback, "__name__", "") == "_accept_connection":
            return "listener"
        if owner.__module__ == "asyncio.selector_events":  # a transport: the system is not asked each time
            return "datagram" if "Datagram" in owner.__name__ else "socket"
    return _kind_of(key.fileobj, key.fd)


def _handle_of(key: selectors.SelectorKey) -> Any:
    """Returns what an event loop calls when a file is ready; None if this is no loop's. Asks nothing else."""
    handle = key.data[0] if isinstance(key.data, tuple) and key.data else None
    return handle if type(handle).__module__ == "asyncio.events" else None


def _kind_of(file: Any, number: int = -1) -> str:
    """Returns the sort of a file: `input` is what is mostly the keyboard."""
    if (found := socket_of(file)) is not None:
        if ends_of(found)[1]:
            return "socket"
        if _socket.socket.type.__get__(found) == socket.SOCK_DGRAM:
            return "datagram"
        return "listener" if _listens(found) else "socket"
    with harmless:  # Windows: a socket is no file, and nothing else can be waited for
        number = _number_of(file) if number < 0 else number
        mode = os.fstat(number).st_mode
        if not stat.S_ISSOCK(mode):
            kind = "pipe" if stat.S_ISFIFO(mode) else "file" if stat.S_IFMT(mode) else "descriptor"
            return "input" if number == 0 else kind
    return "socket"


def _listens(found: socket.socket) -> bool:
    """Whether a socket waits for clients. macOS does not tell: there, it has a port, and no peer."""
    try:
        return bool(_socket.socket.getsockopt(found, socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        local = ends_of(found)[0]
        return local is not None and local[1] != 0


def socket_of(file: Any) -> Any:
    """Returns the socket that is waited for, be it a server's; None if it is none."""
    found = file if issubclass(type(file), socket.socket) else getattr(file, "__dict__", {}).get("socket")
    return found if issubclass(type(found), socket.socket) else None


def _number_of(file: Any) -> int:
    """Returns the descriptor of a file; a number that is none, if only the program could tell."""
    if isinstance(file, int):
        return file
    if issubclass(type(file), socket.socket):
        return _socket.socket.fileno(file)
    return file.fileno() if type(file).__module__ in _WITH_NUMBER else -id(file)


def _any_of(count: int, kind: str = "socket") -> str:
    return f"a {kind}" if count == 1 else f"any of {count} {kind}s"
