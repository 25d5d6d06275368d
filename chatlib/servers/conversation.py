"""One client from its first line to its last: the calling thread waits in `recv`, and serves nobody else."""

import contextlib
import socket
import socketserver
import time
import traceback
from collections.abc import Iterator

from chatlib.outbox import Outbox
from chatlib.servers.base import Server
from chatlib.services import Service
from chatlib.wire import LineReader, encode

CHUNK = 65_536
"""Bytes that one `recv` may bring."""

GOODBYE = 1.0
"""Seconds for which a leaving client may keep us waiting before it takes more of what it is owed."""


class Conversation(socketserver.BaseRequestHandler):
    """What `socketserver` makes for each connection."""

    server: Server  # type: ignore[assignment]

    def handle(self) -> None:
        """Talks until the client leaves. Blocks."""
        converse(self.server, self.request)


def converse(server: Server, connection: socket.socket) -> None:
    """Talks with one client until it leaves, for whatever reason. Blocks in `recv`, and a little at the end.

    An exception in the service ends this conversation and no other; the journal says where it happened.
    """
    service, outbox = server.service, server.clients[connection]
    try:
        with contained(service, outbox):
            service.joined(outbox)
            server.flusher.flush()
            _listen(server, connection, outbox)
    finally:
        with contained(service, outbox):
            service.left(outbox, outbox.ended)
        server.flusher.flush()
    outbox.drain(GOODBYE)
    if outbox.ended and not outbox.closed:
        _linger(connection)


@contextlib.contextmanager
def contained(service: Service, outbox: Outbox) -> Iterator[None]:
    """Keeps a failure of the service with the client that it failed for."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} (line {place.lineno}, in {place.name})"
        service.journal.add("failed", outbox.name, reason)
        outbox.finish("its handler failed")


def _listen(server: Server, connection: socket.socket, outbox: Outbox) -> None:
    reader = LineReader(server.limits.line)
    while not outbox.ended and (data := _receive(connection, outbox)):
        server.service.heard(outbox, reader.feed(data))
        if reader.overlong:
            outbox.post(encode([f"* a line may have {server.limits.line} bytes; this one was longer"]))
            outbox.finish("it sent a line that was too long")
        server.flusher.flush()
        # Whoever asks faster than it reads the answers is not heard until it has read some.
        outbox.drain(server.limits.idle, leave=server.limits.outbox // 2)


def _receive(connection: socket.socket, outbox: Outbox) -> bytes:
    try:
        return connection.recv(CHUNK)
    except TimeoutError:
        outbox.cut("it was silent for too long")
    except OSError as error:
        outbox.cut(error.strerror or "the connection broke")
    return b""


def _linger(connection: socket.socket) -> None:
    """Reads on for a while: closing over unread bytes would send a reset, which overtakes our last words."""
    deadline = time.monotonic() + GOODBYE
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(CHUNK):
                return
