"""What surrounds the loop that waits in `recv`: a client comes, is heard, leaves, and gets its last bytes.

All servers use these functions, also those of one thread: they call the service, and never block, except for
`lingering_close`.
"""

import contextlib
import time
import traceback
from collections.abc import Callable
from typing import Any

from chatlib.outbox import Flusher, Outbox
from chatlib.own_code import is_own
from chatlib.services import Member, Service
from chatlib.wire import LineReader, encode

CHUNK = 65_536
"""Bytes that one `recv` may bring."""

SILENT = "it was silent for too long"
"""Why a client was disconnected that has reached the limit on silence."""

GOODBYE = 1.0
"""Seconds that a leaving client may let pass without reading what it is owed, and then without closing."""


def session(service: Service, client: Outbox, flusher: Flusher) -> "Session":
    """Tells the service that a client has come, and after the `with` block that it has left. Never blocks."""
    # A function, and no generator with `contextmanager`; and below, no `*arguments`. Both go deeper into the
    # C stack, and each thread that sleeps in `recv` would keep 4 KiB more of it in memory: a fifth.
    try:
        begin_session(service, client, flusher)
    except KeyboardInterrupt:  # the server runs in the main thread
        end_session(service, client, flusher)
        raise
    return Session(service, client, flusher)


class Session:
    """The `with` block of `session`: however it ends, the service is told that the client has left.

    An OSError in the block comes from `recv`, and means that the client is gone: no other call there lets one
    out. It ends the block quietly.
    """

    def __init__(self, service: Service, client: Outbox, flusher: Flusher) -> None:
        self._service, self._client, self._flusher = service, client, flusher

    def __enter__(self) -> None:
        """The service knows already that the client has come."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, OSError):
            self._client.abort(reason(error))
        end_session(self._service, self._client, self._flusher)
        return isinstance(error, OSError)


def begin_session(service: Service, client: Outbox, flusher: Flusher) -> None:
    """Tells the service that a client has come, and sends what it posts."""
    call_service(service, client, lambda: service.joined(client))
    flusher.flush()


def end_session(service: Service, client: Outbox, flusher: Flusher) -> None:
    """Tells the service that a client has left, and sends what it posts."""
    call_service(service, client, lambda: service.left(client, client.ended))
    flusher.flush()


def reason(error: OSError) -> str:
    """Says why `recv` has failed."""
    # Two TimeoutErrors: that of `settimeout` has no number; the kernel's, of an unanswered keepalive, has
    # one.
    silent = isinstance(error, TimeoutError) and not error.strerror
    return SILENT if silent else error.strerror or "the connection broke"


def deliver(service: Service, client: Outbox, lines: LineReader, chunk: bytes) -> None:
    """Gives the service the lines that `chunk` completes; it posts what they call for. Sends nothing yet."""
    said = lines.feed(chunk)
    if not client.ended:  # another client's thread may have ended it while this one slept in `recv`
        call_service(service, client, lambda: service.heard(client, said))
    if lines.overlong:
        client.post(encode([f"* a line may have {lines.limit} bytes; this one was longer"]))
        client.finish("it sent a line that was too long")


def call_service(service: Service, client: Member, call: Callable[[], None]) -> None:
    """Calls a method of the service. If it raises, this ends the client's conversation, and no other."""
    try:
        call()
    except KeyboardInterrupt:  # Ctrl-C, and not the service: it is meant for the server
        raise
    except BaseException as error:  # also SystemExit: a service must not end the server
        service.journal.add("failed", client.name, failing_line(error))
        client.finish("its handler failed")


def failing_line(error: BaseException) -> str:
    """Returns what was raised, and where: the line of the student's service, if the error passed one."""
    places = traceback.extract_tb(error.__traceback__)
    place = ([place for place in places if not is_own(place.filename)] or places)[-1]
    why = traceback.format_exception_only(error)[-1].strip()  # works also where `str(error)` raises
    return f"{why} (line {place.lineno}, in {place.name})"


def lingering_close(client: Outbox) -> None:
    """Waits until a client has taken what it is owed and, if this side ended the conversation, has closed.

    To close a socket over bytes that were not read sends a reset, which overtakes what is still on its way:
    the client would never see why it was disconnected. So this reads on until the client closes, too. (Web
    servers call it lingering close: RFC 9112, section 9.6.)

    Blocks for as long as the client goes on taking what it is owed, and then for at most a second.
    """
    client.drain(GOODBYE)
    deadline = time.monotonic() + GOODBYE
    with contextlib.suppress(OSError):
        while client.ended and not client.closed and (left := deadline - time.monotonic()) > 0:
            client.connection.settimeout(left)
            # Blocks: the client's close wakes the thread (b""), or `shutdown`, or the deadline.
            if not client.connection.recv(CHUNK):
                return
