"""What both event loops share: sockets that never wait, and one thread that looks after all of them."""

import socket
from typing import Any

from chatlib.address import Address
from chatlib.outbox import LoopFlusher
from chatlib.servers.base import Server


class OneThread(Server):
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
