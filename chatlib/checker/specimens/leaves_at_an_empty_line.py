"""Takes an empty line for a farewell."""

from collections.abc import Iterator

from chatlib.checker.specimens.threads import Client, Threads


class LeavesAtAnEmptyLine(Threads):
    def lines(self, client: Client) -> Iterator[bytes]:
        for line in super().lines(client):
            if not line:
                break
            yield line
