"""Two servers as a textbook writes them, each for lines, and in some twenty lines of Python.

    python textbook.py threads broadcast

Each knows no limits and no slow readers: in `threads`, one that does not read makes all wait. It imports
nothing of chatlib, as a reader's own server does.
"""

import asyncio
import socketserver
import sys
import threading
from typing import Any

CLIENTS: list[Any] = []
"""The connections, or the transports, in the order in which they came: as all our servers serve them."""

LOCK = threading.Lock()
"""Held by the thread that sends to all, and that lets a client in or out."""

SHOUT = sys.argv[-1] == "shout"
"""Whether the sender hears its line, in upper case; otherwise all others hear it."""


class Handler(socketserver.StreamRequestHandler):
    """Serves one client, in a thread of its own."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Blocks in `readline` until the client says a line, and in `sendall` while one does not read."""
        with LOCK:
            CLIENTS.append(self.connection)
        try:
            for line in self.rfile:
                if SHOUT:
                    self.connection.sendall(line.upper())
                    continue
                with LOCK:
                    for client in CLIENTS:
                        if client is not self.connection:
                            client.sendall(line)
        except OSError:
            pass  # it has gone
        finally:
            with LOCK:
                CLIENTS.remove(self.connection)


class Threads(socketserver.ThreadingTCPServer):
    """A thread for each client."""

    daemon_threads = True
    request_queue_size = 1024


class Lines(asyncio.Protocol):
    """Serves one client: the event loop calls it."""

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        self.transport, self.rest = transport, b""
        CLIENTS.append(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        CLIENTS.remove(self.transport)

    def data_received(self, data: bytes) -> None:
        """Sends on what is whole, in one piece."""
        whole, newline, self.rest = (self.rest + data).rpartition(b"\n")
        if SHOUT:
            self.transport.write((whole + newline).upper())
            return
        for client in CLIENTS:
            if client is not self.transport:
                client.write(whole + newline)


def serve_by_threads() -> None:
    """Serves until it is killed. Blocks."""
    with Threads(("127.0.0.1", 0), Handler) as server:
        print("listening on {}:{}".format(*server.server_address), flush=True)
        server.serve_forever()


async def serve_by_asyncio() -> None:
    """Serves until it is killed."""
    server = await asyncio.get_running_loop().create_server(Lines, "127.0.0.1", 0, backlog=1024)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "threads":
        serve_by_threads()
    else:
        asyncio.run(serve_by_asyncio())
