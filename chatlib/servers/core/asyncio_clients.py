"""The coroutines of an event loop, one for each client, and what they wait for when they send."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.core.session import CHUNK, GOODBYE


class ClientTasks:
    """Who is being served in this thread's event loop.

    Args:
        flusher: What the clients' outboxes are flushed with.
    """

    def __init__(self, flusher: Flusher) -> None:
        self._flusher = flusher
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Outbox, asyncio.Task[None]] = {}
        self._moved = asyncio.Event()
        self._flush_is_due = False

    def start(self, client: Outbox, coroutine: Coroutine[Any, Any, None]) -> None:
        """Starts a client's coroutine, which begins in the next round of the loop."""
        self._tasks[client] = self._loop.create_task(coroutine, name=f"serves {client.name}")

    def forget(self, client: Outbox) -> None:
        """Stops watching a client, before its connection is closed."""
        self._loop.remove_writer(client.connection)
        del self._tasks[client]

    async def end(self) -> None:
        """Ends all coroutines, and waits until they have said goodbye."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self, client: Outbox) -> None:
        """Looks after a client, as soon as the loop can: any thread may call this."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._look_after, client)

    def flush_soon(self) -> None:
        """Sends when all who are ready have been heard: what one round has brought travels on together."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    async def drain(self, client: Outbox, patience: float, leave: int = 0) -> None:
        """Waits until a client has taken all but `leave` bytes, or none for `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            while client.owed > leave:
                client.flush()  # if another thread were about to do it, that would wake nobody here
                owed = client.owed
                async with asyncio.timeout(patience):
                    while client.stalled and client.owed >= owed:
                        await self._moved.wait()

    async def lingering_close(self, client: Outbox) -> None:
        """Waits until a client has taken what it is owed and, if we ended the conversation, has closed."""
        await self.drain(client, GOODBYE)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(GOODBYE):
                # Closing over unread bytes would send a reset, which overtakes our last words.
                while client.ended and not client.closed and await self.receive(client):
                    pass

    async def receive(self, client: Outbox) -> bytes:
        """Returns what a client sends next, as soon as it has come, and others have had their turn."""
        await asyncio.sleep(0)  # or, while data lies ready, `sock_recv` would never let go
        return await self._loop.sock_recv(client.connection, CHUNK)

    def _look_after(self, client: Outbox) -> None:
        task = self._tasks.get(client)
        if task and client.closed:
            task.cancel()
        elif task:
            self._loop.add_writer(client.connection, self._resume, client)

    def _resume(self, client: Outbox) -> None:
        if client.resume():
            self._loop.remove_writer(client.connection)
        self._wake()

    def _flush(self) -> None:
        self._flush_is_due = False
        self._flusher.flush()
        self._wake()

    def _wake(self) -> None:
        self._moved.set()  # wakes those who wait now
        self._moved.clear()
