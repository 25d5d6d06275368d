"""One client from its first line to its last: what surrounds the loop that waits in `recv`."""

import contextlib
import socket
import socketserver
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from chatlib.outbox import Outbox
from chatlib.servers.base import Server
from chatlib.services import Service
from chatlib.wire import LineReader, encode

CHUNK = 65_536
"""Bytes that one `recv` may bring."""

CHATLIB = str(Path(__file__).parent.parent)

GOODBYE = 1.0
"""Seconds for which a leaving client may keep us waiting before it takes more of what it is owed."""


class Conversation(socketserver.BaseRequestHandler):
    """What `socketserver` makes for each connection."""

    server: Server  # type: ignore[assignment]

    def handle(self) -> None:
        """Talks until the client leaves. Blocks in `recv`, and up to 2 s at the end."""
        reader = LineReader(self.server.limits.line)
        with conversation(self.server, self.request) as client:
            while not client.ended and (data := self.request.recv(CHUNK)):
                hear(self.server, client, reader, data)


@contextlib.contextmanager
def conversation(server: Server, connection: socket.socket) -> Iterator[Outbox]:
    """Tells the service that a client has come and, however the block ends, that it has left.

    An OSError in the block comes from `recv`, and means that the client is gone: `hear` lets none out. At the
    end, waits until the client has read its last lines, or has taken none for a second.
    """
    service, client = server.service, server.clients[connection]
    try:
        with contained(service, client):
            service.joined(client)
        server.flusher.flush()
        yield client
    except TimeoutError as error:  # the limit on silence; or, with a number, the system's own deadline
        client.cut(error.strerror or "it was silent for too long")
    except OSError as error:
        client.cut(error.strerror or "the connection broke")
    finally:
        with contained(service, client):
            service.left(client, client.ended)
        server.flusher.flush()
    client.drain(GOODBYE)
    if client.ended and not client.closed:
        _linger(connection)


def hear(server: Server, client: Outbox, reader: LineReader, data: bytes) -> None:
    """Gives the service the lines that `data` completes. Waits, if the client does not read its answers.

    An exception in the service ends this conversation and no other; the journal says where it happened.
    """
    lines = reader.feed(data)
    with contained(server.service, client):
        if not client.ended:  # another client's thread may have ended it while this one waited in `recv`
            server.service.heard(client, lines)
    if reader.overlong:
        client.post(encode([f"* a line may have {server.limits.line} bytes; this one was longer"]))
        client.finish("it sent a line that was too long")
    server.flusher.flush()
    # A client that sends faster than it reads its answers must read some before it is heard again.
    client.drain(server.limits.idle, leave=server.limits.outbox // 2)


@contextlib.contextmanager
def contained(service: Service, client: Outbox) -> Iterator[None]:
    """Keeps a failure of the service with the client that it failed for."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        places = traceback.extract_tb(error.__traceback__)
        own = [place for place in places if not place.filename.startswith(CHATLIB)]
        place = (own or places)[-1]  # the line of the student's service, if it is one
        reason = traceback.format_exception_only(error)[-1].strip()  # also where `str(error)` fails
        service.journal.add("failed", client.name, f"{reason} (line {place.lineno}, in {place.name})")
        client.finish("its handler failed")


def _linger(connection: socket.socket) -> None:
    """Reads on for a while: closing over unread bytes would send a reset, which overtakes our last words."""
    deadline = time.monotonic() + GOODBYE
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(CHUNK):
                return
