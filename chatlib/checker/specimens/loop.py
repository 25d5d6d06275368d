"""A sound group chat in one thread, which never waits for one client: `selectors` says who has something."""

import contextlib
import os
import selectors
import socket
import threading
import time

Address = tuple[str, int]

LINE_LIMIT = 131_072
"""Bytes of a line. Who sends more is told so, and dropped."""

OUTBOX_LIMIT = 1_048_576
"""Bytes that may wait for one client. Who reads more slowly is dropped."""

TICK = 0.05
"""Seconds after which the loop looks whether it should stop."""

BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class Client:
    """One client: its connection, the beginning of its next line, and what it is owed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # short lines should not wait for more
        self.rest = b""
        self.owed = bytearray()


class Loop:
    """What one client says reaches all others."""

    def __init__(self, address: Address) -> None:
        self.clients: list[Client] = []
        self.serving, self.stopping = threading.Lock(), False
        self.accepts_from = 0.0  # no sooner: after an error it pauses
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket()
        try:
            if os.name == "posix":  # on Windows it would mean: also if somebody else listens there
                self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(address)
            self.listener.listen(128)
        except OSError:
            self.server_close()
            raise
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.server_address: Address = self.listener.getsockname()

    def serve_forever(self) -> None:
        with self.serving:
            while not self.stopping:
                for key, events in self.selector.select(TICK):
                    if key.data is None:
                        self.accept()
                    elif key.data in self.clients:  # it may have been dropped just now
                        self.handle(key.data, events)
                self.accept_again()

    def shutdown(self) -> None:
        self.stopping = True
        with self.serving:  # waits until serve_forever has returned
            pass

    def server_close(self) -> None:
        for client in self.clients:
            client.sock.close()
        self.listener.close()
        self.selector.close()

    def accept(self) -> None:
        try:
            sock = self.listener.accept()[0]
        except OSError:  # no descriptor is left, perhaps: they come back when clients leave
            self.selector.unregister(self.listener)
            self.accepts_from = time.monotonic() + 0.1
            return
        sock.setblocking(False)
        client = Client(sock)
        self.clients.append(client)
        self.selector.register(sock, selectors.EVENT_READ, client)

    def accept_again(self) -> None:
        if self.accepts_from and time.monotonic() > self.accepts_from:
            self.accepts_from = 0.0
            self.selector.register(self.listener, selectors.EVENT_READ)

    def handle(self, client: Client, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self.write(client)
            if events & selectors.EVENT_READ:
                self.read(client)
        except OSError:  # it has vanished
            self.drop(client)

    def read(self, client: Client) -> None:
        data = self.receive(client)
        *lines, client.rest = (client.rest + data).split(b"\n")
        for line in lines:
            self.hear(client, line.removesuffix(b"\r"))
        if not data:
            self.bid_goodbye(client)
        elif len(client.rest) > LINE_LIMIT:
            self.post(client, b"* this line is too long\n")
            self.bid_goodbye(client)

    def bid_goodbye(self, client: Client) -> None:
        self.write(client)
        self.drop(client)

    def receive(self, client: Client) -> bytes:
        return client.sock.recv(65_536)

    def hear(self, client: Client, line: bytes) -> None:
        for other in list(self.clients):  # who is too slow is dropped meanwhile
            if other is not client:
                self.post(other, line + b"\n")

    def post(self, client: Client, data: bytes) -> None:
        """Adds to what a client is owed; it is sent when the client can take it."""
        client.owed += data
        self.selector.modify(client.sock, BOTH, client)
        if len(client.owed) > OUTBOX_LIMIT:
            self.drop(client)

    def write(self, client: Client) -> None:
        with contextlib.suppress(BlockingIOError):
            del client.owed[: client.sock.send(client.owed)]
        if not client.owed:
            self.selector.modify(client.sock, selectors.EVENT_READ, client)

    def drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            self.selector.unregister(client.sock)
            client.sock.close()
