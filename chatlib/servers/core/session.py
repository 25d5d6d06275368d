"""One client from its first line to its last: what surrounds the loop that waits in `recv`."""

import contextlib
import socketserver
import time
import traceback
from collections.abc import Callable
from typing import Any

from chatlib.outbox import Outbox
from chatlib.own_code import is_own
from chatlib.servers.core.server import Server
from chatlib.services import Service
from chatlib.wire import LineReader, encode

CHUNK = 65_536
"""Bytes that one `recv` may bring."""

"""Where our own files lie, with the separator: chatlib_homework.py is somebody else's."""

SILENT = "it was silent for too long"
"""Why a client was cut off that has reached the limit on silence."""

GOODBYE = 1.0
"""Seconds for which a leaving client may keep us waiting before it takes more of what it is owed."""


class Conversation(socketserver.BaseRequestHandler):
    """What `socketserver` makes for each connection."""

    server: Server  # type: ignore[assignment]

    def handle(self) -> None:
        """Talks until the client leaves. Blocks in `recv`, and up to 2 s at the end."""
        client, reader = self.server.clients[self.request], LineReader(self.server.limits.line)
        with session(self.server, client):
            while not client.ended and (data := self.request.recv(CHUNK)):
                hear(self.server, client, reader, data)
        lingering_close(client)


def session(server: Server, client: Outbox) -> "Leaving":
    """Tells the service that a client has come, and after the `with` block that it has left. Never waits.

    No generator with `contextmanager`, and below no method with `*arguments`: both go deeper into the stack,
    and each thread that waits for its client would keep 4 KiB more of it.
    """
    try:
        begin(server, client)
    except KeyboardInterrupt:  # the server runs in the main thread
        end(server, client)
        raise
    return Leaving(server, client)


class Leaving:
    """Tells the service that a client has left, however the block ends.

    An OSError in the block comes from `recv`, and means that the client is gone: nothing else lets one out.
    """

    def __init__(self, server: Server, client: Outbox) -> None:
        self._server, self._client = server, client

    def __enter__(self) -> None:
        """The block is the conversation."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, OSError):
            self._client.abort(reason(error))
        end(self._server, self._client)
        return isinstance(error, OSError)


def begin(server: Server, client: Outbox) -> None:
    """Tells the service that a client has come."""
    call_service(server.service, client, lambda: server.service.joined(client))
    server.flusher.flush()


def end(server: Server, client: Outbox) -> None:
    """Tells the service that a client has left."""
    call_service(server.service, client, lambda: server.service.left(client, client.ended))
    server.flusher.flush()


def reason(error: OSError) -> str:
    """Says why `recv` has failed. A time limit of the system has a number, the limit on silence has none."""
    silent = isinstance(error, TimeoutError) and not error.strerror
    return SILENT if silent else error.strerror or "the connection broke"


def hear(server: Server, client: Outbox, reader: LineReader, data: bytes) -> None:
    """Takes what a client has said, and sends what follows. Waits, if the client does not read on."""
    deliver(server, client, reader, data)
    server.flusher.flush()
    # A client that sends faster than it reads its answers must read some before it is heard again.
    client.drain(server.limits.idle, leave=server.limits.high_water)


def deliver(server: Server, client: Outbox, reader: LineReader, data: bytes) -> None:
    """Gives the service the lines that `data` completes. Never waits, and sends nothing yet."""
    lines = reader.feed(data)
    if not client.ended:  # another client's thread may have ended it while this one waited in `recv`
        call_service(server.service, client, lambda: server.service.heard(client, lines))
    if reader.overlong:
        client.post(encode([f"* a line may have {server.limits.line} bytes; this one was longer"]))
        client.finish("it sent a line that was too long")


def call_service(service: Service, client: Outbox, news: Callable[[], None]) -> None:
    """Calls a method of the service. If it fails, this ends the client's conversation, and no other."""
    try:
        news()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit: a service must not end the server
        service.journal.add("failed", client.name, failing_line(error))
        client.finish("its handler failed")


def failing_line(error: BaseException) -> str:
    """Returns what has failed, and where: the line of the student's service, if it is one."""
    places = traceback.extract_tb(error.__traceback__)
    place = ([place for place in places if not is_own(place.filename)] or places)[-1]
    why = traceback.format_exception_only(error)[-1].strip()  # also where `str(error)` fails
    return f"{why} (line {place.lineno}, in {place.name})"


def lingering_close(client: Outbox) -> None:
    """Waits until a client has taken what it is owed and, if we ended the conversation, has closed.

    Blocks for as long as it goes on reading, or up to 2 s.
    """
    client.drain(GOODBYE)
    deadline = time.monotonic() + GOODBYE
    with contextlib.suppress(OSError):
        # Closing over unread bytes would send a reset, which overtakes our last words.
        while client.ended and not client.closed and (left := deadline - time.monotonic()) > 0:
            client.connection.settimeout(left)
            if not client.connection.recv(CHUNK):
                return
