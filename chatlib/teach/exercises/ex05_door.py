"""For exercise 05: a listener by which a server can be held up in the middle of a broadcast."""

import socket
import threading
from typing import Any

LONG = 60.0
"""Seconds that a send is held at most, if the check does not let it go before."""


class Guest(socket.socket):
    """A connection, as the server has it. What is sent there can be held up.

    Args:
        connection: What was accepted; this takes its place.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(fileno=connection.detach())
        self.reached, self._open = threading.Event(), threading.Event()
        self._open.set()

    def hold(self) -> None:
        """From now on, a send waits. The first one sets `reached`."""
        self.reached.clear()
        self._open.clear()

    def let_go(self) -> None:
        """Sends wait no longer."""
        self._open.set()

    def send(self, *args: Any) -> int:
        """Sends, if it is not held up."""
        self._wait()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        """Sends all, if it is not held up."""
        self._wait()
        super().sendall(*args)

    def _wait(self) -> None:
        self.reached.set()
        self._open.wait(LONG)


class Door(socket.socket):
    """The listener of a server, which takes the place of its own.

    Args:
        listener: Its own.
    """

    def __init__(self, listener: socket.socket) -> None:
        timeout = listener.gettimeout()
        super().__init__(fileno=listener.detach())
        self.settimeout(timeout)
        self.guests: dict[Any, Guest] = {}
        """All that were accepted, by the address of the client."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accepts a client. Blocks as the listener did."""
        connection, address = super().accept()
        self.guests[address] = Guest(connection)
        return self.guests[address], address
