"""The coroutines of an event loop, one for each client, and what they await when they send."""

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.core.session import CHUNK, GOODBYE


class ClientTasks:
    """The clients that are served in this thread's event loop, and the task of each.

    Only the loop's thread calls it, except for `changed`.

    Args:
        flusher: Sends what the service has posted to the clients.
        patience: Seconds after which a silent client is given up.
    """

    def __init__(self, flusher: Flusher, patience: float) -> None:
        self._flusher, self._patience = flusher, patience
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Outbox, asyncio.Task[None]] = {}
        self._receivers: dict[Outbox, Receiver] = {}
        self._moved = asyncio.Event()  # set for a moment whenever a client may have taken something
        self._flush_is_due = False

    def start(self, client: Outbox, coroutine: Coroutine[Any, Any, None]) -> None:
        """Starts a client's coroutine, which begins in the next round of the loop."""
        self._receivers[client] = Receiver(self._loop, client.connection, self._patience)
        self._tasks[client] = self._loop.create_task(coroutine, name=f"serves {client.name}")

    def forget(self, client: Outbox) -> None:
        """Stops watching a client, before its connection is closed."""
        # Otherwise the loop's selector would keep the number of the descriptor, which the kernel gives to the
        # next connection: the loop would then send this client's bytes to that one.
        self._loop.remove_writer(client.connection)
        self._receivers.pop(client).close()
        del self._tasks[client]

    async def end(self) -> None:
        """Ends all coroutines. Waits until their `finally` blocks have run."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self, client: Outbox) -> None:
        """Has the loop look after a client that has stalled or was aborted. Any thread may call it."""
        # An event loop is not thread-safe: this call only is, and it wakes the loop.
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._look_after, client)

    def flush_soon(self) -> None:
        """Sends when all ready clients have been heard: what one round has brought travels on together."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    async def drain(self, client: Outbox, patience: float, leave: int = 0) -> None:
        """Waits until a client has taken all but `leave` bytes, or for `patience` seconds has taken none."""
        with contextlib.suppress(TimeoutError):
            while client.owed > leave:
                # Not left to another thread that may be about to flush: its `send` would wake no task here.
                client.flush()
                owed = client.owed
                async with asyncio.timeout(patience):
                    while client.stalled and client.owed >= owed:
                        await self._moved.wait()  # `_send_on` wakes it, when the kernel has room again

    async def lingering_close(self, client: Outbox) -> None:
        """Waits until a client has taken what it is owed and, if this side ended it all, has closed.

        Why: see `session.lingering_close`.
        """
        await self.drain(client, GOODBYE)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(GOODBYE):
                while client.ended and not client.closed and await self.receive(client):
                    pass

    def receive(self, client: Outbox) -> asyncio.Future[bytes]:
        """Returns what a client will send next; b"" when it has left. Its task awaits that."""
        return self._receivers[client].receive()

    def _look_after(self, client: Outbox) -> None:
        task = self._tasks.get(client)
        if task and client.closed:
            task.cancel()
        elif task:
            self._loop.add_writer(client.connection, self._send_on, client)

    def _send_on(self, client: Outbox) -> None:
        if client.send_on():
            self._loop.remove_writer(
                client.connection
            )  # a socket with room is always ready: the loop would spin
        self._wake()

    def _flush(self) -> None:
        self._flush_is_due = False
        self._flusher.flush()
        self._wake()

    def _wake(self) -> None:
        self._moved.set()  # wakes the tasks that wait now
        self._moved.clear()  # and not those that wait later


class Receiver:
    """Receives from one client, chunk by chunk. The loop watches its socket all the time.

    `loop.sock_recv` would begin to watch it for each chunk, and end that again: two more calls of the kernel.
    And `asyncio.timeout` would set a timer for each: here there is one, which looks whether it is late.

    Args:
        loop: Watches it.
        connection: The client's socket, which does not block.
        patience: Seconds after which a silent client is given up.
    """

    __slots__ = ("_connection", "_deadline", "_is_watched", "_loop", "_next", "_patience", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, patience: float) -> None:
        self._loop, self._connection, self._patience = loop, connection, patience
        self._next: asyncio.Future[bytes] = loop.create_future()
        self._next.cancel()  # no task waits yet
        self._deadline, self._is_watched = 0.0, False
        self._timer = loop.call_later(patience, self._look_at_the_clock)

    def receive(self) -> asyncio.Future[bytes]:
        """Returns what comes next, for the one task that awaits it. Raises TimeoutError there, in the end."""
        self._next, self._deadline = self._loop.create_future(), self._loop.time() + self._patience
        if not self._is_watched:
            self._loop.add_reader(self._connection, self._hear)
            self._is_watched = True
        return self._next

    def close(self) -> None:
        """Watches it no more."""
        self._loop.remove_reader(self._connection)
        self._timer.cancel()

    def _hear(self) -> None:
        if self._next.done():  # its task is busy: what comes stays in the kernel
            self._loop.remove_reader(self._connection)
            self._is_watched = False
            return
        try:
            chunk = self._connection.recv(CHUNK)
        except BlockingIOError:  # the loop was woken for nothing, which may be
            return
        except OSError as error:
            self._next.set_exception(error)
        else:
            self._next.set_result(chunk)

    def _look_at_the_clock(self) -> None:
        now = self._loop.time()
        if now >= self._deadline and not self._next.done():
            self._next.set_exception(TimeoutError())
        # A task that is busy may wait again at any moment, and then for that long.
        later = self._deadline if now < self._deadline else now + self._patience
        self._timer = self._loop.call_at(later, self._look_at_the_clock)
