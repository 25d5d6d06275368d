"""A client that does what it is told: its thread waits for the server and for the next order at once."""

import contextlib
import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE

from chatlib.client import Client, reach
from chatlib.sockets import Address, Wakeup

CONNECT_WITHIN = 5.0
"""Seconds. A server that listens here takes a thousandth; one whose backlog is full may take for ever."""

HUNG_UP = "the server has hung up"

_HALF = "hel"
_CHUNK = 65_536


class Actor:
    """One client of one server. No method blocks, and each may be called at any time, also when it has left.

    Args:
        name: What it is called. It is sent only to a server that asks for it.
        server: Where it connects to.
        introduces_itself: Whether its first line is its name.
    """

    def __init__(self, name: str, server: Address, introduces_itself: bool = False) -> None:
        self.name = name
        self.silent = False
        """Whether it says nothing when everybody speaks."""
        self.reads = True
        self.said_half = False
        """Whether the last line that it has begun has no end yet."""
        self.said = self.heard = 0
        """Lines that it has said, its name not counted; and lines that have come."""
        self.address: Address | None = None
        """Its own end of the connection, once there is one."""
        self.why = ""
        """Why its connection has ended; empty while there is one, or one to come."""
        self.ended_at = math.inf
        """When that was, on the clock of `time.monotonic`."""
        self._server = server
        self._unsent = bytearray(f"{name}\n".encode() if introduces_itself else b"")
        self._orders: deque[Callable[[], None]] = deque()
        self._wakeup = Wakeup()
        self._client: Client | None = None
        self.thread = threading.Thread(target=self._play, name=name, daemon=True)
        """In which it lives."""
        self.thread.start()

    @property
    def is_here(self) -> bool:
        """Whether it is connected."""
        return self.address is not None and not self.why

    def say(self) -> None:
        """Says a line, or the rest of one of which it has said the first half."""
        self.silent = False
        self._order(self._say)

    def fall_silent(self) -> None:
        """Says nothing any more, also when everybody else does."""
        self.silent = True

    def say_half(self) -> None:
        """Says the first half of a line. The second one comes with the next line."""
        self._order(self._say_half)

    def stop_reading(self) -> None:
        """Lets lie what comes from now on."""
        self._order(lambda: setattr(self, "reads", False))

    def read_again(self) -> None:
        """Reads what lies there, and what comes."""
        self._order(lambda: setattr(self, "reads", True))

    def leave(self) -> None:
        """Hangs up (FIN)."""
        self._order(lambda: self._end("it has left", Client.close))

    def vanish(self) -> None:
        """Breaks the connection off (RST), as a program that crashes."""
        self._order(lambda: self._end("it has vanished", Client.reset))

    def unread(self) -> int:
        """Returns how many lines lie in its socket's buffer, where nobody has read them. Never blocks."""
        client = self._client
        if client is None or self.reads:
            return 0
        with contextlib.suppress(OSError):  # it is over meanwhile
            # By C itself: that somebody looks at the buffer is no part of what a film shows.
            return super(socket.socket, client.socket).recv(_CHUNK, socket.MSG_PEEK).count(b"\n")
        return 0

    def _order(self, act: Callable[[], None]) -> None:
        self._orders.append(act)
        self._wakeup.set()

    # All that follows runs in its own thread.

    def _play(self) -> None:
        why = "it has left"
        try:
            client = Client(reach(self._server, CONNECT_WITHIN), self.name)
            client.socket.setblocking(False)
            self._client, self.address = client, client.address
            self._live(client.socket)
        except OSError as error:
            why = HUNG_UP if self.address else f"it cannot connect: {error.strerror or error}"
        finally:
            self.ended_at, self.why = time.monotonic(), self.why or why
            if self._client and self._client.socket.fileno() >= 0:  # the server has ended it
                self._client.close()
            self._wakeup.close()

    def _live(self, connection: socket.socket) -> None:
        """Waits for what comes, for room to send, and for orders, until it has left."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, EVENT_READ)
            while not self.why:
                wanted = EVENT_READ * self.reads | EVENT_WRITE * bool(self._unsent)
                _watch(selector, connection, wanted)
                for key, ready in selector.select():  # blocks, the only call here that does
                    if key.fileobj is self._wakeup:
                        self._wakeup.clear()
                        while self._orders and not self.why:
                            self._orders.popleft()()
                    elif not self.why:  # or an order has just ended it
                        with contextlib.suppress(BlockingIOError):  # it was ready, and is no more
                            self._serve(connection, ready)

    def _serve(self, connection: socket.socket, ready: int) -> None:
        if ready & EVENT_WRITE:
            del self._unsent[: connection.send(self._unsent)]
        elif chunk := connection.recv(_CHUNK):
            self.heard += chunk.count(b"\n")
        else:
            self.why = HUNG_UP

    def _say(self) -> None:
        self.said += 1
        line = f"hello {self.said}\n"
        self._unsent += line.removeprefix(_HALF if self.said_half else "").encode()
        self.said_half = False

    def _say_half(self) -> None:
        if not self.said_half:
            self._unsent += _HALF.encode()
            self.said_half = True

    def _end(self, why: str, hang_up: Callable[[Client], None]) -> None:
        assert self._client  # orders are obeyed only while there is one
        self.why = why
        hang_up(self._client)


def _watch(selector: selectors.BaseSelector, connection: socket.socket, wanted: int) -> None:
    """Has a selector wait for these events of a connection, or not for the connection at all."""
    known = connection in selector.get_map()
    if wanted and known:
        selector.modify(connection, wanted)
    elif wanted:
        selector.register(connection, wanted)
    elif known:
        selector.unregister(connection)
