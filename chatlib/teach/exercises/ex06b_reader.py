"""Exercise 06b: a client that may sleep, as far as an outbox can tell."""

import socket
import threading
from collections.abc import Callable

PATIENCE = 1.0
"""Seconds that the check waits for another thread. It asks three times before it says that nothing came."""


class Reader:
    """Stands in for the socket of a client, which may sleep.

    How much a kernel takes for a client that reads nothing differs from one computer to the next. This one
    takes nothing: `sendall` waits from the first byte on, as that of a real socket does with a full buffer.
    """

    def __init__(self, asleep: bool) -> None:
        self.received: list[bytes] = []
        self.offered = 0
        """How many times `sendall` has been called."""
        self.cut_off = False
        self._asleep = asleep
        self._changed = threading.Condition()

    def sendall(self, data: bytes) -> None:
        """Returns when the client has read the bytes.

        Raises:
            BrokenPipeError: The connection was shut down, before or meanwhile.
        """
        with self._changed:
            self.offered += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.cut_off or not self._asleep)
            if self.cut_off:
                raise BrokenPipeError("the connection was shut down")
            self.received.append(bytes(data))
            self._changed.notify_all()

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """Cuts the client off, and wakes the thread that is in `sendall`."""
        with self._changed:
            self.cut_off = True
            self._changed.notify_all()

    close = shutdown

    def wake(self) -> None:
        """The client reads, from now on."""
        with self._changed:
            self._asleep = False
            self._changed.notify_all()

    def comes_to(self, condition: Callable[[], bool]) -> bool:
        """Waits until something is true of it; returns whether that came in time."""
        with self._changed:
            return self._changed.wait_for(condition, PATIENCE)
