"""What coroutines wait for when they send: room in the kernel, and a client's last words."""

import asyncio
import contextlib

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.conversation import CHUNK, GOODBYE


class Sending:
    """Sends what has been posted, once a round of the event loop.

    Args:
        flusher: Who sends.
    """

    def __init__(self, flusher: Flusher) -> None:
        self._flusher = flusher
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._is_near = False

    def soon(self) -> None:
        """Sends, when all who are ready have been heard: what one round has brought travels on together."""
        if not self._is_near:
            self._is_near = True
            self._loop.call_soon(self._flush)

    def go_on(self, client: Outbox) -> None:
        """Sends on to a client, whenever the kernel has room."""
        self._loop.add_writer(client.connection, self._resume, client)

    def forget(self, client: Outbox) -> None:
        """Sends nothing more to it."""
        self._loop.remove_writer(client.connection)

    async def room(self, client: Outbox, leave: int, patience: float) -> None:
        """Waits until a client has taken all but `leave` bytes, or none for `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            while (owed := client.owed) > leave:
                async with asyncio.timeout(patience):
                    while client.owed >= owed:
                        await self._moved.wait()

    async def last_words(self, client: Outbox) -> None:
        """Waits until a client has taken what it is owed, and has closed its side, if we have closed ours."""
        await self.room(client, 0, GOODBYE)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(GOODBYE):
                # Closing over unread bytes would send a reset, which overtakes our last words.
                while (
                    client.ended
                    and not client.closed
                    and await self._loop.sock_recv(client.connection, CHUNK)
                ):
                    pass

    def _flush(self) -> None:
        self._is_near = False
        self._flusher.flush()
        self._wake()

    def _resume(self, client: Outbox) -> None:
        if client.resume():
            self.forget(client)
        self._wake()

    def _wake(self) -> None:
        self._moved.set()  # wakes those who wait now
        self._moved.clear()
