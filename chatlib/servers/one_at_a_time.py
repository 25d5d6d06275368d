"""One client at a time, the others wait: the plain server of `socketserver`."""

import socketserver

from chatlib.servers.core.server import Server
from chatlib.servers.core.session import Conversation
from chatlib.sockets import Address


class SyncServer(Server, socketserver.TCPServer):
    """Serves one client to the end before it accepts the next, all in the thread that called `serve_forever`.

    While that client is silent, the thread waits in `recv`. Meanwhile the kernel connects the others and
    keeps what they send, but nobody reads it. `Limits(idle=...)` says for how long a silent client may hold
    them up.
    """

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens."""
        socketserver.TCPServer.__init__(self, address, Conversation)

    # `process_request` is socketserver's own: it calls the handler, and returns when the client has left.
