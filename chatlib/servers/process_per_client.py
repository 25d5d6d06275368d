"""A process for each client: the forking server of `socketserver`. (Not on Windows, which cannot fork.)"""

import contextlib
import functools
import multiprocessing
import os
import socketserver
import time
from selectors import EVENT_READ
from socket import socket
from typing import Any

from chatlib.servers.core.fork import close_other_sockets
from chatlib.servers.core.server import Server
from chatlib.servers.one_at_a_time import Conversation
from chatlib.sockets import Address

Forking: Any = getattr(socketserver, "ForkingTCPServer", socketserver.TCPServer)


class ForkingServer(Server, Forking):  # type: ignore[misc]
    """Accepts in one process, and serves each client in a copy of it, made at the moment when it comes.

    The handler of `SyncServer`, but it blocks in a process of its own. But nothing is shared: what a service
    remembers in one copy, the others never see. `Shout` works as ever, `Broadcast` reaches no client (without
    a relay), and the journal here has joins and departures, but not what was said. To fork a process that has
    other threads is risky: Python 3.12 and later warn of it, and on macOS the system's libraries may crash.

    Raises:
        NotImplementedError: This system cannot fork.
    """

    serves_here = False

    def listen(self, address: Address) -> None:
        """Creates the socket, binds it and listens. The kernel completes connections from here on."""
        if not hasattr(os, "fork"):
            raise NotImplementedError("this system cannot fork: use ThreadingServer, a thread for each")
        self.children: dict[socket, Any] = {}
        Forking.__init__(self, address, Conversation)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Forks, and returns at once: the child serves this client, the parent accepts the next."""
        process = multiprocessing.get_context("fork").Process
        child = process(target=self.serve, args=(request, client_address), daemon=True)
        child.start()
        self.children[request] = child
        self.service.journal.add("came", self.clients[request].name)
        self.selector.register(child.sentinel, EVENT_READ, functools.partial(self.ended, request))

    def serve(self, request: socket, client_address: Any) -> None:
        """In the child: serves this client, then ends."""
        close_other_sockets(request.fileno())
        self.socket.detach()  # its descriptor was closed just now
        self.children = {}  # the parent's
        self.after_fork(request)
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches the children, too
            self.finish_request(request, client_address)  # makes a Conversation: blocks until it has left
            self.service.end(self.flusher.flush)
        os._exit(0)  # a plain exit would print the parent's buffered output, also copied, a second time

    def ended(self, request: socket) -> None:
        """In the parent: a child has ended, which has woken `serve_forever`. Does not block."""
        self.selector.unregister(self.children[request].sentinel)
        self.reap(request)

    def reap(self, request: socket, why: str = "") -> None:
        """Forgets a child that has ended, or is ended now: a process, unlike a thread, can be killed."""
        if child := self.children.pop(request, None):
            child.kill()
            child.join()  # or the kernel would keep its exit status for ever: a zombie
            self.service.journal.add("left", self.clients[request].name, why)
            self.shutdown_request(request)

    def join_threads(self, deadline: float) -> None:
        """Blocks until the threads and the children have ended; kills the children that are late."""
        super().join_threads(deadline)
        for request, child in list(self.children.items()):
            child.join(max(0.0, deadline - time.monotonic()))
            self.reap(request, "the server stopped")
