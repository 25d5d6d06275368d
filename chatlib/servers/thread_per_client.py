"""A thread for each client: the threading server of `socketserver`."""

import socketserver
from typing import Any

from chatlib.servers.core.server import Server
from chatlib.servers.one_at_a_time import Conversation
from chatlib.sockets import Address


class ThreadingServer(Server, socketserver.ThreadingTCPServer):
    """Accepts in one thread, the caller of `serve_forever`, and serves each client in a thread of its own.

    The handler is that of `SyncServer`, and each of its calls blocks as there. But it is another thread that
    sleeps in `recv`, so no client waits for another one. The price is a thread for each client.
    `serve_forever` is ours, as in `SyncServer`.
    """

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens. The kernel completes connections from here on."""
        socketserver.ThreadingTCPServer.__init__(self, address, Conversation)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts the client's thread and returns at once: the next client can be accepted.

        (The method of socketserver would do, but its thread has no name, and `shutdown` could not join it.)
        """
        name = f"serves {self.clients[request].name}"
        self.start_handler(self.process_request_thread, request, client_address, name=name)

    # `process_request_thread` is socketserver's: it runs in the new thread, makes a Conversation, which
    # blocks until the client has left, and closes the connection.
