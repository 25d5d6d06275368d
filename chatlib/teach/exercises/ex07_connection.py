"""For exercise 07: both ends of a connection, and what can be done to one of them."""

import contextlib
import socket
from collections.abc import Iterator

from chatlib.client import DISCARD
from chatlib.sockets import LOOPBACK

PATIENCE = 5.0
"""Seconds for what comes at once, however busy the computer is."""


@contextlib.contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yields both ends of a connection by TCP: the pair of `socket.socketpair` knows no reset."""
    with socket.create_server(LOOPBACK) as listener:
        there = socket.create_connection(listener.getsockname(), PATIENCE)
        here, _ = listener.accept()
    with here, there:
        yield here, there


def reset(end: socket.socket) -> None:
    """Breaks the connection off, from this end (RST)."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
    end.close()


def wake(end: socket.socket) -> None:
    """Wakes a thread that waits in `recv` on this end, which then gets `b""`."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
