"""What both event loops share: sockets that never block, and one thread that serves all clients."""

import socket
from collections.abc import Callable
from typing import Any

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.core.server import Server
from chatlib.sockets import Address, shut


class LoopFlusher(Flusher):
    """The flusher of an event loop, whose one thread waits for all clients: it sends on to the stalled, too.

    Args:
        changed: Called when an outbox has stalled or was aborted. Any thread may call it; it must not block.
    """

    def __init__(self, changed: Callable[[Any], object]) -> None:
        super().__init__()
        self._changed = changed

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns the connection itself: it never blocks."""
        return sock

    def hang_up(self, outbox: Outbox) -> None:
        """Ends a connection, and has the loop look at its client."""
        # No `close` here, as this may be another thread: the loop's selector would be left with a descriptor
        # that the kernel may give to a new connection. The loop closes it.
        shut(outbox.connection)
        self._changed(outbox)

    def adopt(self, outbox: Outbox) -> bool:
        """Leaves a stalled outbox to the loop, which watches from now on for room."""
        self._changed(outbox)
        return True

    def wake(self) -> None:
        """Does nothing: the loop itself closes the connections, and stops watching them first."""

    def close(self) -> None:
        """Does nothing: there is no thread to end."""


class NonblockingServer(Server):
    """A server whose only thread serves every client.

    Its service must not block: all clients would wait with it. A subclass adds `wait`, `process_request`,
    `pause` and `changed`.
    """

    blocking = False

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens. The kernel completes connections from here on."""
        backlog = self.request_queue_size
        self.socket = socket.create_server(address, family=self.address_family, backlog=backlog)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a client. Never blocks: the loop calls it when one has come."""
        return self.socket.accept()

    def make_flusher(self) -> LoopFlusher:
        """Returns what sends to the clients, as far as the kernel takes it at once."""
        return LoopFlusher(self.changed)

    def changed(self, client: Any) -> None:
        """Has the loop look at a client that has stalled or was aborted. Any thread may call it."""
        raise NotImplementedError
