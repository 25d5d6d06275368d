"""Adds each client to its list twice, so it hears each line twice."""

from chatlib.checker.specimens.threads import Client, Threads


class JoinsTwice(Threads):
    def greet(self, client: Client) -> None:
        with self.lock:
            self.clients.append(client)
