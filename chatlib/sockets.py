"""What every socket needs, on every system: an address, options, a way to hang up, a way to be woken."""

import contextlib
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

Address = tuple[str, int]

LOOPBACK: Address = ("127.0.0.1", 0)
"""This computer only, on any free port."""

KEEPALIVE = {"TCP_KEEPALIVE": 60, "TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""After 60 s of silence the kernel asks every 10 s whether the peer is there; after 6 questions without an
answer the connection is broken. The first two names mean the same: systems differ."""


def checked(address: Any) -> Address:
    """Returns the host and the port of an address.

    Raises:
        TypeError: This is no such pair; the message shows what one looks like.
    """
    if isinstance(address, (tuple, list)) and len(address) >= 2:
        host, port = address[:2]
        if isinstance(host, str) and isinstance(port, int):
            return host, port
    raise TypeError(f'{address!r} is not an address: that is a pair like ("127.0.0.1", 9999)')


def is_loopback(host: str) -> bool:
    """Says whether only this computer can connect to a host."""
    with contextlib.suppress(ValueError):
        import ipaddress  # here: it takes longer than all the rest of this

        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Keepers:
    """Knows who has a port."""

    of: Callable[[int], str] = staticmethod(lambda port: "")
    """Says who has a port, and how to free it; nothing if that is not known. `background` hands it down."""


@contextlib.contextmanager
def explaining(address: Address) -> Iterator[None]:
    """Names the address in an error of `bind`, whose own message says only that some address is in use."""
    if not 0 <= address[1] <= 65535:
        raise OverflowError(f"{address[1]} is not a port: ports are numbers from 0 to 65535")
    try:
        yield
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        keeper = (Keepers.of(address[1]) or "; port 0 takes any free one") if in_use else ""
        reason = f"cannot listen on {address[0]}:{address[1]}: {error.strerror}{keeper}"
        raise type(error)(error.errno, reason) from None


def set_options(connection: socket.socket) -> None:
    """Has small lines sent at once, and a peer that vanished noticed within two minutes.

    Without TCP_NODELAY the kernel holds back a small segment until the one before is acknowledged (Nagle's
    algorithm), for up to 40 ms. Without SO_KEEPALIVE a peer that lost its power stays connected for ever.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if option := getattr(socket, name, None):  # each system has some of them
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def shut(connection: socket.socket) -> None:
    """Ends both directions of a connection, and keeps its descriptor open. Never blocks."""
    # Each half by itself: on macOS SHUT_RDWR raises if one half is shut already (websockets issue 1596), and
    # the other half would stay open.
    for half in (socket.SHUT_RD, socket.SHUT_WR):
        with contextlib.suppress(OSError):
            connection.shutdown(half)


def hang_up(connection: socket.socket) -> None:
    """Ends a connection, and wakes a thread that blocks in `recv` or `send` on it. Never blocks.

    The woken thread gets `b""` or an error, and has to close the socket.
    """
    shut(connection)
    # On Windows shutdown does not wake a thread that blocks in recv; close does (CPython issue 91913).
    # Elsewhere close would be wrong: on macOS it can undo the wake-up (issue 154224), and on every POSIX
    # system the kernel could give the descriptor's number to a new connection, which the other thread would
    # then read.
    if os.name == "nt":
        connection.close()


class Wakeup:
    """Wakes a thread that blocks in a selector: one end of a socket pair lies there, the other is written to.

    To close a socket that another thread waits on does not wake that thread on Linux. This works everywhere.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._reader.fileno()

    def set(self) -> None:
        """Wakes the waiting thread, from any thread. Never blocks; does nothing once closed."""
        with contextlib.suppress(OSError):  # a full buffer: the thread has enough to wake it already
            self._writer.send(b"!")

    def clear(self) -> None:
        """Takes the bytes out, so that the next `select` sleeps again."""
        with contextlib.suppress(OSError):
            self._reader.recv(4096)

    @contextlib.contextmanager
    def set_by_signals(self) -> Iterator[None]:
        """Lets signals set it, too, if this is the main thread, which is the one that handles them.

        A signal ends the sleep of a thread that sleeps already. It may come a moment earlier, when Python has
        looked for signals and the kernel has not yet put the thread to sleep; or the kernel may give it to
        another thread. Ctrl-C would then do nothing until the next client came.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def close(self) -> None:
        """Frees both descriptors."""
        self._reader.close()
        self._writer.close()
