"""Exercise 06: three servers to be examined. What each of them suffers from, its X-ray shows.

Each is a group chat that passes on lines. They stand here, and not in the notebook, so that one looks at the
X-ray first: reading on is cheating oneself.
"""

import contextlib
import socket
import socketserver
from typing import Any, NamedTuple

from chatlib.sockets import LOOPBACK
from chatlib.wire import LineReader, encode

CHUNK = 65_536
LINE = 1_000_000
"""Bytes that a line may have: what is said in the examination is long."""
SMALL = 8_192
"""Bytes that the kernel keeps for a client of A and B: so that one that does not read is soon noticed."""


class _Handler(socketserver.BaseRequestHandler):
    server: "_Chat"

    def setup(self) -> None:
        self.server.members.append(self.request)

    def handle(self) -> None:
        reader = LineReader(LINE)
        while data := self.request.recv(CHUNK):
            self.pass_on(reader.feed(data))

    def pass_on(self, lines: list[str]) -> None:
        for member in list(self.server.members) if lines else ():
            if member is not self.request:
                with contextlib.suppress(OSError):  # it has gone: its own thread takes it out
                    member.sendall(encode(lines))

    def finish(self) -> None:
        self.server.members.remove(self.request)


class _Chat(socketserver.TCPServer):
    allow_reuse_address = True
    kept_for_each = SMALL
    handler: type[_Handler] = _Handler

    def __init__(self, address: Any = LOOPBACK) -> None:
        self.members: list[socket.socket] = []
        self.over = False
        super().__init__(address, self.handler)

    def server_bind(self) -> None:
        if self.kept_for_each:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.kept_for_each)
        super().server_bind()

    def shutdown(self) -> None:
        self.over = True
        super().shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was shut down is no news."""


class A(socketserver.ThreadingMixIn, _Chat):
    """The first patient."""

    daemon_threads = True


class B(_Chat):
    """The second patient."""


class _Listener(_Handler):
    def handle(self) -> None:
        reader = LineReader(LINE)
        while not self.server.over:
            data = self.request.recv(CHUNK)
            self.pass_on(reader.feed(data))


class C(socketserver.ThreadingMixIn, _Chat):
    """The third patient."""

    daemon_threads = True
    kept_for_each = 0  # the system's own choice, into which all fits that is said
    handler = _Listener


FAULTS = {
    "one client at a time": "of all clients only one would have a thread that waits for it",
    "one slow reader mutes all": "threads of several clients would wait in sendall, all for the same one",
    "spins on goodbye": "a thread would call recv thousands of times, after its client has left",
    "a sender hears itself": "an arrow would lead from the thread of a client back to the same client",
    "a client that vanishes takes others along": "the threads of those who have stayed would have ended",
}
"""What a server may suffer from, and what its X-ray would show then."""


class Finding(NamedTuple):
    """What is the matter with a patient."""

    fault: str
    shows: str
    """Which line of its X-ray shows it."""


# By number, so that this file, too, says it only to those who count.
_KNOWN = list(FAULTS)
FINDINGS = {
    "A": Finding(_KNOWN[1], "serves bob waits in sendall for sam, and it is sam who does not read"),
    "B": Finding(_KNOWN[0], "the server waits in recv for sam, and has no thread for anybody else"),
    "C": Finding(_KNOWN[2], "serves carol learns that carol has left (recv), thousands of times"),
}
