"""A group chat by hand, without `socketserver`: create, bind, listen, accept, receive, send, close."""

import socket
from typing import Any

from chatlib.servers.core.server import Server
from chatlib.servers.core.session import CHUNK, hear, lingering_close, session
from chatlib.sockets import Address
from chatlib.wire import LineReader


class RawThreadServer(Server):
    """A thread for each client, like `ThreadingServer`, but without `socketserver`.

    With the service `Broadcast` it is a group chat: each line goes to all other clients.
    """

    def listen(self, address: Address) -> None:
        """Steps 1 to 3: creates the socket, binds it to its address, listens."""
        self.socket = socket.socket(self.address_family, socket.SOCK_STREAM)
        try:
            if self.allow_reuse_address:  # a port that was in use a moment ago can be bound again
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(address)
            self.socket.listen(self.request_queue_size)
        except BaseException:
            self.socket.close()
            raise
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Step 4: accepts a client. `serve_forever` calls this when one has come, so it need not wait."""
        return self.socket.accept()

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Starts the client's thread and returns at once: the next client can be accepted."""
        self.start_handler(self.serve, request, name=f"serves {self.clients[request].name}")

    def serve(self, connection: socket.socket) -> None:
        """Steps 5 to 7, in the client's own thread. Blocks until the client has left."""
        client, reader = self.clients[connection], LineReader(self.limits.line)
        try:
            with session(self, client):  # in `service.members` until it has left
                while not client.ended and (data := connection.recv(CHUNK)):  # 5. receives; b"": it has left
                    hear(self, client, reader, data)  # 6. posts to the others, and sends
            lingering_close(client)
        finally:
            self.shutdown_request(connection)  # 7. closes
