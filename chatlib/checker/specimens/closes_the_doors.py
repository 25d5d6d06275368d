"""Once a conversation is under way, whoever comes is not put on the list, and hears nothing."""

from chatlib.checker.specimens.threads import Client, Threads

FULL = 24
"""Lines."""


class ClosesTheDoors(Threads):
    said = 0

    def welcome(self, client: Client) -> None:
        super().welcome(client)
        if self.said > FULL:
            self.leave(client)

    def hear(self, client: Client, line: bytes) -> None:
        self.said += 1
        super().hear(client, line)
