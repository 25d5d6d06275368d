"""One thread for everybody, written as if each client had its own: a coroutine for each, with `asyncio`."""

import asyncio
import contextlib
from socket import socket
from typing import Any

from chatlib.outbox import Outbox
from chatlib.servers.base import PAUSE
from chatlib.servers.conversation import CHUNK, attended, take
from chatlib.servers.one_thread import OneThread
from chatlib.servers.sending import Sending
from chatlib.wakeup import Wakeup
from chatlib.wire import LineReader


class AsyncioServer(OneThread):
    """Serves every client in the thread that called `serve_forever`, which runs an event loop.

    Where a coroutine says `await`, it waits, and the thread goes on with another one.
    """

    def wait(self, wakeup: Wakeup) -> None:
        """Runs the event loop until the server stops."""
        # The loop that is not Windows' own: that one cannot tell when a listener has somebody to accept.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self.accept_all(wakeup))

    async def accept_all(self, wakeup: Wakeup) -> None:
        """Accepts clients until the server stops."""
        self.loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        self.sending = Sending(self.flusher)
        self.tasks: dict[Outbox, asyncio.Task[None]] = {}
        self.loop.add_reader(wakeup, stopping.set)
        self.loop.add_reader(self.socket, self.accept)
        try:
            await stopping.wait()
        finally:
            self.loop.remove_reader(self.socket)
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    def process_request(self, request: socket, client_address: Any) -> None:
        """Starts the client's coroutine and returns at once: the next client can be accepted."""
        client = self.clients[request]
        self.tasks[client] = self.loop.create_task(self.serve(client), name=f"serves {client.name}")

    async def serve(self, client: Outbox) -> None:
        """Talks with one client until it has left."""
        reader = LineReader(self.limits.line)
        try:
            with attended(self, client):
                while not client.ended and (data := await self.receive(client)):
                    take(self, client, reader, data)
                    self.sending.soon()
                    await self.sending.room(client, self.limits.outbox // 2, self.limits.idle)
            await self.sending.last_words(client)
        finally:
            self.sending.forget(client)
            del self.tasks[client]
            self.shutdown_request(client.connection)

    async def receive(self, client: Outbox) -> bytes:
        """Returns what a client sends next, as soon as it has come."""
        async with asyncio.timeout(self.limits.idle):
            return await self.loop.sock_recv(client.connection, CHUNK)

    def changed(self, client: Outbox) -> None:
        """Looks after a client: see `OneThread.changed`."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self.loop.call_soon_threadsafe(self.look_after, client)

    def look_after(self, client: Outbox) -> None:
        """Sends on to a client when it has room, or ends its coroutine."""
        if client.closed and client in self.tasks:
            self.tasks[client].cancel()
        elif client in self.tasks:
            self.sending.go_on(client)

    def pause(self) -> None:
        """Goes on serving, but accepts nobody for a while: see `Server.pause`."""
        self.loop.remove_reader(self.socket)
        self.loop.call_later(PAUSE, self.loop.add_reader, self.socket, self.accept)
