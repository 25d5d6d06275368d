"""One thread for all clients, written as if each had its own: a coroutine for each client, with `asyncio`."""

import asyncio
from socket import socket
from typing import Any

from chatlib.outbox import Outbox
from chatlib.servers.core.asyncio_clients import ClientTasks
from chatlib.servers.core.nonblocking import NonblockingServer
from chatlib.servers.core.server import PAUSE
from chatlib.servers.core.session import deliver, session
from chatlib.sockets import Wakeup
from chatlib.wire import LineReader


class AsyncioServer(NonblockingServer):
    """Serves every client in the thread that called `serve_forever`, which runs an event loop.

    At each `await` a coroutine may sleep, and the thread goes on with another one. The thread itself sleeps
    only when all coroutines do: in the loop's selector, as `SelectorServer` does.
    """

    def wait(self, wakeup: Wakeup) -> None:
        """Runs the event loop, which blocks until the server stops: `serve_forever` calls this."""
        # Not the loop that is the default on Windows: it cannot watch a listener.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self.accept_all(wakeup))

    async def accept_all(self, wakeup: Wakeup) -> None:
        """Accepts clients until the server stops."""
        self.loop, self.tasks = asyncio.get_running_loop(), ClientTasks(self.flusher, self.limits.idle)
        stopping = asyncio.Event()
        # A signal may have set it, and the loop is to sleep again.
        self.loop.add_reader(wakeup, lambda: stopping.set() if self.stopped else wakeup.clear())
        self.loop.add_reader(self.socket, self.accept)  # the loop calls it whenever a client has come
        try:
            await stopping.wait()  # sleeps until `shutdown` sets the wakeup
        finally:
            self.loop.remove_reader(self.socket)
            await self.tasks.end()
            for connection in list(self.clients):  # those whose coroutine had not begun
                self.shutdown_request(connection)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Starts the client's coroutine and returns at once: the next client can be accepted."""
        client = self.clients[request]
        self.tasks.start(client, self.handle_client(client))

    async def handle_client(self, client: Outbox) -> None:
        """Talks with one client. Returns when it has left."""
        lines = LineReader(self.limits.line)
        try:
            with session(self.service, client, self.flusher):  # a member of the service until it has left
                # Sleeps until the client sends, leaves (b"") or is disconnected; others are served meanwhile.
                while not client.ended and (chunk := await self.tasks.receive(client)):
                    deliver(self.service, client, lines, chunk)  # the service posts its answers
                    self.tasks.flush_soon()  # they are sent at the end of this round of the loop
                    # Sleeps while this client is owed too much: it must read before more of it is read.
                    await self.tasks.drain(client, self.limits.idle, leave=self.limits.high_water)
            await self.tasks.lingering_close(client)  # until the client has read its last bytes
        finally:
            self.tasks.forget(client)
            self.shutdown_request(client.connection)

    def changed(self, client: Outbox) -> None:
        """Has the loop look at a client again, soon: see `NonblockingServer.changed`."""
        self.tasks.changed(client)

    def pause(self) -> None:
        """Goes on serving, but accepts no client for a while: see `Server.pause`."""
        self.loop.remove_reader(self.socket)
        self.loop.call_later(PAUSE, self.loop.add_reader, self.socket, self.accept)
