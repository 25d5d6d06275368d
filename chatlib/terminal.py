"""A chat in a terminal: what is typed goes to the server, what the server says is shown."""

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from chatlib.client import CLIENT_LINE_LIMIT, Client
from chatlib.wire import LineReader, printable

GREETING = 0.5
"""Seconds in which a server that asks for a name has done so."""

FAREWELL = 1.0
"""Seconds that the server has to answer, after the last line was typed."""

PATIENCE = 10.0
"""Seconds for which a server may leave a typed line unread."""


class Keyboard(Protocol):
    """Where typed bytes come from, without a buffer.

    A buffer has a lock: held by a thread that still waits for a key, it stops Python from exiting when the
    server leaves first.
    """

    def read(self, size: int, /) -> bytes | None:
        """Returns what was typed; nothing at the end. Blocks."""


def chat(client: Client, keyboard: Keyboard, name: str | None = None) -> str:
    """Talks until either side leaves; returns why the other side did, if it did. Blocks.

    Args:
        client: A connection.
        keyboard: Where typed bytes come from.
        name: Sent as the first line, if the server begins with a question, as `Chat` does.
    """
    over = threading.Event()
    reasons: list[str] = []

    def until_over(job: Callable[[], None]) -> None:
        try:
            job()
        except OSError as error:
            reasons.append(str(error))
        over.set()

    if name:
        with contextlib.suppress(TimeoutError):  # this server asks nothing
            print(printable(client.receive(GREETING)), flush=True)
            client.send(name)
    for job in (lambda: _show(client), lambda: _send(client, keyboard, over)):
        threading.Thread(target=until_over, args=(job,), daemon=True).start()
    while not over.wait(0.2):  # with a limit: on Windows, Ctrl-C is only noticed in between
        pass
    return "".join(reasons[:1])


def _show(client: Client) -> None:
    """Prints what the server says, until it has left. Blocks."""
    while True:
        with contextlib.suppress(TimeoutError):
            print(printable(client.receive(PATIENCE)), flush=True)


def _send(client: Client, keyboard: Keyboard, over: threading.Event) -> None:
    """Sends what is typed, until the keyboard ends; then the server may still answer. Blocks."""
    reader = LineReader(CLIENT_LINE_LIMIT)  # ours is larger than the server's, which then says what is wrong
    while chunk := keyboard.read(4096):
        for line in reader.feed(chunk):
            client.send(line, PATIENCE)
    for line in filter(None, reader.feed(b"\n")):  # a last line that has no newline
        client.send(line, PATIENCE)
    client.half_close()
    over.wait(FAREWELL)
