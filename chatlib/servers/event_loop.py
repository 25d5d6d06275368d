"""One thread for everybody: it waits in a selector, for all clients at once, and never for a single one."""

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

    It asks the operating system which sockets are ready, and sleeps until one is. The sockets themselves
    never block: `recv` brings what has come, `send` takes what there is room for.
    """

    def wait(self, wakeup: Wakeup) -> None:
        """The loop: sleeps until somebody is ready, serves all who are, sends what has come of it."""
        with selectors.DefaultSelector() as selector:
            self.reactor = Reactor(selector, self.socket, wakeup)
            try:
                while not self.stopped:
                    for key, events in selector.select(self.reactor.sleep()):
                        if key.data:
                            self.serve(key.data, events)
                        elif key.fileobj is wakeup:
                            wakeup.clear()
                        else:
                            self.accept()
                    self.flusher.flush()
                    for talk in self.reactor.due():
                        self.update_interest(talk)
            finally:  # also after Ctrl-C
                for talk in self.reactor.all:
                    talk.abort("the server stopped")
                    self.update_interest(talk)

    def make_client(self, connection: socket, name: str) -> SelectorClient:
        """Returns what stands for a new client: see `Server.make_client`."""
        return SelectorClient(self, connection, name)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Begins a conversation, and returns at once."""
        talk: Any = self.clients[request]
        talk.begin()
        self.update_interest(talk)

    def serve(self, talk: SelectorClient, events: int) -> None:
        """Sends what the kernel had no room for, and takes what the client says."""
        if events & EVENT_WRITE:
            talk.resume()
        if events & EVENT_READ:
            talk.receive()
        self.update_interest(talk)

    def update_interest(self, talk: SelectorClient) -> None:
        """Waits for what this client needs next; closes it if that is nothing."""
        if not self.reactor.update_interest(talk):
            self.shutdown_request(talk.connection)

    def changed(self, client: SelectorClient) -> None:
        """Looks at a client again, soon: see `NonblockingServer.changed`."""
        self.reactor.changed(client)

    def pause(self) -> None:
        """Goes on serving, but accepts nobody for a while: see `Server.pause`."""
        self.reactor.pause(PAUSE)
