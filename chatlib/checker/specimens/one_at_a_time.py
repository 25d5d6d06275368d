"""Serves a client in the thread that accepts: the next one waits until it has left."""

from chatlib.checker.specimens.threads import Client, Shout


class OneAtATime(Shout):
    def welcome(self, client: Client) -> None:
        with self.lock:
            self.clients.append(client)
        self.serve(client)
