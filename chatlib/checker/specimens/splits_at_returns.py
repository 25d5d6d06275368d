"""Takes a carriage return for the end of a line, so that CR LF brings an empty line, too."""

from chatlib.checker.specimens.threads import Client, Threads


class SplitsAtReturns(Threads):
    def receive(self, client: Client) -> bytes:
        return super().receive(client).replace(b"\r", b"\n")
