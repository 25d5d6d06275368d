"""What both event loops share: sockets that never wait, and one thread that looks after all of them."""

import socket
from collections.abc import Callable
from typing import Any

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.core.server import Server
from chatlib.sockets import Address, shut


class LoopFlusher(Flusher):
    """The flusher of an event loop, whose one thread waits for all clients: it sends to slow readers, too.

    Args:
        changed: Called when an outbox has stalled, or was cut. By any thread, and it must not wait.
    """

    def __init__(self, changed: Callable[[Any], object]) -> None:
        super().__init__()
        self._changed = changed

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns the connection itself: it never waits."""
        return sock

    def hang_up(self, outbox: Outbox) -> None:
        """Ends its connection, and says so."""
        shut(outbox.connection)
        self._changed(outbox)

    def adopt(self, outbox: Outbox) -> bool:
        """Leaves a stalled outbox to the loop."""
        self._changed(outbox)
        return True


class NonblockingServer(Server):
    """A server whose only thread serves every client. (Its service must not wait: all would wait with it.)

    A kind of it adds `wait`, `process_request`, `pause` and `changed`.
    """

    blocking = False

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens."""
        backlog = self.request_queue_size
        self.socket = socket.create_server(address, family=self.address_family, backlog=backlog)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a client."""
        return self.socket.accept()

    def make_flusher(self) -> LoopFlusher:
        """Returns what sends to the clients, as far as the kernel takes it at once."""
        return LoopFlusher(self.changed)

    def changed(self, client: Any) -> None:
        """Called, by any thread, when the kernel takes no more for a client, or when it was cut off."""
        raise NotImplementedError
