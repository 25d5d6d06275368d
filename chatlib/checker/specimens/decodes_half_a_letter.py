"""Decodes what each `recv` brings, which may end in the middle of a letter."""

from chatlib.checker.specimens.threads import Client, Threads


class DecodesHalfALetter(Threads):
    def receive(self, client: Client) -> bytes:
        return super().receive(client).decode("utf-8", "replace").encode()
