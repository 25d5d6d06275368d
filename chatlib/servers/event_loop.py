"""One thread for all clients: it waits in a selector, for all of them at once, and never for one alone."""

import selectors
from selectors import EVENT_READ, EVENT_WRITE
from socket import socket
from typing import Any

from chatlib.servers.core.nonblocking import NonblockingServer
from chatlib.servers.core.reactor import Reactor
from chatlib.servers.core.selector_client import SelectorClient
from chatlib.servers.core.server import PAUSE
from chatlib.sockets import Wakeup


class SelectorServer(NonblockingServer):
    """Serves every client in the thread that called `serve_forever`.

    The thread asks the kernel which sockets are ready, and sleeps until one is. The sockets themselves never
    block: `recv` returns what has come, `send` takes what there is room for. The price: a thread would
    remember by its place in the program what comes next; here each `SelectorClient` has to note it.
    """

    def wait(self, wakeup: Wakeup) -> None:
        """The event loop, which `serve_forever` calls: sleeps, serves the clients that are ready, sleeps."""
        with selectors.DefaultSelector() as self.selector:
            self.reactor = Reactor(self.selector, self.socket, wakeup)
            try:
                while not self.stopped:
                    self.serve_ready(wakeup)
            finally:  # also after Ctrl-C
                for client in self.reactor.clients:
                    client.abort("the server stopped")
                    self.update_interest(client)

    def serve_ready(self, wakeup: Wakeup) -> None:
        """One round of the loop."""
        # Blocks, the only call here that does: the thread sleeps until any client sends, or reads what it is
        # owed, or connects, or `shutdown` sets the wakeup, or the time of a silent client is over.
        for key, events in self.selector.select(self.reactor.timeout()):
            if key.data:
                self.serve(key.data, events)
            elif key.fileobj is wakeup:
                wakeup.clear()
            else:
                self.accept()
        self.flusher.flush()  # once for all that this round has brought, as far as the kernel has room
        for client in self.reactor.due():
            self.update_interest(client)

    def make_client(self, connection: socket, name: str) -> SelectorClient:
        """Returns what stands for a new client: see `Server.make_client`."""
        return SelectorClient(self, connection, name)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Begins a conversation and returns at once: `accept` in `core/server.py` has called it."""
        client: Any = self.clients[request]
        client.begin()
        self.update_interest(client)

    def serve(self, client: SelectorClient, events: int) -> None:
        """Does what a client is ready for. Neither call blocks: the kernel has said that it need not."""
        if events & EVENT_WRITE:
            client.send_on()  # what the kernel had no room for before
        if events & EVENT_READ:
            client.receive()  # and deliver it to the service
        self.update_interest(client)

    def update_interest(self, client: SelectorClient) -> None:
        """Watches a client for what it must do next; closes its connection if that is nothing."""
        if not self.reactor.update_interest(client):
            self.shutdown_request(client.connection)

    def changed(self, client: SelectorClient) -> None:
        """Has the loop look at a client again, soon: see `NonblockingServer.changed`."""
        self.reactor.changed(client)

    def pause(self) -> None:
        """Goes on serving, but accepts no client for a while: see `Server.pause`."""
        self.reactor.pause(PAUSE)
