"""The calls of sockets: which bytes went from where to where, and which call took them.

The methods of `socket.socket` are replaced in the class, so that sockets which exist already are watched,
too. Each stand-in does the same: it notes that the call begins, lets the original do the work, and notes in
a `finally` how it ended. Nothing here may fail in a way that the program would see: what is only noted is
`harmless`, and arguments are handed on as they came.
"""

import _socket
import functools
import itertools
import os
import selectors
import socket
import sys
import weakref
from collections.abc import Callable
from typing import Any

from chatlib.film.record.call import Call
from chatlib.film.record.harmless import harmless, is_of_handler
from chatlib.film.record.recorder import NOWHERE, enter, is_sending, leave, pause, recorders
from chatlib.film.spans import LEAVING, PAIR, RECEIVING, Ends
from chatlib.sockets import Address

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl
    import termios

_ends: dict[int, tuple[Ends, object]] = {}
_shut: dict[int, tuple[bool, object]] = {}
"""What is known of sockets, by their `id`. Beside it stands what forgets it, when the socket is freed."""

_pairs = itertools.count()

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
"""Which argument of each says that it only looks at bytes and leaves them there, or that it does not wait."""

# Numbers: to ask an enum takes a microsecond.
_PEEK = int(socket.MSG_PEEK)
_AT_ONCE = int(getattr(socket, "MSG_DONTWAIT", 0))  # Windows has no such thing


def watched_method(name: str, original: Any) -> Any:
    """Stands in for a method of `socket.socket`."""
    leaves, prepares = name in LEAVING, name in _PREPARED

    @functools.wraps(original)
    def watched(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        ends = ends_of(self) if recorders else None
        if ends is None or (leaves and None in ends):  # only a connection is left
            return original(self, *args, **kwargs)
        said = subject_of(self) if ends == NOWHERE else ""
        limit = limit_of(self, name, args, kwargs)
        call = enter(name, ends, said, 2, limit != 0)
        if call is None:
            return original(self, *args, **kwargs)
        call.endless = limit is None
        size, outcome = 0, "failed"
        try:
            if prepares:
                with harmless:  # odd arguments are the call's own affair
                    _prepare(self, call, args)
            result = original(self, *args, **kwargs)
            try:
                size, outcome = _read(self, call, args, kwargs, result)
            except Exception as error:  # of a method that the program had replaced by one of its own
                if is_of_handler(error.__traceback__):
                    raise
                outcome = "done"
            return result
        except (OSError, KeyboardInterrupt) as error:
            outcome = _outcome_of(error)
            raise
        finally:
            leave(call, size, outcome)

    # A method of C does not say it; by that, and by the name of its class, it is pickled.
    watched.__module__ = getattr(original, "__module__", socket.socket.__module__)
    return watched


_timeout_of = _socket.socket.timeout.__get__  # of C: a class of the program's may say anything


def limit_of(self: socket.socket, name: str, args: Any, kwargs: Any) -> float | None:
    """Returns for how many seconds a call waits at most, 0 if it returns at once; None if there is no limit.

    With a time to wait, Python waits despite flags.
    """
    seconds: float | None = _timeout_of(self)
    if seconds is None and (kwargs or len(args) > 1) and name in _FLAGS_AT:
        return 0 if _flags_of(name, args, kwargs) & _AT_ONCE else None
    return seconds


def _flags_of(name: str, args: Any, kwargs: Any) -> int:
    at = _FLAGS_AT[name]
    flags = args[at] if len(args) > at else kwargs.get("flags")
    # A number of a class of the program's is not asked: it may count that, or raise.
    return int(flags) if type(flags) in (int, socket.MsgFlag) else 0


_PREPARED = RECEIVING | {"shutdown", "connect", "connect_ex", "sendto"}


def _prepare(self: socket.socket, call: Call, args: Any) -> None:
    """Notes what is known only before the call, or has to be known before it ends."""
    if call.name in RECEIVING:
        _align(self, call.ends)
    elif call.name == "shutdown" and args != (socket.SHUT_WR,):
        _remember(_shut, self, True)  # before the call: it wakes another thread, which then asks why
    elif call.name in ("connect", "connect_ex"):  # while it waits, the socket itself does not know
        if isinstance(args[0], tuple):
            call.ends, call.subject = (call.ends[0], _address(args[0])), ""
        else:
            call.subject = "a server"  # the file by which it is found says nothing to a reader
    elif call.ends == NOWHERE:
        _name_peer(call, args[-1])


def _read(self: socket.socket, call: Call, args: Any, kwargs: Any, result: Any) -> tuple[int, str]:
    """Returns how many bytes a call has moved, and how it ended; notes between which ends it was."""
    size, outcome = METHODS[call.name](args, result), "done"
    if call.name in RECEIVING:
        if _flags_of(call.name, args, kwargs) & _PEEK:
            size = 0  # it has only looked: the bytes lie there for another call
        elif not size:
            outcome = _end_of(self, args)
        if call.ends == NOWHERE and isinstance(result, tuple):
            _name_peer(call, result[-1])
    elif call.name == "accept":
        call.ends = ends_of(result[0])
    elif call.name in ("connect", "connect_ex"):
        outcome = _outcome_of(OSError(result, "")) if result else "done"
        _ends.pop(id(self), None)  # it has a peer now
        call.ends = ends_of(self) if ends_of(self)[1] else call.ends
    return size, outcome


def _name_peer(call: Call, address: Any) -> None:
    """Notes where a datagram comes from, or goes to, if by host and port: its socket has no peer."""
    match address:
        case (str(), int(), *_):
            call.ends, call.subject = (None, _address(address)), ""


def _end_of(self: socket.socket, args: Any) -> str:
    """Returns what it means that a call has received no bytes: mostly that the connection has ended."""
    asked = args[0] if args else 1
    asks = asked != 0 if isinstance(asked, int) else not isinstance(asked, bytearray) or len(asked) > 0
    if not asks or self.type != socket.SOCK_STREAM:  # a datagram may be empty
        return "done"
    return "shut" if id(self) in _shut else "end"


def ends_of(connection: socket.socket) -> Ends:
    """Returns the addresses of both ends, as far as they are known."""
    ends = NOWHERE
    try:
        if known := _ends.get(id(connection)):
            return known[0]
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            stream = connection.type == socket.SOCK_STREAM  # a datagram may get lost: nobody counts its bytes
            ends = (_address(connection.getsockname()) if stream else None, None)
            ends = (ends[0], _address(connection.getpeername()))
        _remember(_ends, connection, ends)
    except Exception as error:  # it is not connected, or closed; or of a class of the program's
        if is_of_handler(error.__traceback__):
            raise
    return ends


def _remember(known: dict[int, Any], connection: socket.socket, what: object) -> None:
    """Notes something of a socket, until it is freed. By `id`: a class of the program's may not be hashable.

    C alone forgets it, unlike a weak dictionary: a function of Python's that runs when something is freed
    would lose what the handler of a signal raises in it.
    """
    key = id(connection)
    known[key] = what, weakref.ref(connection, functools.partial(known.pop, key))


def _address(found: Any) -> Address:
    """Returns host and port. A server for both IPv4 and IPv6 sees an IPv4 address inside one of IPv6."""
    return found[0].removeprefix("::ffff:"), found[1]


def subject_of(connection: socket.socket) -> str:
    """Returns what a call waits for, if no end of a connection is known."""
    kind = _socket.socket.type.__get__(connection)  # of C: a class of the program's may say anything
    return "a datagram" if kind == socket.SOCK_DGRAM else "the other end"


def _align(connection: socket.socket, ends: Ends) -> None:
    """Counts what lies there from before, if a connection is older than a film. Blocks for 5 ms at most.

    The race: bytes have arrived here, but their `send` has not returned in the other thread, and has not been
    counted. Both numbers are only right together when no send is under way, and none has ended meanwhile.
    """
    for recorder in tuple(recorders):
        if not ends[1] or recorder.offsets.is_known(ends):
            continue
        for _ in range(50):
            sent, pending = recorder.offsets.sent_to(ends), _pending(connection)
            if not is_sending(ends[::-1]) and sent == recorder.offsets.sent_to(ends):
                break
            pause(0.0001)
        recorder.align(ends, pending)


def _pending(connection: socket.socket) -> int:
    """Returns how many bytes lie unread.

    Asks the kernel, where that can be: to look with `recv` would take away an error that is pending, and the
    program would never see the reset.
    """
    with harmless:
        if fcntl:
            answer = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
            return int.from_bytes(answer, sys.byteorder)
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            if selector.select(0):
                return len(_socket.socket.recv(connection, 1 << 24, socket.MSG_PEEK))
    return 0


def watched_pair(original: Any) -> Any:
    """Stands in for `socketpair`: both ends get an address, having none, or on Windows one by chance."""

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        pair = original(*args, **kwargs)
        if recorders:
            with harmless:  # as in `watched_method`
                name_ends(*pair)
        return pair

    return watched


def name_ends(one: socket.socket, other: socket.socket) -> None:
    if one.type != socket.SOCK_STREAM:
        return
    own = (
        os.getpid() << 20
    )  # processes number their pairs each for itself, a forked one goes on as its parent
    here, there = (PAIR, own + next(_pairs)), (PAIR, own + next(_pairs))
    _remember(_ends, one, (here, there))
    _remember(_ends, other, (there, here))
    for recorder in tuple(recorders):
        for ends in (here, there), (there, here):
            recorder.align(ends, 0)


_OUTCOMES: dict[type[BaseException], str] = {
    BlockingIOError: "nothing",
    TimeoutError: "timeout",
    ConnectionError: "reset",
    KeyboardInterrupt: "interrupted",
}


def _outcome_of(error: BaseException) -> str:
    return next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), "failed")
