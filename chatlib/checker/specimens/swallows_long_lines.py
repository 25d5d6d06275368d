"""Leaves out lines of more than 4 KiB, and tells nobody."""

from chatlib.checker.specimens.threads import Client, Threads


class SwallowsLongLines(Threads):
    def hear(self, client: Client, line: bytes) -> None:
        if len(line) <= 4096:
            super().hear(client, line)
