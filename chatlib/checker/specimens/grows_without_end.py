"""Collects a line until its end comes, however long that takes."""

from collections.abc import Iterator

from chatlib.checker.specimens.threads import Client, Threads


class GrowsWithoutEnd(Threads):
    def lines(self, client: Client) -> Iterator[bytes]:
        rest = b""
        while data := self.receive(client):
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.removesuffix(b"\r") for line in lines)
