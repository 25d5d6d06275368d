"""Hands on what has come of a line when nothing more has come for a while."""

import selectors
from collections.abc import Iterator

from chatlib.checker.specimens.threads import LINE_LIMIT, Client, Threads

WHILE = 0.01
"""Seconds: much less than the checker leaves between two pieces, also on a busy computer."""


class HandsOnHalves(Threads):
    def lines(self, client: Client) -> Iterator[bytes]:
        rest = b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(client.sock, selectors.EVENT_READ)
            while True:
                if not waiting.select(WHILE if rest else None):
                    self.broadcast(client, rest)
                    rest = b""
                    continue
                if not (data := self.receive(client)):
                    break
                *lines, rest = (rest + data).split(b"\n")
                yield from (line.removesuffix(b"\r") for line in lines)
                if len(rest) > LINE_LIMIT:
                    self.post(client, b"* this line is too long\n")
                    break
