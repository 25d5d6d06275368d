"""Reads until a line has ended, and serves nobody else meanwhile."""

from chatlib.checker.specimens.loop import LINE_LIMIT, Client, Loop


class WaitsForTheEndOfALine(Loop):
    def receive(self, client: Client) -> bytes:
        client.sock.setblocking(True)
        data = more = super().receive(client)
        while more and not data.endswith(b"\n") and len(data) <= LINE_LIMIT:
            more = super().receive(client)
            data += more
        client.sock.setblocking(False)
        return data
