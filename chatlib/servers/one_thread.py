"""What both event loops share: sockets that never wait, and one thread that looks after all of them."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from chatlib.address import Address
from chatlib.outbox import LoopFlusher
from chatlib.servers.base import Server
from chatlib.servers.talk import Talk


class OneThread(Server):
    """A server whose only thread serves every client. (Its service must not wait: all would wait with it.)

    A kind of it adds `wait`, `process_request`, `pause` and `changed`.
    """

    blocking = False
    clients: dict[socket.socket, Talk]  # type: ignore[assignment]

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens."""
        backlog = self.request_queue_size
        self.socket = socket.create_server(address, family=self.address_family, backlog=backlog)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts a client."""
        return self.socket.accept()

    def make_client(self, connection: socket.socket, name: str) -> Talk:
        """Returns what stands for a new client: to the service, a member."""
        return Talk(self, connection, name)

    def make_flusher(self) -> LoopFlusher[Talk]:
        """Returns what sends to the clients, as far as the kernel takes it at once."""
        return LoopFlusher(self.changed)

    def changed(self, talk: Talk) -> None:
        """Called, by any thread, when the kernel takes no more for a client, or when it was cut off."""
        raise NotImplementedError

    @contextlib.contextmanager
    def leaving_nobody(self) -> Iterator[None]:
        """At the end of the block, says goodbye to those who are still there."""
        try:
            yield
        finally:
            for talk in list(self.clients.values()):
                talk.cut("the server stopped")
                talk.leave()
                self.shutdown_request(talk.connection)
