"""Takes what one `recv` brings for one line."""

from collections.abc import Iterator

from chatlib.checker.specimens.threads import Client, Threads


class BelievesInOneRecv(Threads):
    def lines(self, client: Client) -> Iterator[bytes]:
        while data := client.sock.recv(1024):
            yield data.strip()
