"""Drops a slow reader from the list that it is walking: the one who stands behind misses a line."""

from chatlib.checker.specimens.threads import OUTBOX_LIMIT, Client, Threads


class SkipsTheNext(Threads):
    def post(self, client: Client, data: bytes) -> None:
        super().post(client, data)
        if len(client.owed) > OUTBOX_LIMIT and client in self.clients:
            self.clients.remove(client)
