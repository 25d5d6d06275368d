"""The floor: a server that does nothing but the sends. It has no limits, no slow readers, no end.

    python baseline.py broadcast

What a real server takes longer than this, it takes for being a server. It imports nothing of chatlib, for
that would be memory and time that are not the floor's.
"""

import selectors
import socket
import sys

SEND_WITHIN = 5.0
"""Seconds that a receiver may take to read on; then this program ends."""


class Floor:
    """Sends on what has come, in one piece, up to the end of its last line.

    Args:
        shout: Whether the sender hears it, in upper case; otherwise all others hear it.
    """

    def __init__(self, shout: bool) -> None:
        self.shout = shout
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.selector = selectors.DefaultSelector()
        self.rests: dict[socket.socket, bytes] = {}
        """The clients, and the beginning of a line that each has sent."""

    def serve(self) -> None:
        """Serves until it is killed. Blocks."""
        self.selector.register(self.listener, selectors.EVENT_READ)
        print("listening on {}:{}".format(*self.listener.getsockname()), flush=True)
        while True:
            for key, _ in self.selector.select():  # blocks until a client comes, or says something
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.hear(key.fileobj)  # type: ignore[arg-type]

    def accept(self) -> None:
        """Lets one client in."""
        client, _ = self.listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rests[client] = b""
        self.selector.register(client, selectors.EVENT_READ)

    def hear(self, sender: socket.socket) -> None:
        """Reads once, and sends on what is whole."""
        data = received(sender)
        if not data:
            self.selector.unregister(sender)
            del self.rests[sender]
            sender.close()
            return
        whole, newline, self.rests[sender] = (self.rests[sender] + data).rpartition(b"\n")
        if self.shout:
            send(sender, (whole + newline).upper())
            return
        for receiver in self.rests:
            if receiver is not sender:
                send(receiver, whole + newline)


def received(sender: socket.socket) -> bytes:
    """Returns what has come, or nothing if the client has gone."""
    try:
        return sender.recv(65536)
    except OSError:
        return b""


def send(client: socket.socket, data: bytes) -> None:
    """Sends all of it. Blocks only if the kernel has no room; then every other client waits, too."""
    try:
        sent = client.send(data)
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        client.settimeout(SEND_WITHIN)
        client.sendall(data[sent:])
        client.setblocking(False)


if __name__ == "__main__":
    Floor(sys.argv[1] == "shout").serve()
