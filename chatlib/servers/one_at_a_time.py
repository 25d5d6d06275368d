"""One client at a time, the others wait: the plain server of `socketserver`."""

import socketserver

from chatlib.servers.core.server import Server
from chatlib.servers.core.session import CHUNK, deliver, lingering_close, session
from chatlib.sockets import Address
from chatlib.wire import LineReader


class Conversation(socketserver.BaseRequestHandler):
    """Serves one client. The server decides in which thread or process: same handler, other server."""

    server: Server  # type: ignore[assignment]

    def handle(self) -> None:
        """Talks with the client until it leaves."""
        server, client = self.server, self.server.clients[self.request]
        lines = LineReader(server.limits.line)
        with session(server.service, client, server.flusher):  # a member of the service until it has left
            # Blocks: the thread sleeps until the client sends, leaves (b"") or is disconnected by `shutdown`.
            while not client.ended and (chunk := self.request.recv(CHUNK)):
                deliver(server.service, client, lines, chunk)  # the service posts its answers
                server.flusher.flush()  # they are sent, as far as each client's kernel buffer has room
                # Blocks while this client is owed too much: it must read before more of it is read.
                client.drain(server.limits.idle, leave=server.limits.high_water)
        lingering_close(client)  # blocks for a moment, until the client has read its last bytes


class SyncServer(Server, socketserver.TCPServer):
    """Serves one client to the end before it accepts the next, all in the thread that called `serve_forever`.

    While that client is silent, the thread sleeps in `recv`. Meanwhile the kernel connects the others and
    keeps what they send, but no thread reads it. `Limits(idle=...)` says how long a silent client may hold
    them up.

    Its `serve_forever` is ours (`core/server.py`) and not socketserver's, which asks twice a second whether
    to stop: ours sleeps until a client connects or `shutdown` wakes it. The rest is socketserver's own.
    """

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens. The kernel completes connections from here on."""
        socketserver.TCPServer.__init__(self, address, Conversation)

    # `process_request` is socketserver's: it makes a Conversation, which blocks until the client has left.
