"""One client of an event loop, from its first line to its last. Nothing here ever waits."""

import math
import socket
import time
from selectors import EVENT_READ, EVENT_WRITE

from chatlib.outbox import Outbox
from chatlib.servers.core.server import Server
from chatlib.servers.core.session import CHUNK, GOODBYE, begin, deliver, end, reason
from chatlib.wire import LineReader


class SelectorClient(Outbox):
    """A client's outbox, and how far the conversation with it has come.

    Args:
        server: Whose client it is.
        connection: Its socket, which does not block.
        name: What the journal calls it.
    """

    __slots__ = ("_has_left", "_heard_all", "_patience", "_reader", "_server", "deadline", "watched")

    def __init__(self, server: Server, connection: socket.socket, name: str) -> None:
        super().__init__(connection, name, server.flusher, server.limits.outbox)
        self._server, self._reader = server, LineReader(server.limits.line)
        self._patience = server.limits.idle
        self.deadline = math.inf
        """When this client has been silent for too long, on the clock of `time.monotonic`."""
        self.watched = 0
        """What the selector waits for."""
        self._has_left = self._heard_all = False

    def begin(self) -> None:
        """Tells the service that this client has come."""
        self._put_off()
        begin(self._server, self)

    def receive(self) -> None:
        """Takes what has come. What comes when the conversation has ended is dropped."""
        try:
            data = self.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.abort(reason(error))
            data = b""
        if not self._has_left:  # afterwards its time runs out, whatever still comes
            self._put_off()
        self._heard_all = not data
        if data and not self.ended:
            deliver(self._server, self, self._reader, data)
        if not data or self.ended:
            self.leave()

    def resume(self) -> bool:
        """Sends on, once the kernel has room; returns True when nothing is owed any more."""
        self._put_off()
        return super().resume()

    def leave(self) -> None:
        """Tells the service, once, that this client has left. What is owed to it is still sent."""
        if not self._has_left:
            self._has_left, self._patience = True, GOODBYE
            self._put_off()
            end(self._server, self)

    def interest(self) -> int:
        """Returns what to wait for now: EVENT_READ, EVENT_WRITE, both, or 0 when all is over."""
        if self.closed:
            self.leave()
            return 0
        if self._has_left and self.owed:
            return EVENT_WRITE
        if self._has_left:
            # Closing over unread bytes would send a reset, which overtakes our last words: it closes first.
            return EVENT_READ if self.ended and not self._heard_all else 0
        if self.stalled and self.owed > self._server.limits.high_water:
            # It sends faster than it reads its answers: before it is heard again, it must read some.
            return EVENT_WRITE
        return EVENT_READ | EVENT_WRITE if self.stalled else EVENT_READ

    def _put_off(self) -> None:
        self.deadline = time.monotonic() + self._patience
