"""One thread for everybody, written as if each client had its own: a coroutine for each, with `asyncio`."""

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

    Where a coroutine says `await`, it waits, and the thread goes on with another one.
    """

    def wait(self, wakeup: Wakeup) -> None:
        """Runs the event loop until the server stops."""
        # Not the loop that is the default on Windows: it cannot watch a listener.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self.accept_all(wakeup))

    async def accept_all(self, wakeup: Wakeup) -> None:
        """Accepts clients until the server stops."""
        self.loop, self.tasks, stopping = (
            asyncio.get_running_loop(),
            ClientTasks(self.flusher),
            asyncio.Event(),
        )
        self.loop.add_reader(wakeup, stopping.set)
        self.loop.add_reader(self.socket, self.accept)
        try:
            await stopping.wait()
        finally:
            self.loop.remove_reader(self.socket)
            await self.tasks.end()
            for connection in list(self.clients):  # whose coroutine had not begun
                self.shutdown_request(connection)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Starts the client's coroutine and returns at once: the next client can be accepted."""
        client = self.clients[request]
        self.tasks.start(client, self.serve(client))

    async def serve(self, client: Outbox) -> None:
        """Talks with one client until it has left."""
        reader = LineReader(self.limits.line)
        try:
            with session(self, client):
                while not client.ended and (data := await self.receive(client)):
                    deliver(self, client, reader, data)
                    self.tasks.flush_soon()
                    await self.tasks.drain(client, self.limits.idle, leave=self.limits.high_water)
            await self.tasks.lingering_close(client)
        finally:
            self.tasks.forget(client)
            self.shutdown_request(client.connection)

    async def receive(self, client: Outbox) -> bytes:
        """Waits until a client sends something, and returns it."""
        async with asyncio.timeout(self.limits.idle):
            return await self.tasks.receive(client)

    def changed(self, client: Outbox) -> None:
        """Looks at a client again, soon: see `NonblockingServer.changed`."""
        self.tasks.changed(client)

    def pause(self) -> None:
        """Goes on serving, but accepts nobody for a while: see `Server.pause`."""
        self.loop.remove_reader(self.socket)
        self.loop.call_later(PAUSE, self.loop.add_reader, self.socket, self.accept)
