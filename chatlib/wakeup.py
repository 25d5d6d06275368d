"""Wakes a thread that waits in a selector, from any other thread, on every system."""

import contextlib
import socket


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
