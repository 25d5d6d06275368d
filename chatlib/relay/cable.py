"""A cable whose plug can be pulled: it passes bytes on between clients and a server, while it is whole."""

import contextlib
import math
import socket
import threading
import time
from typing import Any

from chatlib.client import address_of
from chatlib.sockets import LOOPBACK, hang_up

LOOK = 0.05
"""Seconds between two looks whether it is to end."""


class Cable:
    """Listens, and connects each client that comes with a server. For `chatlib.start`.

    Args:
        to: The server: it, its address, or a text like `127.0.0.1:6379`.
    """

    def __init__(self, to: Any) -> None:
        self._to = address_of(to)
        self._listener = socket.create_server(LOOPBACK)
        self._listener.settimeout(LOOK)
        self.server_address = self._listener.getsockname()
        self.cuts = 0
        """How often all connections were cut; `shutdown` counts."""
        self._ends: list[socket.socket] = []
        self._is_cut = self._is_over = False
        self._flows = threading.Event()
        self._flows.set()
        self._left: dict[bool, float] = {}  # bytes that may still pass: of replies only, or of all
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where this end is, if the other one is a Redis."""
        return "redis://{}:{}".format(*self.server_address)

    def cut(self) -> None:
        """Pulls the plug: every connection ends, and new ones come to nothing until `mend`."""
        self._is_cut = True
        self._drop()

    def cut_after(self, count: int, only_replies: bool = False) -> None:
        """Cuts once, when so many bytes have passed, even in the middle of a line. New connections pass."""
        with self._lock:
            self._left[only_replies] = count

    def hold(self) -> None:
        """From now on nothing passes, and neither end is told."""
        self._flows.clear()

    def mend(self) -> None:
        """Everything passes again."""
        self._left.clear()
        self._is_cut = False
        self._flows.set()

    def serve_forever(self) -> None:
        """Connects clients with the server, until `shutdown`. Blocks."""
        while not self._is_over:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # out of descriptors: it would fail again at once
                time.sleep(LOOK)
                continue
            with contextlib.suppress(OSError):  # the server is away
                self._connect(near)

    def shutdown(self) -> None:
        """Ends all."""
        self._is_over = True
        self.mend()
        self._drop()

    def server_close(self) -> None:
        """Frees the port."""
        self._listener.close()

    def _connect(self, near: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(near.close)
            if self._is_cut:
                return
            far = socket.create_connection(self._to, 1.0)
            stack.pop_all()
        for end in (near, far):
            end.settimeout(None)
        with self._lock:
            if self._is_cut or self._is_over:  # meanwhile: `_drop` has not seen these two
                near.close()
                far.close()
                return
            self._ends += near, far
        self._start(near, far, False)
        self._start(far, near, True)

    def _start(self, source: socket.socket, sink: socket.socket, are_replies: bool) -> None:
        threading.Thread(
            target=self._carry, args=(source, sink, are_replies), name="the cable", daemon=True
        ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, are_replies: bool) -> None:
        with source:
            with contextlib.suppress(OSError):
                while chunk := source.recv(4096):  # blocks until an end speaks or leaves
                    self._flows.wait()
                    passing = self._passing(len(chunk), are_replies)
                    with contextlib.suppress(OSError):  # the other end has left; it is told below
                        sink.sendall(chunk[:passing])
                    if passing < len(chunk):
                        self._drop()
            with self._lock:
                self._ends = [end for end in self._ends if end is not source]
            hang_up(sink)

    def _passing(self, size: int, are_replies: bool) -> int:
        """Returns how many bytes of a chunk pass."""
        with self._lock:  # both directions count together
            for only_replies in [True, False] if are_replies else [False]:
                if size > self._left.get(only_replies, math.inf):
                    return int(self._left.pop(only_replies))
                if only_replies in self._left:
                    self._left[only_replies] -= size
        return size

    def _drop(self) -> None:
        with self._lock:
            self.cuts += 1
            ends, self._ends = self._ends, []
        for end in ends:
            hang_up(end)
