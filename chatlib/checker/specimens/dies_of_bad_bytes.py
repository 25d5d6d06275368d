"""Decodes lines strictly: one that is not UTF-8 ends the loop, and so the server."""

from chatlib.checker.specimens.loop import Client, Loop


class DiesOfBadBytes(Loop):
    def hear(self, client: Client, line: bytes) -> None:
        text = line.decode()
        super().hear(client, text.encode())
