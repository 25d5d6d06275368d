"""A sound group chat: from each client one thread reads, and another sends to it."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

Address = tuple[str, int]

LINE_LIMIT = 131_072
"""Bytes of a line. Who sends more is told so, and dropped."""

OUTBOX_LIMIT = 1_048_576
"""Bytes that may wait for one client. Who reads more slowly is dropped."""


class Client:
    """One client: its connection, and what it is owed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # short lines should not wait for more
        self.name: str | None = None
        self.owed = bytearray()
        self.leaving = False
        self.news = threading.Condition()

    def hang_up(self) -> None:
        """Wakes both of its threads: the connection is over."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class Threads:
    """What one client says reaches all others."""

    def __init__(self, address: Address) -> None:
        self.clients: list[Client] = []
        self.lock = threading.RLock()
        self.serving, self.stopping = threading.Lock(), threading.Event()
        self.listener = socket.socket()
        try:
            self.bind(address)
        except OSError:
            self.listener.close()
            raise
        self.listener.settimeout(0.2)  # where shutdown does not wake accept
        self.server_address: Address = self.listener.getsockname()

    def bind(self, address: Address) -> None:
        if os.name == "posix":  # on Windows it would mean: also if somebody else listens there
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(128)

    def serve_forever(self) -> None:
        with self.serving:
            while not self.stopping.is_set():
                try:
                    sock = self.listener.accept()[0]
                except TimeoutError:
                    continue
                except OSError:  # no descriptor is left, perhaps: they come back when clients leave
                    self.stopping.wait(0.1)
                    continue
                self.welcome(Client(sock))

    def shutdown(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        with self.serving:  # waits until serve_forever has returned
            pass

    def server_close(self) -> None:
        self.listener.close()
        with self.lock:
            for client in self.clients:
                client.hang_up()

    def welcome(self, client: Client) -> None:
        with self.lock:
            self.clients.append(client)
        threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: Client) -> None:
        """Reads from a client until it leaves."""
        writer = threading.Thread(target=self.write, args=(client,), daemon=True)
        writer.start()
        try:
            self.greet(client)
            for line in self.lines(client):
                self.hear(client, line)
        except OSError:  # it has vanished
            pass
        finally:
            self.leave(client)
            self.finish(client, writer)

    def greet(self, client: Client) -> None:
        """There is nothing to say before a client has spoken."""

    def lines(self, client: Client) -> Iterator[bytes]:
        """Yields what a client says, line by line."""
        rest = b""
        while data := self.receive(client):
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.removesuffix(b"\r") for line in lines)
            if len(rest) > LINE_LIMIT:
                self.post(client, b"* this line is too long\n")
                break

    def receive(self, client: Client) -> bytes:
        return client.sock.recv(65_536)

    def hear(self, client: Client, line: bytes) -> None:
        self.broadcast(client, line + b"\n")

    def broadcast(self, sender: Client, data: bytes) -> None:
        with self.lock:  # nobody comes or goes meanwhile, and nobody waits: `post` only takes a note
            for client in self.present():
                if client is not sender:
                    self.post(client, data)

    def present(self) -> list[Client]:
        return self.clients

    def post(self, client: Client, data: bytes) -> None:
        """Adds to what a client is owed."""
        with client.news:
            if client.leaving:
                raise ConnectionError("this client has left")
            client.owed += data
            client.news.notify()
        if len(client.owed) > OUTBOX_LIMIT:
            client.hang_up()

    def write(self, client: Client) -> None:
        """Sends what a client is owed, in a thread of its own, which may wait."""
        with contextlib.suppress(OSError):
            while data := self.owed(client):
                client.sock.sendall(data)

    def owed(self, client: Client) -> bytearray:
        with client.news:
            client.news.wait_for(lambda: client.owed or client.leaving)
            data, client.owed = client.owed, bytearray()
            return data

    def leave(self, client: Client) -> None:
        with self.lock:
            self.clients = [other for other in self.clients if other is not client]

    def finish(self, client: Client, writer: threading.Thread) -> None:
        """Sends what is still owed, and closes."""
        with client.news:
            client.leaving = True
            client.news.notify()
        writer.join(1.0)
        client.hang_up()
        writer.join()
        client.sock.close()


class Shout(Threads):
    """Each line is answered in upper case."""

    def hear(self, client: Client, line: bytes) -> None:
        self.post(client, line.upper() + b"\n")


class BudgetChat(Threads):
    """Protohackers, problem 3: the first line is a name, and all lines say who has spoken."""

    def greet(self, client: Client) -> None:
        self.post(client, b"Welcome! What is your name?\n")

    def hear(self, client: Client, line: bytes) -> None:
        if client.name is None:
            self.enter(client, line.decode("utf-8", "replace"))
        else:
            self.broadcast(client, b"[%b] %b\n" % (client.name.encode(), line))

    def enter(self, client: Client, name: str) -> None:
        with self.lock:  # two may say the same name at the same moment
            if not self.is_legal(name) or self.is_taken(name):
                self.refuse(client)
            self.admit(client, name)

    def refuse(self, client: Client) -> None:
        self.post(client, b"* This name is taken, or not made of letters and digits\n")
        raise ConnectionError("refused")

    def admit(self, client: Client, name: str) -> None:
        with self.lock:
            self.post(client, self.room().encode() + b"\n")
            client.name = name
            self.broadcast(client, f"* {name} has come\n".encode())

    def is_legal(self, name: str) -> bool:
        return name.isascii() and name.isalnum()

    def is_taken(self, name: str) -> bool:
        return any(client.name == name for client in self.clients)

    def room(self) -> str:
        return "* In the room: " + ", ".join(str(client.name) for client in self.present())

    def present(self) -> list[Client]:
        return [client for client in self.clients if client.name is not None]

    def leave(self, client: Client) -> None:
        super().leave(client)
        if client.name is not None:
            self.broadcast(client, f"* {client.name} has left\n".encode())
