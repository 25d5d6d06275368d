"""Posts who speaks and what is said one after the other: two who speak at once get mixed."""

import time

from chatlib.checker.specimens.threads import Client, Threads


class SendsNamesApart(Threads):
    def hear(self, client: Client, line: bytes) -> None:
        port = client.sock.getpeername()[1]
        self.broadcast(client, f"{port}: ".encode())
        time.sleep(0.0001)  # or it would happen once in a month, at the worst moment
        self.broadcast(client, line + b"\n")
