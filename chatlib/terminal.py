"""A chat in a terminal: what is typed goes to the server, what the server says is shown."""

import contextlib
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Protocol, cast

from chatlib.client import CLIENT_LINE_LIMIT, Client
from chatlib.wire import LineReader, printable

GREETING = 0.5
"""Seconds in which a server that asks for a name has done so."""

FAREWELL = 1.0
"""Seconds that the server has to answer, after the last line was typed."""

PATIENCE = 10.0
"""Seconds for which a server may leave a typed line unread."""


class Terminal(Protocol):
    """Where lines are typed and shown."""

    def __iter__(self) -> Iterator[str]:
        """Yields what is typed, line by line, until that ends or `stop` is called. Blocks."""

    def show(self, line: str) -> None:
        """Shows a line."""

    def stop(self) -> None:
        """Ends the waiting for a line. Any thread may call it, also twice."""


class Keyboard(Protocol):
    """Where typed bytes come from, without a buffer.

    A buffer has a lock: held by a thread that still waits for a key, it stops Python from exiting when the
    server leaves first.
    """

    def read(self, size: int, /) -> bytes | None:
        """Returns what was typed; nothing at the end. Blocks."""


class Plain:
    """A file, a pipe, or a terminal in which what is shown cuts into a half-typed line.

    Args:
        keyboard: Where typed bytes come from.
    """

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard
        self._typed: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[str]:
        reader = LineReader(CLIENT_LINE_LIMIT)  # larger than the server's, which then says what is wrong
        while chunk := self._chunk():
            yield from reader.feed(chunk)
        yield from filter(None, reader.feed(b"\n"))  # a last line that has no newline

    def show(self, line: str) -> None:
        """Prints a line, in one piece: or the last words of another thread may get between it and its end."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def stop(self) -> None:
        """Ends the waiting for a line."""
        self._typed.put(b"")

    def _chunk(self) -> bytes:
        """Returns what is typed next; nothing at the end. Blocks."""
        # Nothing wakes a thread that waits for a key: it is left behind when the server leaves first.
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            with contextlib.suppress(queue.Empty):  # the limit: on Windows, Ctrl-C is only noticed in between
                return self._typed.get(timeout=0.2)

    def _read(self) -> None:
        chunk = None
        with contextlib.suppress(OSError):  # the terminal has gone
            chunk = self._keyboard.read(4096)
        self._typed.put(chunk or b"")


class Listener(threading.Thread):
    """Shows what the server says, until it has left; then stops the terminal, too.

    Args:
        client: A connection.
        terminal: Where to show it.
    """

    def __init__(self, client: Client, terminal: Terminal) -> None:
        super().__init__(name="the listener", daemon=True)
        self.reason = ""
        """Why nothing more will come."""
        self._client, self._terminal = client, terminal

    def run(self) -> None:
        """Receives line by line."""
        while not self.reason:
            try:
                self._terminal.show(printable(self._client.receive(PATIENCE)))
            except TimeoutError:
                continue
            except OSError as error:
                self.reason = str(error)
        self._terminal.stop()


def here(name: str | None) -> Terminal:
    """Returns the terminal of this program: with a prompt, if it is one and prompt_toolkit is installed."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        with contextlib.suppress(ImportError):
            from chatlib.prompt import Prompt  # takes a third of a second

            return Prompt(name or "")
    return Plain(cast(Keyboard, sys.stdin.buffer.raw))  # type: ignore[union-attr] # typeshed forgets `raw`


def chat(client: Client, terminal: Terminal, name: str | None = None) -> str:
    """Talks until either side leaves; returns why the server did, if it did. Blocks; Ctrl-C interrupts it.

    Args:
        client: A connection.
        terminal: Where lines are typed and shown.
        name: Sent as the first line, if the server begins with a question, as `Chat` does.
    """
    listener = Listener(client, terminal)
    try:
        if name:
            _introduce(client, terminal, name)
        listener.start()
        for line in terminal:
            client.send(line, PATIENCE)
        if listener.reason:
            return listener.reason
        client.half_close()
        listener.join(FAREWELL)
    except TimeoutError:
        return f"the server does not read what {client.name} says"
    except OSError as error:
        if listener.is_alive():
            listener.join(FAREWELL)  # it is about to hear why
        return listener.reason or str(error)
    finally:
        terminal.stop()
    return ""


def _introduce(client: Client, terminal: Terminal, name: str) -> None:
    """Answers the question for a name, if the server asks. Blocks for a moment if it does not."""
    with contextlib.suppress(TimeoutError):
        terminal.show(printable(client.receive(GREETING)))
        client.send(name)
