"""A telephone as a member of a room: what it is owed waits here until its web socket takes it."""

import asyncio
import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Awaitable, Callable

from tornado.iostream import IOStream
from tornado.websocket import WebSocketClosedError

OWED = 262_144
"""Bytes that may wait for one telephone. One that reads too slowly for that is cut off."""

_numbers = itertools.count(1)


class Phone:
    """A member of the room. Made in the thread of the event loop; any thread may post.

    Args:
        stream: Its connection.
        address: The host that it connects from.
        write: Sends a message, and returns what can be awaited until the kernel has taken it.
        close: Ends the web socket, and says why.
    """

    def __init__(
        self,
        stream: IOStream,
        address: str,
        write: Callable[[bytes | str], Awaitable[None]],
        close: Callable[[int, str], None],
    ) -> None:
        self.name, self.address, self.ended = f"telephone {next(_numbers)}", address, ""
        self._stream, self._write, self._close = stream, write, close
        self._news: deque[bytes] = deque()
        self._owed = 0
        self._lock = threading.Lock()  # for the two above: never held while a call blocks
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._sending = self._loop.create_task(self._send_on())

    def post(self, data: bytes) -> None:
        """Adds bytes to what is owed. Never blocks."""
        with self._lock:
            if self.ended or not data:
                return
            self._news.append(data)
            self._owed += len(data)
            too_much = self._owed > OWED
        if too_much:
            self.abort(f"it read too slowly: more than {OWED} bytes waited for it")
        self._call(self._wake.set)

    def finish(self, why: str) -> None:
        """Ends the conversation when all that is owed has been sent."""
        with self._lock:
            self.ended = self.ended or why
        self._call(self._wake.set)

    def abort(self, why: str) -> None:
        """Ends the connection at once."""
        with self._lock:
            self.ended = self.ended or why
        # A turn later: a line that was posted just now is written first, as far as the kernel takes it.
        self._call(lambda: self._loop.call_soon(self._stream.close))

    def close(self) -> None:
        """The connection has ended: there is nothing to send any more."""
        self._sending.cancel()

    async def _send_on(self) -> None:
        """Sends what comes, as fast as the telephone takes it; once the conversation has ended, closes."""
        with contextlib.suppress(WebSocketClosedError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while data := self._take():
                    await self._write(data.decode())
                if self.ended:
                    self._close(1000, "the room has ended it")

    def _take(self) -> bytes:
        """Returns all that is owed."""
        with self._lock:
            data = b"".join(self._news)
            self._news.clear()
            self._owed = 0
        return data

    def _call(self, function: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function)
