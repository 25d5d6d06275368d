"""A thread for each client: the threading server of `socketserver`."""

import socketserver
from typing import Any

from chatlib.servers.core.server import Server
from chatlib.servers.core.session import Conversation
from chatlib.sockets import Address


class ThreadingServer(Server, socketserver.ThreadingTCPServer):
    """Accepts in one thread, the caller of `serve_forever`, and serves each client in a thread of its own.

    Each of these threads waits in `recv` for its own client, so nobody waits for somebody else's.
    """

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens."""
        socketserver.ThreadingTCPServer.__init__(self, address, Conversation)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts the client's thread and returns at once. (socketserver's own gives it no name.)"""
        name = f"serves {self.clients[request].name}"
        self.start_handler(self.process_request_thread, request, client_address, name=name)
