"""Sends each answer to all clients, not only to who has asked."""

from chatlib.checker.specimens.threads import Client, Shout


class AnswersEverybody(Shout):
    def hear(self, client: Client, line: bytes) -> None:
        super().hear(client, line)
        self.broadcast(client, line.upper() + b"\n")
