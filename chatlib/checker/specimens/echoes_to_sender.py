"""Sends a line to all, also to who has said it."""

from chatlib.checker.specimens.threads import Client, Threads


class EchoesToSender(Threads):
    def broadcast(self, sender: Client, data: bytes) -> None:
        with self.lock:
            for client in self.present():
                self.post(client, data)
