"""A group chat by hand, `socket` and `threading` only: create, bind, listen, accept, receive, send, close."""

import socket
from typing import Any

from chatlib.servers.base import Address, Server
from chatlib.servers.conversation import converse


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

    def process_request(self, request: Any, client_address: Any) -> None:
        """Step 4: `serve_forever` has accepted a connection; it gets a thread."""
        self.start_handler(self.serve, request, name=f"serves {self.clients[request].name}")

    def serve(self, connection: socket.socket) -> None:
        """Steps 5 to 7, in the client's thread: receives lines, sends them to the others, closes. Blocks."""
        try:
            converse(self, connection)
        finally:
            self.shutdown_request(connection)
