"""What every socket needs, on every system: an address, a way to hang up, a way to be woken."""

import contextlib
import os
import socket
from typing import Any

Address = tuple[str, int]

LOOPBACK: Address = ("127.0.0.1", 0)
"""This computer only, on any free port."""


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


def shut(connection: socket.socket) -> None:
    """Ends both directions of a connection, and keeps its descriptor. Never waits."""
    # Each half by itself: on macOS SHUT_RDWR raises if one half is shut already (websockets issue 1596).
    for half in (socket.SHUT_RD, socket.SHUT_WR):
        with contextlib.suppress(OSError):
            connection.shutdown(half)


def hang_up(connection: socket.socket) -> None:
    """Ends a connection that another thread may be waiting on, and wakes that thread. Never waits."""
    shut(connection)
    # On Windows shutdown does not wake a thread that waits in recv; close does (CPython issue 91913). Nowhere
    # else may we close here: on macOS a close can undo the wake-up (issue 154224), and on every POSIX system
    # the descriptor's number could be given to a new connection while the other thread still uses it.
    if os.name == "nt":
        connection.close()


class Wakeup:
    """A pair of connected sockets: one end lies in the selector, a byte into the other end wakes it.

    Closing a socket that another thread waits on wakes nobody on Linux; this does, everywhere.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._reader.fileno()

    def set(self) -> None:
        """Wakes the waiting thread. Never waits; nothing happens once closed."""
        with contextlib.suppress(OSError):  # full: it is awake already
            self._writer.send(b"!")

    def clear(self) -> None:
        """Takes the bytes out, so that the next wait waits again."""
        with contextlib.suppress(OSError):
            self._reader.recv(4096)

    def close(self) -> None:
        """Frees both descriptors."""
        self._reader.close()
        self._writer.close()
