"""One client of a selector's event loop, from its first line to its last. Nothing here ever blocks.

A thread that serves one client remembers by its place in the program what comes next. Here the thread serves
all clients, so each of them notes how far it has come, and `interest` says what must happen next:

    talks      -> receives; while it is owed too much, it only takes
    has left   -> takes what it is owed; then, if this side ended the conversation, has to close
    is over    -> 0: the loop closes the connection
"""

import math
import socket
import time
from selectors import EVENT_READ, EVENT_WRITE

from chatlib.outbox import Outbox
from chatlib.servers.core.server import Server
from chatlib.servers.core.session import CHUNK, GOODBYE, begin_session, deliver, end_session, reason
from chatlib.wire import LineReader


class SelectorClient(Outbox):
    """A client's outbox, and how far the conversation with it has come.

    Args:
        server: The server that it is a client of.
        connection: Its socket, which does not block.
        name: What the journal calls it.
    """

    __slots__ = ("_has_left", "_heard_all", "_lines", "_patience", "_server", "deadline", "watched")

    def __init__(self, server: Server, connection: socket.socket, name: str) -> None:
        super().__init__(connection, name, server.flusher, server.limits.outbox)
        self._server, self._lines = server, LineReader(server.limits.line)
        self._patience = server.limits.idle
        self.deadline = math.inf
        """When this client has been silent for too long, on the clock of `time.monotonic`."""
        self.watched = 0
        """What the selector watches it for: the last `interest` that was passed on."""
        self._has_left = self._heard_all = False

    def begin(self) -> None:
        """Tells the service that this client has come."""
        self._postpone_deadline()
        begin_session(self._server.service, self, self._server.flusher)

    def receive(self) -> None:
        """Delivers what has come. What comes after the end of the conversation is dropped."""
        try:
            chunk = self.connection.recv(CHUNK)
        except BlockingIOError:  # the selector woke the loop for nothing, which it may
            return
        except OSError as error:
            self.abort(reason(error))
            chunk = b""
        # A client that was told to go gets no more time by talking on.
        if not self._has_left:
            self._postpone_deadline()
        self._heard_all = not chunk
        if chunk and not self.ended:
            deliver(self._server.service, self, self._lines, chunk)
        if not chunk or self.ended:
            self.leave()

    def send_on(self) -> bool:
        """Sends more, once the kernel has room; returns True when nothing is owed any more."""
        self._postpone_deadline()  # room in the buffer means that the client reads
        return super().send_on()

    def leave(self) -> None:
        """Tells the service, once, that this client has left. What it is owed is still sent."""
        if not self._has_left:
            self._has_left, self._patience = True, GOODBYE
            self._postpone_deadline()
            end_session(self._server.service, self, self._server.flusher)

    def interest(self) -> int:
        """Returns what to wait for now: EVENT_READ, EVENT_WRITE, both, or 0 when all is over."""
        if self.closed:
            self.leave()
            return 0
        if self._has_left and self.owed:
            return EVENT_WRITE
        if self._has_left:
            # As in `lingering_close`: the client has to close first, or a reset would overtake the last
            # bytes.
            return EVENT_READ if self.ended and not self._heard_all else 0
        if self.stalled and self.owed > self._server.limits.high_water:
            # Backpressure: it sends faster than it reads its answers. Before more is read, it must read some.
            return EVENT_WRITE
        # EVENT_WRITE only while something waits: a socket with room is always ready, and the loop would spin.
        return EVENT_READ | EVENT_WRITE if self.stalled else EVENT_READ

    def _postpone_deadline(self) -> None:
        self.deadline = time.monotonic() + self._patience
