"""A connection that a notebook can hold in one hand. Every call that waits has a deadline."""

import contextlib
import itertools
import os
import socket
import struct
import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

from chatlib import notebook_cells
from chatlib.services import THE_ROOM_CONTAINS
from chatlib.sockets import LOOPBACK, Address, checked
from chatlib.wire import LineReader, encode

DEADLINE = 5.0
"""Seconds that a call waits, if it is not told otherwise: enough for a computer that is busy."""

CLIENT_LINE_LIMIT = 1_048_576
"""Bytes in a line that a client still accepts: more than a server lets through, and a name before it."""

# SO_LINGER with a time of 0: close at once, discard what waits, send a reset. Windows has shorter numbers.
DISCARD = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

client_names: "dict[Any, ClientName]" = {}
"""The names of this process's clients, by their addresses: the last thousand that connected."""

NAMES = 1000

_numbers = itertools.count(1)


class Disconnected(ConnectionError):
    """The server has ended the connection: nothing more will come."""


def address_of(target: Any) -> Address:
    """Returns host and port of a server, of a pair, or of a text like `127.0.0.1:8888`.

    Raises:
        TypeError: This is no address at all.
        ValueError: The text is not of that form, or the port is not a number from 1 to 65535.
    """
    if isinstance(target, str):
        name, _, number = target.rpartition(":")
        if not number.isdecimal():
            raise ValueError(f"{target!r} is not of the form HOST:PORT, like 127.0.0.1:8888")
        target = name.strip("[]"), int(number)
    host, port = checked(getattr(target, "server_address", target))
    if not 0 < port <= 65535:
        raise ValueError(f"{port} is not a port: ports are numbers from 1 to 65535")
    # A server that listens on every address is reached on this one; and on Windows `localhost` costs two
    # seconds, because ::1 is tried first, where most servers do not listen.
    here = LOOPBACK[0]
    return {"": here, "0.0.0.0": here, "localhost": here, "::": "::1"}.get(host, host), port


def connect(
    target: Any, name: str | None = None, timeout: float = DEADLINE, code: str | None = None
) -> "Client":
    """Connects to a server. Blocks for at most `timeout` seconds, and as long again with a code.

    In a notebook, a connection that an earlier run of the same cell opened is closed first.

    Args:
        target: A server, a pair of host and port, or a text like `127.0.0.1:8888`.
        name: What to call the client in messages; `client 1` and so on if not given. Without a code it
            is not sent.
        timeout: Seconds to wait for the connection.
        code: What opens a class's room (`python -m chatlib class`): sent with the name, as the first line.
            Empty for a room without a code.

    Raises:
        ConnectionRefusedError: No server listens there.
        Disconnected: The room does not take this code or this name; the message says why.
        TimeoutError: No answer in time.
        OSError: There is no such host.
        TypeError, ValueError: This is not an address.
    """
    notebook_cells.close_earlier()
    address = address_of(target)
    try:
        connection = reach(address, timeout)
    except OSError as error:
        nobody = "nobody listens there: " if isinstance(error, ConnectionRefusedError) else ""
        reason = f"cannot connect to {address[0]}:{address[1]}: {nobody}{error.strerror or error}"
        raise (type(error)(error.errno, reason) if error.errno else type(error)(reason)) from None
    client = Client(connection, name or f"client {next(_numbers)}")
    notebook_cells.remember(client, Client.close)
    if code is not None:
        join(client, code, timeout)
    return client


def join(client: "Client", code: str, timeout: float = DEADLINE) -> None:
    """Says code and name to a room. Blocks for at most `timeout` seconds.

    Raises:
        Disconnected: The room does not take them, or the address has to wait; the message says why.
        TimeoutError: No answer in time: this is no such room.
    """
    deadline = time.monotonic() + timeout
    try:
        greeting = client.receive(timeout)
        if greeting.startswith("* "):  # it is full, say
            raise Disconnected(greeting)
        client.send(f"{code} {client.name}".strip(), timeout)
        answer = client.receive(max(0.0, deadline - time.monotonic()))
        if not answer.startswith(THE_ROOM_CONTAINS):
            raise Disconnected(answer)
    except OSError:
        client.close()
        raise


class ClientName:
    """What a client is called, as long as it is connected: the system gives its port to another one later."""

    def __init__(self, connection: socket.socket, text: str) -> None:
        self.text = text
        self._connection = weakref.ref(connection)

    @property
    def has_left(self) -> bool:
        """Whether the client has closed its socket, or let go of it."""
        connection = self._connection()
        return connection is None or connection.fileno() < 0


def reach(address: Address, timeout: float) -> socket.socket:
    """Connects from a port of its own: by that it is known. Blocks for at most `timeout` seconds.

    A system may give one port to several connections, if they lead to different servers; not one that was
    bound before.
    """
    return socket.create_connection(address, timeout, source_address=("", 0))


def note_name(connection: socket.socket, text: str) -> None:
    """Notes what a client is called, so that an X-ray can name it."""
    address = connection.getsockname()
    if not isinstance(address, tuple):  # a socket pair: all of them have the same empty address
        return
    client_names[address] = ClientName(connection, text)
    if len(client_names) > NAMES:
        client_names.pop(next(iter(client_names)), None)


class Client:
    """One end of a connection, seen as lines of text.

    One thread may receive while another sends; the deadline of the one may then be that of the other.

    Args:
        connection: A connected socket. The client owns it from now on.
        name: What to call it in messages.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.name = name
        self._reader = LineReader(CLIENT_LINE_LIMIT)
        self._lines: deque[str] = deque()
        note_name(connection, name)

    @property
    def address(self) -> Any:
        """This end's own address, host and port: the one by which the server knows this client."""
        return self.socket.getsockname()

    def send(self, text: str, timeout: float = DEADLINE) -> None:
        """Sends one line, and adds its newline: one in `text` would make it two lines.

        Blocks for at most `timeout` seconds, and only if the server does not read.

        Raises:
            TimeoutError: The buffers on the way are full. A part of the line may have been sent.
            ConnectionError: The server has gone, or this client has left.
        """
        if not isinstance(text, str):
            raise TypeError(f"send takes text, and {text!r} is none")
        data = encode([text])
        with self._must_be_open():
            self.socket.settimeout(timeout)
            self.socket.sendall(data)

    def receive(self, timeout: float = DEADLINE) -> str:
        """Returns the next line, without its newline. Blocks for at most `timeout` seconds.

        Raises:
            TimeoutError: No whole line has come in that time.
            Disconnected: The server has closed the connection, or has gone; or this client has left.
            ConnectionError: A line is longer than any server of chatlib would send.
        """
        deadline = time.monotonic() + timeout
        while not self._lines:
            self._take_what_comes(max(0.0, deadline - time.monotonic()))
            if not self._lines and time.monotonic() >= deadline:
                rest = f", only {self._reader.rest[:40]!r} without a newline" if self._reader.rest else ""
                raise TimeoutError(f"no line came for {self.name} within {timeout:g} s{rest}")
        return self._lines.popleft()

    def waits(self, seconds: float = 0.5) -> bool:
        """Returns True when nothing arrives for so long. Blocks for as long.

        A line that arrives is kept for `receive`. The end of the connection arrives, too: that is False.
        """
        try:
            self._lines.appendleft(self.receive(seconds))
        except TimeoutError:
            return True
        except Disconnected:
            pass
        return False

    def half_close(self) -> None:
        """Says that no more will be sent (FIN), and can still receive."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Breaks the connection off (RST), as when a program is killed with bytes unread."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
        self.socket.close()

    def close(self) -> None:
        """Leaves politely (FIN). Never waits; harmless when called twice."""
        with contextlib.suppress(OSError):  # the server may have gone first
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.setblocking(False)
            # Closing over unread bytes would send a reset. They are thrown away by C itself, so that no film
            # shows them as received: how many there are by now is chance.
            while super(socket.socket, self.socket).recv(65_536):
                pass
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.name}>"  # no address: a notebook that shows this shows the same each time

    def _take_what_comes(self, timeout: float) -> None:
        with self._must_be_open(), contextlib.suppress(TimeoutError, BlockingIOError):
            self.socket.settimeout(timeout)
            self._lines.extend(self._reader.feed(self._receive_chunk()))
        if self._reader.overlong:
            raise ConnectionError(f"a line of more than {CLIENT_LINE_LIMIT} bytes came for {self.name}")

    def _receive_chunk(self) -> bytes:
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionError as error:
            raise Disconnected(f"the connection of {self.name} is broken: {error.strerror}") from None
        if not chunk:
            raise Disconnected(f"the server has ended the connection of {self.name}")
        return chunk

    @contextlib.contextmanager
    def _must_be_open(self) -> Iterator[None]:
        """Says of a call on a closed socket that this client has left.

        Looked at when the call has failed, and not before: another thread may close it in between.
        """
        try:
            yield
        except OSError:
            if self.socket.fileno() == -1:
                raise Disconnected(f"{self.name} has left") from None
            raise
